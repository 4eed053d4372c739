// Drawing curves: lines over an axis, as SVG. Points come down-sampled; nothing here knows where from.

import { el, number, svg } from "./dom.js";
import { scale } from "./plot.js";

const HEIGHT = 206, LEFT = 46, RIGHT = 8, TOP = 6, BOTTOM = 38, COLOURS = 8;
const FEW = 20; // points of a line that are marked, each an epoch or the like
const TIMES = { _runtime: (x) => `${number(x)} s`, _timestamp: (x) => new Date(x * 1000).toLocaleTimeString("en-GB") };
const NAMES = { _step: "step", _runtime: "seconds since the start", _timestamp: "time of day" };

/** What an axis is called. */
export const axisName = (axis) => NAMES[axis] ?? axis;

/**
 * Draw lines into `plot`, in place of what is there.
 *
 * `lines`: [{name, colour, points: [[x, y], ...]}] by x; y is a number, or the name of one that has no place.
 * `options`: {title, axis, log, smooth}.
 */
export function draw(plot, lines, { title, axis, log, smooth }) {
  const width = Math.max(plot.clientWidth, 200);
  const shown = lines.map((line) => ({ ...line, points: line.points.filter(([x]) => typeof x === "number") }));
  const fits = (y) => typeof y === "number" && (!log || y > 0);
  const ys = shown.flatMap((line) => line.points.map(([, y]) => y).filter(fits));
  const xs = shown.flatMap((line) => line.points.map(([x]) => x));
  delete plot.dataset.wait;
  if (!ys.length) {
    plot.replaceChildren(el("p", { class: "empty" }, empty(shown, log)));
    return;
  }
  const across = scale(xs, "linear", LEFT, width - RIGHT), up = scale(ys, log ? "log" : "linear", HEIGHT - BOTTOM, TOP);
  const x = across.at, y = up.at;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", tabindex: "0", "aria-label": describe(title, shown, fits) });
  for (const tick of up.ticks) picture.append(svg("line", { class: "rule", x1: LEFT, x2: width - RIGHT, y1: tick.at, y2: tick.at }), svg("text", { x: LEFT - 6, y: tick.at + 4, "text-anchor": "end" }, tick.text));
  for (const tick of across.ticks.filter((_, i) => width > 300 || i % 2 === 0)) picture.append(svg("text", { x: tick.at, y: HEIGHT - 22, "text-anchor": "middle" }, axis in TIMES ? label(axis, tick.value) : tick.text));
  picture.append(svg("text", { class: "axis-name", x: width - RIGHT, y: HEIGHT - 5 }, axisName(axis)));
  for (const line of shown) {
    const colour = `s${line.colour % COLOURS}`;
    if (smooth > 0) picture.append(svg("path", { class: `raw ${colour}`, d: path(line.points, x, y, fits) }));
    picture.append(svg("path", { class: colour, d: path(smooth > 0 ? smoothed(line.points, smooth, fits) : line.points, x, y, fits) }));
    const alone = (i) => !(i > 0 && fits(line.points[i - 1][1])) && !(i + 1 < line.points.length && fits(line.points[i + 1][1]));
    const marked = line.points.filter(([, value], i) => fits(value) && (line.points.length <= FEW || alone(i)));
    for (const [px, py] of marked) picture.append(svg("circle", { class: `lone ${colour}`, cx: x(px), cy: y(py), r: 2.5 }));
    for (const [px, py] of line.points.filter(([, value]) => typeof value !== "number")) {
      picture.append(svg("text", { class: "odd", x: x(px), y: py === "Infinity" ? TOP + 8 : HEIGHT - BOTTOM - 2, "text-anchor": "middle" }, svg("title", {}, `${py} at ${label(axis, px)}`), py === "NaN" ? "×" : py === "Infinity" ? "▲" : "▼"));
    }
  }
  const hint = el("div", { class: "hint", hidden: true, "aria-live": "polite" });
  plot.replaceChildren(picture, hint);
  follow(picture, hint, shown, x, y, fits, axis, width);
}

