// Custom charts and media of a run: fetched when they are scrolled to, each with a slider over the steps it was logged at.

import { el, number, svg } from "./dom.js";
import { trouble } from "./live.js";

const HEIGHT = 220;
const refuse = () => Promise.reject(new Error("a chart may load nothing from elsewhere"));
const NOTHING_ELSEWHERE = { options: {}, load: refuse, sanitize: refuse, http: refuse, file: refuse };

/**
 * Call `show(figure)` when a figure comes into sight for the first time; it resolves to whether the server answered.
 *
 * Returns a refresh of those that have changed.
 */
export function whenSeen(section, selector, show) {
  const shown = new Map(); // figure -> its data-version
  const look = async (figure) => {
    shown.set(figure, figure.dataset.version);
    if (!(await show(figure))) shown.set(figure, null);
  };
  const eye = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      eye.unobserve(target);
      look(target);
    }
  }, { rootMargin: "200px" });
  section.querySelectorAll(selector).forEach((figure) => eye.observe(figure));
  return () => Promise.all([...shown].filter(([figure, version]) => figure.dataset.version !== version).map(([figure]) => look(figure)));
}

/** A figure with one of `wandb.plot`'s charts. */
export async function showChart(figure, base) {
  const plot = figure.querySelector(".plot");
  // The first chart of a server takes seconds: what draws them is packed then.
  if ("wait" in plot.dataset) plot.replaceChildren(el("p", { class: "empty" }, "Drawing …"));
  const draw = async (step) => {
    const current = begun(figure);
    const query = new URLSearchParams({ key: figure.dataset.key, ...(step !== null && { step }) });
    const answer = await ask(`${base}/chart?${query}`);
    if (!current()) return answer;
    if (answer.spec) {
      try {
        await embed(plot, answer.spec, current);
      } catch (error) {
        say(plot, `This chart cannot be drawn: ${error.message}.`);
      }
    } else {
      say(plot, `This chart cannot be drawn: ${answer.error}.`);
    }
    return answer;
  };
  const { steps } = await draw(chosen(figure));
  stepped(figure, steps ?? [], draw);
  return Boolean(steps);
}

/** A feed's data; where there are none, `error` says why. */
async function ask(address) {
  const answer = await fetch(address, { headers: { accept: "application/json" } }).catch(() => null);
  return answer?.ok ? answer.json() : { error: await trouble(answer) };
}

/** Whether nothing was begun for a figure since: what comes late must not come over what is newer. */
function begun(figure) {
  const mine = (figure.turn ?? 0) + 1;
  figure.turn = mine;
  return () => figure.turn === mine;
}

async function embed(plot, spec, current) {
  await import("./vega.js");
  const composed = ["hconcat", "vconcat", "concat", "facet", "repeat", "spec"].some((part) => part in spec);
  const lite = !/\/vega\/v\d/.test(spec.$schema);
  const room = Math.min(plot.clientWidth, 560);
  const sized = lite && !composed ? { width: room, height: HEIGHT, autosize: { type: "fit", contains: "padding" }, ...spec } : spec;
  // In the page from the start: a spec may ask for as much room as there is.
  const holder = el("div", { class: "coming" });
  plot.append(holder);
  try {
    await window.vegaEmbed(holder, sized, {
      mode: lite ? "vega-lite" : "vega", ast: true, actions: false, renderer: "svg", defaultStyle: false,
      tooltip: { disableDefaultStyle: true }, loader: NOTHING_ELSEWHERE, config: theme(), logLevel: 0,
    });
  } finally {
    holder.remove();
  }
  if (!current()) return;
  delete plot.dataset.wait;
  holder.classList.remove("coming");
  plot.replaceChildren(holder);
}

