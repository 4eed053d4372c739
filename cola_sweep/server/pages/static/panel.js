// A panel of curves: fetches the points of what is in sight, and draws them as the tools above say.

import { axisName, draw } from "./curves.js";
import { el, number } from "./dom.js";
import { trouble } from "./live.js";

const AT_ONCE = 40; // keys of one request

/**
 * Bring the figures `.curve` of a section to life.
 *
 * `sources`: [{name, colour, base}], the runs whose curves are laid over each other. `tools` is the form of the tools,
 * or null. Returns `refresh`, to be called when there may be new points.
 */
export function curvePanel(section, tools, sources) {
  const figures = [...section.querySelectorAll(".curve")];
  const loaded = new Map(); // figure -> for each source {axes, points}
  const seen = new Set();
  let asked = false, turn = 0; // a refresh begins a new turn; what an older one still fetches is out of date

  const paint = (figure) => {
    const plot = figure.querySelector(".plot");
    const { key, stream, axis: own } = figure.dataset;
    const given = stream === "events" ? "_runtime" : tools?.elements.x.value || own || "_step";
    const answers = loaded.get(figure);
    const axis = answers.some((answer) => answer?.axes.includes(given)) ? given : "_step";
    const lines = sources.map((source, i) => ({ ...source, points: placed(answers[i], axis) })).filter((line) => line.points.length);
    draw(plot, lines, { title: key, axis, log: tools?.elements.log.checked, smooth: Number(tools?.elements.smooth.value ?? 0) });
    const last = lines.length === 1 && lines[0].points.at(-1)[1];
    figure.querySelector("figcaption").replaceChildren(key, " ", el("span", { class: "soft" }, last === false ? "" : number(last)));
    plot.querySelector("svg")?.setAttribute("aria-description", `against ${axisName(axis)}`);
  };

  const load = async () => {
    asked = false;
    const wanted = [...seen].filter((figure) => !loaded.has(figure) && !figure.hidden);
    for (const stream of ["history", "events"]) {
      const some = wanted.filter((figure) => figure.dataset.stream === stream);
      for (let i = 0; i < some.length; i += AT_ONCE) await fetchPoints(some.slice(i, i + AT_ONCE), stream);
    }
  };

  // First what the server has at hand of a long run, then all of it.
  const fetchPoints = async (some, stream, soon = true) => {
    const mine = turn;
    const query = new URLSearchParams([["stream", stream], ...(soon ? [["soon", 1]] : []), ...some.map((figure) => ["key", figure.dataset.key])]);
    let why = "";
    const answers = await Promise.all(sources.map(async ({ base }) => {
      const answer = await fetch(`${base}/curves?${query}`, { headers: { accept: "application/json" } }).catch(() => null);
      if (answer?.ok) return answer.json();
      why = await trouble(answer);
      return null;
    }));
    if (mine !== turn) return;
    for (const figure of some) {
      if (!answers.some(Boolean)) {
        const plot = figure.querySelector(".plot");
        delete plot.dataset.wait;
        plot.replaceChildren(el("p", { class: "empty" }, `This cannot be drawn: ${why}.`));
        continue;
      }
      loaded.set(figure, answers.map((answer) => answer && { axes: answer.axes, points: answer.points[figure.dataset.key] ?? [] }));
      paint(figure);
    }
    if (answers.some((answer) => answer?.rough)) fetchPoints(some, stream, false);
  };

  const ask = () => { if (!asked) { asked = true; setTimeout(load, 20); } };
  const repaint = () => { for (const figure of seen) if (loaded.has(figure) && !figure.hidden) paint(figure); };

  const eye = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target); else seen.delete(target);
      if (isIntersecting && loaded.has(target)) paint(target);
    }
    ask();
  }, { rootMargin: "200px" });
  figures.forEach((figure) => eye.observe(figure));
  let width = section.clientWidth;
  new ResizeObserver(() => { if (section.clientWidth !== width) { width = section.clientWidth; repaint(); } }).observe(section);

  const filter = () => {
    const wanted = tools.elements.find.value.trim().toLowerCase();
    for (const figure of figures) figure.hidden = !figure.dataset.key.toLowerCase().includes(wanted);
    for (const group of section.querySelectorAll(".group")) group.hidden = !group.querySelector(".curve:not([hidden])");
    ask();
  };
  tools?.addEventListener("submit", (event) => event.preventDefault());
  tools?.addEventListener("input", (event) => {
    tools.querySelector("output").textContent = tools.elements.smooth.value;
    if (event.target.name === "find") filter(); else repaint();
  });

  if (tools?.elements.find.value) filter();
  return () => { turn++; loaded.clear(); ask(); };
}

/** [x, y] of each point along an axis; the points of several processes may cross, so they are put in its order. */
function placed(answer, axis) {
  if (!answer) return [];
  const at = answer.axes.indexOf(axis);
  const points = answer.points.map((point) => [at <= 0 ? point[0] : point[at + 1], point[1]]).filter(([x]) => x !== null);
  return at > 0 ? points.sort((a, b) => a[0] - b[0]) : points;
}
