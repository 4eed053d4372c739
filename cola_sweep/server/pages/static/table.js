// Tables that sort, filter, hide columns and show a page at a time; thousands of rows stay quick.
import { el, format } from "./dom.js";

const PAGE = 50;
const NOT_FINITE = new Set(["NaN", "Infinity", "-Infinity"]); // numbers that JSON lacks; they do not make a column one of texts
const COMPARES = {
  "<=": (a, b) => a <= b, ">=": (a, b) => a >= b, "!=": (a, b) => a != b, "=": (a, b) => a == b, "<": (a, b) => a < b, ">": (a, b) => a > b,
};

/**
 * A table in `place`; returns `show(columns, rows)`, to be called again with what is new.
 *
 * A column is `{key, title, value, cell, hidden}`: `value(row)` is what sorts and filters, a number or text or
 * null; `cell(row)` the node or text shown, by default the value; `hidden`, shown only when chosen. Numbers are
 * written alike down a column, and stand on its right. The reader's choice
 * of columns is kept under `name`. `words` says what the rows are: ["run", "runs"].
 */
export function table(place, name, words) {
  let columns = [], rows = [], found = [], first = 0, order = null;
  let chosen = remembered(name);
  const filter = el("input", { type: "search", placeholder: "lr<1e-4 finished", "aria-label": `Filter the ${words[1]}`, title: "Words, and comparisons such as lr<1e-4", oninput: () => { first = 0; render(); } });
  const choice = el("div", { class: "choice" });
  const picker = el("details", { class: "picker" }, el("summary", {}, "Columns"), choice);
  const head = el("tr"), body = el("tbody"), said = el("p", { role: "status", class: "soft" });
  const back = el("button", { type: "button", onclick: () => turn(-PAGE) }, "Back"), on = el("button", { type: "button", onclick: () => turn(PAGE) }, "Next");
  const turning = el("div", { class: "turning" }, back, on);
  place.replaceChildren(
    el("div", { class: "tools" }, filter, picker, said, turning),
    el("div", { class: "wide" }, el("table", { class: "data", "aria-label": words[1] }, el("thead", {}, head), body)),
  );
  document.addEventListener("click", (event) => { if (!picker.contains(event.target)) picker.open = false; });
  picker.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !picker.open) return;
    picker.open = false;
    picker.firstChild.focus();
  });

  const shown = () => columns.filter((column) => chosen[column.key] ?? !column.hidden);
  const turn = (by) => { first += by; render(); };
  const sortBy = (key) => {
    const column = columns.find((each) => each.key === key);
    // First the way that is asked for most: small texts first, great numbers first; then the other way; then as given.
    const start = column.numeric ? -1 : 1;
    order = order?.key !== key ? { key, sign: start } : order.sign === start ? { key, sign: -start } : null;
    first = 0;
    render();
  };
  const renderHead = () => {
    choice.replaceChildren(...columns.map((column) => {
      const box = el("input", { type: "checkbox", checked: shown().includes(column), onchange: () => {
        chosen = { ...chosen, [column.key]: box.checked };
        remember(name, chosen);
        renderCells();
      } });
      return el("label", {}, box, column.title);
    }));
    renderCells();
  };
  const renderCells = () => {
    head.replaceChildren(...shown().map((column) => el("th", { scope: "col", class: column.numeric ? "number" : null, "data-key": column.key },
      el("button", { type: "button", class: "sort", onclick: () => sortBy(column.key) }, column.title))));
    render();
  };
  const render = () => {
    const wanted = matcher(filter.value, columns);
    found = rows.filter(wanted);
    if (order) {
      const column = columns.find((each) => each.key === order.key);
      if (column) found = sorted(found, column.value, order.sign);
    }
    first = Math.max(0, Math.min(first, Math.floor((found.length - 1) / PAGE) * PAGE));
    for (const cell of head.children) {
      const sign = cell.dataset.key === order?.key ? order.sign : 0;
      if (sign) cell.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
    body.replaceChildren(...found.slice(first, first + PAGE).map((row) => el("tr", { class: row.mark ?? null }, shown().map((column, i) =>
      el(i ? "td" : "th", { scope: i ? null : "row", class: column.numeric ? "number" : null }, content(column, row))))));
    const count = found.length.toLocaleString("en"), last = Math.min(first + PAGE, found.length);
    const all = found.length === rows.length ? "" : ` of ${rows.length.toLocaleString("en")}`;
    const range = found.length > PAGE ? `${(first + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ` : "";
    const text = `${range}${count}${all} ${words[rows.length === 1 ? 0 : 1]}`;
    if (said.textContent !== text) said.textContent = text; // else it would be read aloud again
    turning.hidden = found.length <= PAGE;
    back.disabled = first === 0;
    on.disabled = last >= found.length;
  };
  return (newColumns, newRows) => {
    const keys = (each) => each.map((column) => column.key).join("\n");
    const changed = keys(newColumns) !== keys(columns);
    rows = newRows;
    columns = newColumns.map((column) => {
      const values = rows.map(column.value).filter((value) => value !== null && value !== undefined && !NOT_FINITE.has(value));
      const numeric = values.length > 0 && values.every((value) => typeof value === "number");
      const write = numeric ? format(values) : String;
      return { ...column, numeric, write: (value) => (typeof value === "number" ? write(value) : value) };
    });
    if (changed) renderHead();
    else render();
  };
}

function content(column, row) {
  if (column.cell) return column.cell(row);
  const value = column.value(row);
  if (value === null || value === undefined) return "";
  return el("span", { class: "cut", title: value.length > 30 && value }, column.write(value));
}

/** Rows by a value, numbers before texts, rows without one last; equal ones stay in order. */
function sorted(rows, value, sign) {
  const kind = (item) => (item === null || item === undefined ? 2 : typeof item === "number" ? 0 : 1);
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (kind(x) !== kind(y)) return kind(x) - kind(y);
    if (kind(x) === 2) return 0;
    return sign * (kind(x) === 0 ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
  });
}

/** Whether a row has all that `text` asks for: each part a word somewhere in the row, or `COLUMN<VALUE`. */
function matcher(text, columns) {
  const tests = text.trim().split(/\s+/).filter(Boolean).map((part) => {
    const [, title, sign, wanted] = part.match(/^(.+?)(<=|>=|!=|=|<|>)(.+)$/) ?? [];
    const column = title && columns.find((each) => [each.key, each.title].some((name) => name.toLowerCase() === title.toLowerCase()));
    if (column) {
      const limit = wanted !== "" && !Number.isNaN(Number(wanted)) ? Number(wanted) : wanted.toLowerCase();
      return (row) => {
        const value = column.value(row);
        const own = typeof value === "string" ? value.toLowerCase() : value;
        return own !== null && own !== undefined && (typeof own === typeof limit ? COMPARES[sign](own, limit) : sign === "!=");
      };
    }
    const word = part.toLowerCase();
    return (row) => columns.some((each) => String(each.value(row) ?? "").toLowerCase().includes(word));
  });
  return (row) => tests.every((test) => test(row));
}

function remembered(name) {
  try {
    return JSON.parse(localStorage.getItem(`columns ${name}`)) ?? {};
  } catch {
    return {}; // a browser that keeps nothing, or what is not ours
  }
}

function remember(name, chosen) {
  try {
    localStorage.setItem(`columns ${name}`, JSON.stringify(chosen));
  } catch {
    // It is asked for again next time.
  }
}