/** The page's colours, in Vega's words. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const soft = colour("--soft"), line = colour("--line"), ink = colour("--ink");
  return {
    background: "transparent",
    font: "system-ui, sans-serif",
    title: { color: ink, fontSize: 12, fontWeight: 500, anchor: "start" },
    axis: { labelColor: soft, titleColor: soft, titleFontWeight: "normal", gridColor: line, domainColor: line, tickColor: line },
    legend: { labelColor: soft, titleColor: soft, titleFontWeight: "normal" },
    view: { stroke: line },
    mark: { color: colour("--s0") },
    rule: { color: soft }, text: { color: ink },
    range: { category: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => colour(`--s${i}`)) },
  };
}

/** A figure with media: pictures, sounds, films, pages, and links to what a browser does not show. */
export async function showMedia(figure, base) {
  const plot = figure.querySelector(".plot"), key = figure.dataset.key, current = begun(figure);
  const answer = await ask(`${base}/media?${new URLSearchParams({ key })}`), steps = answer.steps ?? [], came = Boolean(answer.steps);
  if (!current()) return came;
  if (!steps.length) {
    say(plot, answer.error ? `This cannot be shown: ${answer.error}.` : "Its files have not arrived yet.");
    return came;
  }
  const show = (step) => {
    const { items, bars } = steps.find((at) => at.step === step) ?? steps.at(-1);
    delete plot.dataset.wait;
    if (bars.length) histogram(plot, bars, key);
    else plot.replaceChildren(el("div", { class: "items" }, items.map((item) => medium(item, key))));
    return Promise.resolve();
  };
  stepped(figure, steps.map((at) => at.step), show);
  show(chosen(figure));
  return came;
}

function medium({ kind, source, caption }, key) {
  const named = caption || key;
  // A line is sent before its files: what they show comes with the next look.
  const shown = source === null ? el("p", {}, "Its file has not arrived yet.") : {
    image: () => el("img", { src: source, alt: named, loading: "lazy", onload: (event) => event.target.classList.toggle("small", event.target.naturalWidth < 96) }),
    audio: () => el("audio", { src: source, controls: true, preload: "none", "aria-label": named }),
    video: () => el("video", { src: source, controls: true, preload: "metadata", "aria-label": named }),
    html: () => el("iframe", { src: source, sandbox: "allow-scripts", title: named, loading: "lazy" }),
    file: () => el("a", { href: source }, decodeURIComponent(source.slice(source.lastIndexOf("/") + 1))),
  }[kind]();
  return el("div", { class: kind === "html" ? "whole" : null }, shown, caption && el("p", { class: "caption" }, caption));
}

/** Bars of (from, to, count). */
function histogram(plot, bars, key) {
  const width = Math.max(plot.clientWidth, 200), low = bars[0][0], span = bars.at(-1)[1] - low || 1;
  const most = Math.max(...bars.map((bar) => bar[2]), 1), foot = HEIGHT - 20;
  const x = (value) => ((value - low) / span) * width;
  const said = `${key}: ${number(bars.reduce((sum, bar) => sum + bar[2], 0))} values from ${number(low)} to ${number(low + span)}`;
  plot.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": said },
    bars.map(([from, to, count]) => svg("rect", { class: "bar", x: x(from), y: foot - (count / most) * foot, width: Math.max(x(to) - x(from) - 0.5, 0.5), height: (count / most) * foot },
      svg("title", {}, `${number(count)} from ${number(from)} to ${number(to)}`))),
    [[0, "start"], [0.5, "middle"], [1, "end"]].map(([at, anchor]) => svg("text", { x: at * width, y: HEIGHT - 5, "text-anchor": anchor }, number(low + at * span)))));
}

/** The step that a figure's slider stands at; null where it stands at the newest, or there is none. */
function chosen(figure) {
  const slider = figure.querySelector(".steps input");
  if (!slider || slider.value === slider.max) return null;
  return JSON.parse(figure.dataset.steps)[Number(slider.value)];
}

/** A slider over steps, which keeps its place when there are more. */
function stepped(figure, steps, show) {
  if (steps.length < 2) return;
  const before = chosen(figure), kept = steps.indexOf(before);
  figure.dataset.steps = JSON.stringify(steps);
  let row = figure.querySelector(".steps");
  if (!row) {
    const slider = el("input", { type: "range", min: 0, "aria-label": `step of ${figure.dataset.key}` });
    row = el("div", { class: "steps" }, slider, el("span"));
    const say = () => {
      const step = JSON.parse(figure.dataset.steps)[Number(slider.value)];
      row.lastChild.textContent = `step ${step}`;
      slider.setAttribute("aria-valuetext", `step ${step}`);
    };
    slider.addEventListener("input", say);
    slider.addEventListener("change", () => show(chosen(figure)));
    row.say = say;
    figure.append(row);
  }
  const slider = row.firstChild;
  slider.max = steps.length - 1;
  slider.value = kept < 0 ? steps.length - 1 : kept;
  row.say();
}

function say(plot, text) {
  delete plot.dataset.wait;
  plot.replaceChildren(el("p", { class: "empty" }, text));
}
