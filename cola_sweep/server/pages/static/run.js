// A run's page: its curves, charts, media, tables and console; while the run goes on, all of it is brought up to date.

import { showChart, showMedia, whenSeen } from "./charts.js";
import { el } from "./dom.js";
import { follow, trouble, unreachable } from "./live.js";
import { curvePanel } from "./panel.js";
import { tablesOf } from "./tables.js";

const base = `/data${location.pathname.replace(/\/$/, "")}`;
const part = (name, within = document) => within.querySelector(`[data-part="${name}"]`);
const keyOf = (node) => node.dataset.key ?? node.dataset.address;
const keysOf = (section) => [...section.querySelectorAll("[data-key], [data-address]")].map((node) => [keyOf(node), node.dataset.axis]).join("\n");

// What a script has filled is not replaced while it shows the same keys, but told to look again where data-version says
// that there is more to see.
const FILLED = {
  curves: (section) => curvesOf(section, section.querySelector("[data-tools]")),
  system: (section) => curvesOf(section, null),
  charts: (section) => whenSeen(section, ".chart", (figure) => showChart(figure, base)),
  media: (section) => whenSeen(section, ".media", (figure) => showMedia(figure, base)),
  tables: (section) => tablesOf(section),
  console: (section) => consoleOf(section),
};
const refreshes = new Map();

function fill(name) {
  const section = part(name);
  if (section && FILLED[name]) refreshes.set(name, FILLED[name](section));
}

function curvesOf(section, tools) {
  const refresh = curvePanel(section, tools, [{ name: "", colour: 0, base }]);
  let drawn = section.dataset.version;
  return async () => {
    const { version } = section.dataset;
    if (version !== drawn && (await refresh(0))) drawn = version;
  };
}

/** The console begins at its end, where the newest lines are, and stays there. */
function consoleOf(section) {
  const lines = section.querySelector(".console");
  if (lines) lines.scrollTop = lines.scrollHeight;
  const button = section.querySelector("[data-earlier]");
  button?.addEventListener("click", async () => {
    const came = await fetch(`${base}/console?before=${button.dataset.earlier}`, { headers: { accept: "application/json" } }).catch(() => null);
    if (!came?.ok) return button.after(el("p", { role: "alert", class: "empty" }, `They did not come: ${await trouble(came)}.`));
    const answer = await came.json();
    const height = lines.scrollHeight;
    lines.prepend(...answer.lines.map((line) => el("span", { class: line.level === "error" ? "line wrong" : "line" }, `${line.text}\n`)));
    lines.scrollTop += lines.scrollHeight - height;
    lines.focus();
    const first = answer.lines[0]?.number ?? 0;
    button.dataset.earlier = first;
    button.hidden = first === 0;
  });
  return () => {};
}

/** Take over what the server now says of the run. */
async function takeOver() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" }).catch(unreachable);
  if (!answer.ok) unreachable(); // the next look at the feed says why
  const now = new DOMParser().parseFromString(await answer.text().catch(unreachable), "text/html");
  const refreshed = [];
  let before = null;
  for (const fresh of now.querySelectorAll("[data-part]")) {
    const name = fresh.dataset.part, old = part(name);
    if (!old) {
      before.closest("main > *").after(fresh);
      fill(name);
    } else if (refreshes.has(name) && name !== "console" && (keysOf(old) === keysOf(fresh) || reading(name, old))) {
      // What is new of a part that someone reads comes once nobody does; of what it shows, at once.
      const versions = new Map(versioned(fresh).map((node) => [keyOf(node), node.dataset.version]));
      for (const node of versioned(old)) node.dataset.version = versions.get(keyOf(node)) ?? node.dataset.version;
      refreshed.push(refreshes.get(name)());
    } else if (old.innerHTML !== fresh.innerHTML && !reading(name, old)) {
      const tool = keepChoices(old, fresh);
      old.replaceWith(fresh);
      tool?.focus();
      fill(name);
    }
    before = part(name);
  }
  await Promise.all(refreshed);
}

const versioned = (section) => [section, ...section.querySelectorAll("[data-version]")].filter((node) => node.dataset.version);

const nameOf = (node) => node.dataset.group ?? keyOf(node);

/** Let the tools of curves, and what is open, stand as they were; returns the tool that has the focus. */
function keepChoices(old, fresh) {
  let focused = null;
  for (const field of fresh.querySelectorAll("[data-tools] [name]")) {
    const before = old.querySelector(`[data-tools] [name="${field.name}"]`);
    if (!before) continue;
    [field.value, field.checked] = [before.value, before.checked];
    if (before === document.activeElement) focused = field;
  }
  const before = new Map([...old.querySelectorAll("details")].map((node) => [nameOf(node), node.open]));
  for (const node of fresh.querySelectorAll("details")) node.open = before.get(nameOf(node)) ?? node.open;
  return focused;
}

/** Whether someone has scrolled away from the console's end, or has something of the part selected or in use. */
function reading(name, section) {
  const lines = name === "console" && section.querySelector(".console"), marked = getSelection();
  return (lines && lines.scrollHeight - lines.scrollTop - lines.clientHeight > 40)
    || (!marked.isCollapsed && section.contains(marked.anchorNode))
    || (section.contains(document.activeElement) && !document.activeElement.closest("[data-tools]"));
}

Object.keys(FILLED).forEach(fill);
const status = document.getElementById("status");
let { version } = status.dataset;
follow(base, async (data) => {
  if (version !== data.version) await takeOver();
  version = data.version;
}, status);
