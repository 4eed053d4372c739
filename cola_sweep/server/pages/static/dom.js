// Making elements. Text is always text: nothing here, or in what uses it, reads markup.

/** An element: `el("a", {href: "/", class: "brand", onclick: f}, "text", child, ...)`; null and false are left out. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** `el` for drawings. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A state, as the pages' templates show one. */
export const state = (text) => el("span", { class: "state", "data-state": text.toLowerCase() }, text.toLowerCase());

/** A number as people read it: four digits that say something. */
export function number(value) {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

/** A number beside an axis, where there is little room. */
export const brief = (value) => (Math.abs(value) >= 1e4 && Math.abs(value) < 1e15 ? value.toLocaleString("en", { notation: "compact", maximumFractionDigits: 2 }) : number(value));

/** How the numbers of a column are written: all with as many decimals, or all with an exponent, so that they align. */
export function format(values) {
  const sizes = values.filter((value) => typeof value === "number" && value !== 0).map(Math.abs);
  const least = Math.min(...sizes), most = Math.max(...sizes);
  if (!sizes.length || values.every((value) => typeof value !== "number" || Number.isInteger(value))) return number;
  if (least < 1e-4 || most >= 1e6) return (value) => (value === 0 ? "0" : value.toExponential(2));
  const decimals = Math.max(0, 3 - Math.floor(Math.log10(most)));
  return (value) => value.toFixed(Math.min(decimals, 4));
}

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  // Rounded before it is parted: 7 min 59.7 s are 8 min 0 s.
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A moment, in the reader's own time zone. `text` is UTC without a zone, as the server keeps it. */
export const moment = (text) => (text ? new Date(`${text.slice(0, 23)}Z`).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "");
