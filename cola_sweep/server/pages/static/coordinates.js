// Parallel coordinates of a sweep: a line for each trial over its parameters to the metric. What a reader may ask of
// the drawing is in parallel.js, which reports use too.
import { el, number, svg } from "./dom.js";
import { name, scale, short } from "./plot.js";
import "./parallel.js";

const MOST_LINES = 200, MOST_AXES = 9, WIDTH = 960, HEIGHT = 340, TOP = 34, BOTTOM = 22, SIDE = 112;

/** Draw `data` of a sweep into `figure`; `ranked` are its trials with a value, the best first. */
export function coordinates(figure, data, ranked) {
  const trials = ranked.slice(0, MOST_LINES);
  const parameters = data.parameters.map((parameter, place) => ({ ...parameter, place })).slice(0, MOST_AXES - 1);
  const axes = [
    ...parameters.map(({ name: title, scale: kind, place }) => ({ title, kind, values: trials.map((trial) => trial.values[place]) })),
    { title: data.metric.name, kind: "linear", values: trials.map((trial) => trial.value) },
  ];
  const better = data.metric.goal === "maximize" ? [HEIGHT - BOTTOM, TOP] : [TOP, HEIGHT - BOTTOM];
  axes.forEach((axis, i) => {
    axis.x = SIDE + (i * (WIDTH - 2 * SIDE)) / (axes.length - 1);
    axis.scale = scale(axis.values, axis.kind, ...(i === axes.length - 1 ? better : [HEIGHT - BOTTOM, TOP]));
  });
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plotted", "aria-label": `Parallel coordinates of ${trials.length} trials` });
  for (let i = trials.length - 1; i >= 0; i--) {
    // A value that is missing lies below its axis.
    const path = axes.map((axis) => `${axis.x.toFixed(1)} ${(axis.scale.at(axis.values[i]) ?? HEIGHT - 6).toFixed(1)}`).join("L");
    const said = parameters.map(({ name: title, place }) => `${title} ${shown(trials[i].values[place])}`).join(", ");
    drawing.append(svg("g", { class: i ? "item" : "item best" },
      svg("title", {}, `${i + 1}. ${trials[i].name}: ${data.metric.name} ${number(trials[i].value)}, ${said}`), svg("path", { d: `M${path}` })));
  }
  for (const axis of axes) {
    drawing.append(svg("line", { x1: axis.x, x2: axis.x, y1: TOP, y2: HEIGHT - BOTTOM, class: "axis" }));
    drawing.append(svg("text", { x: axis.x, y: 16, class: "title middle" }, short(axis.title, Math.max(12, Math.floor(120 / axes.length)))));
    for (const tick of axis.scale.ticks) drawing.append(svg("text", { x: axis.x - 7, y: tick.at, class: "tick end over" }, tick.text));
  }
  figure.replaceChildren(el("div", { class: "wide" }, drawing));
  const left = data.parameters.slice(parameters.length).map((parameter) => parameter.name);
  if (ranked.length > trials.length) figure.append(el("p", { class: "soft" }, `The best ${trials.length} of ${ranked.length.toLocaleString("en")} trials.`));
  if (left.length) figure.append(el("p", { class: "soft" }, `Without ${left.join(", ")}: more axes could not be told apart.`));
  globalThis.parallel(figure);
}

const shown = (value) => (value === null ? "–" : typeof value === "number" ? number(value) : name(value));
