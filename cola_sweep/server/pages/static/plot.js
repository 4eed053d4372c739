// Small drawings: scales, points over a scale, a line of the best so far. Colours are the style sheet's.
import { brief, el, number, svg } from "./dom.js";

const TIP = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });
document.body.append(TIP);

/** Show `text` beside the pointer while it is over `node`. */
export function tip(node, text) {
  node.addEventListener("pointerenter", (event) => {
    TIP.textContent = text;
    TIP.hidden = false;
    const right = event.clientX + TIP.offsetWidth + 16 > innerWidth;
    TIP.style.left = `${right ? event.clientX - TIP.offsetWidth - 12 : event.clientX + 12}px`;
    TIP.style.top = `${Math.min(event.clientY + 12, innerHeight - TIP.offsetHeight - 8)}px`;
  });
  node.addEventListener("pointerleave", () => { TIP.hidden = true; });
  return node;
}

/**
 * Where values lie between `from` and `to`: `{at(value), ticks: [{value, at, text}]}`, of names without the value; `kind` is linear, log or values.
 *
 * A value that has no place, as text on a numeric axis, is at null. `margin` is the share of the range left free at each end.
 */
export function scale(values, kind, from, to, margin = 0) {
  if (kind === "values") {
    const given = [...new Map(values.filter((value) => value !== null).map((value) => [name(value), value])).values()];
    given.sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : name(a).localeCompare(name(b), "en", { numeric: true })));
    const names = given.map(name);
    const at = (value) => (value === null ? null : from + ((names.indexOf(name(value)) + 0.5) / names.length) * (to - from));
    return { at, ticks: given.map((value) => ({ at: at(value), text: typeof value === "number" ? number(value) : short(name(value)) })) };
  }
  const numbers = values.filter((value) => typeof value === "number");
  const log = kind === "log" && numbers.every((value) => value > 0);
  const convert = log ? Math.log10 : (value) => value;
  const alone = new Set(numbers).size === 1;
  let low = convert(Math.min(...numbers)), high = convert(Math.max(...numbers));
  const room = high > low ? (high - low) * margin : log ? 0.5 : Math.abs(low) / 2 || 0.5;
  [low, high] = [low - room, high + room];
  const at = (value) => (typeof value === "number" ? from + ((convert(value) - low) / (high - low)) * (to - from) : null);
  const found = alone ? numbers.slice(0, 1) : log ? logTicks(low, high) : ticks(low, high);
  const whole = numbers.every(Number.isInteger); // there is no trial 1.5
  return { at, ticks: found.filter((value) => !whole || Number.isInteger(value)).map((value) => ({ value, at: at(value), text: brief(value) })) };
}

/** A value as one text; that of a list or an object is JSON. */
export const name = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

/** A text cut to `most` letters in its middle: names differ at their ends. */
export const short = (text, most = 15) => (text.length > most ? `${text.slice(0, 4)}…${text.slice(5 - most)}` : text);

function ticks(low, high, most = 5) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const wide = high - low > 5 ? [1] : high - low > 1.2 ? [1, 3] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const factor of wide) {
      const value = Number((factor * 10 ** power).toPrecision(12)), place = Math.log10(value);
      if (place >= low - 1e-9 && place <= high + 1e-9) found.push(value);
    }
  }
  return found.length > 1 ? found : [low, high].map((place) => Number((10 ** place).toPrecision(3)));
}

/**
 * Points on two scales, with a line of steps through some of them where `steps` is given.
 *
 * `points` are `{x, y, text, href, mark}`; `x` and `y` are `{title, kind}`; `said` is the drawing in a sentence.
 */
export function chart({ points, x, y, steps = [], said, width = 480, height = 280 }) {
  const left = 58, right = 14, top = 10, bottom = 42;
  const across = scale(points.map((point) => point.x), x.kind, left, width - right, 0.03);
  const up = scale(points.map((point) => point.y), y.kind ?? "linear", height - bottom, top, 0.05);
  // To a screen reader it is its sentence alone.
  const drawing = svg("g", { "aria-hidden": "true" });
  for (const tick of up.ticks) {
    drawing.append(svg("line", { x1: left, x2: width - right, y1: tick.at, y2: tick.at, class: "rule" }));
    drawing.append(svg("text", { x: left - 8, y: tick.at, class: "tick end" }, tick.text));
  }
  const every = Math.ceil((across.ticks.length * 60) / (width - left - right)) || 1;
  across.ticks.forEach((tick, i) => {
    if (i % every === 0) drawing.append(svg("text", { x: tick.at, y: height - bottom + 16, class: "tick middle" }, tick.text));
  });
  drawing.append(svg("text", { x: (left + width - right) / 2, y: height - 6, class: "title middle" }, short(x.title, 50)));
  if (steps.length) {
    const path = steps.map((step, i) => (i ? `H${across.at(step.x)}V${up.at(step.y)}` : `M${across.at(step.x)} ${up.at(step.y)}`)).join("");
    drawing.append(svg("path", { d: `${path}H${width - right}`, class: "line" }));
  }
  // The marked ones last, so that they lie on top.
  for (const point of [...points].sort((a, b) => (a.mark === "best") - (b.mark === "best"))) {
    const [cx, cy] = [across.at(point.x), up.at(point.y)];
    if (cx === null || cy === null) continue;
    // Not a stop of the tab key: the table below leads to the same pages, one row each.
    drawing.append(tip(svg("a", { href: point.href, tabindex: -1 }, svg("circle", { cx, cy, r: point.mark === "best" ? 5 : 3.5, class: `dot ${point.mark ?? ""}` })), point.text));
  }
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": said, class: "plotted" }, drawing);
}