/** A line through points, broken where a value has no place. */
function path(points, x, y, fits) {
  let d = "", pen = "M";
  for (const [px, py] of points) {
    if (!fits(py)) { pen = "M"; continue; }
    d += `${pen}${x(px).toFixed(1)} ${y(py).toFixed(1)}`;
    pen = "L";
  }
  return d;
}

/** An average that forgets: the newest value counts 1 - `weight`, corrected for its begin at nothing. */
export function smoothed(points, weight, fits = (y) => typeof y === "number") {
  let sum = 0, whole = 0;
  return points.map(([x, y]) => {
    if (!fits(y)) return [x, y];
    sum = sum * weight + (1 - weight) * y;
    whole = whole * weight + (1 - weight);
    return [x, sum / whole];
  });
}

/** The values under the pointer, or under the arrow keys. */
function follow(picture, hint, lines, x, y, fits, axis, width) {
  const places = [...new Set(lines.flatMap((line) => line.points.map(([px]) => px)))].sort((a, b) => a - b);
  const cross = svg("line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  picture.append(cross);
  let at = places.length - 1;
  const show = () => {
    const here = places[at], left = x(here);
    cross.setAttribute("x1", left);
    cross.setAttribute("x2", left);
    cross.setAttribute("visibility", "visible");
    const rows = lines.map((line) => [line, line.points[nearest(line.points, here)]]).filter(([, point]) => point);
    hint.replaceChildren(
      el("div", { class: "soft" }, `${axisName(axis)} ${label(axis, here)}`),
      ...rows.map(([line, point]) => el("div", { class: `s${line.colour % COLOURS}` }, lines.length > 1 && el("span", { class: "swatch" }), lines.length > 1 && `${line.name}  `, exact(point[1]))),
    );
    hint.hidden = false;
    const ratio = picture.clientWidth / width || 1;
    hint.style.top = `${picture.parentElement.offsetTop + TOP}px`;
    if (left > width / 2) { hint.style.right = `${(width - left) * ratio + 10}px`; hint.style.left = "auto"; }
    else { hint.style.left = `${left * ratio + 10}px`; hint.style.right = "auto"; }
  };
  const hide = () => { hint.hidden = true; cross.setAttribute("visibility", "hidden"); };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * width;
    at = closest(places, (place) => x(place) - wanted);
    show();
  });
  picture.addEventListener("pointerleave", hide);
  picture.addEventListener("blur", hide);
  picture.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -places.length, End: places.length }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    at = Math.min(Math.max(at + by, 0), places.length - 1);
    show();
  });
}

const nearest = (points, here) => closest(points, ([x]) => x - here);

/** The place in a sorted list where `distance` is nearest to nothing. */
function closest(list, distance) {
  let low = 0, high = list.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (distance(list[middle]) < 0) low = middle + 1; else high = middle;
  }
  return low > 0 && Math.abs(distance(list[low - 1])) <= Math.abs(distance(list[low])) ? low - 1 : low;
}

const label = (axis, x) => (TIMES[axis] ?? number)(x);
const exact = (y) => (typeof y === "number" ? String(Number(y.toPrecision(8))) : y);

function empty(lines, log) {
  const odd = lines.flatMap((line) => line.points).find(([, y]) => typeof y !== "number");
  if (odd) return `Every value is ${odd[1]} or the like.`;
  return log && lines.some((line) => line.points.length) ? "No value is above zero, so none has a place on a log scale." : "No value here.";
}

/** A curve in words. */
function describe(title, lines, fits) {
  return lines.map((line) => {
    const points = line.points.filter(([, y]) => fits(y));
    if (!points.length) return `${line.name}: no value`;
    const low = points.reduce((a, b) => (b[1] < a[1] ? b : a)), high = points.reduce((a, b) => (b[1] > a[1] ? b : a));
    return `${lines.length > 1 ? line.name : title}: from ${number(points[0][1])} to ${number(points.at(-1)[1])}, lowest ${number(low[1])} at ${number(low[0])}, highest ${number(high[1])} at ${number(high[0])}`;
  }).join("; ");
}
