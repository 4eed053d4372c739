// A run's page: its curves, charts, media, tables and console; while the run goes on, all of it is brought up to date.

import { showChart, showMedia, whenSeen } from "./charts.js";
import { el } from "./dom.js";
import { follow, trouble } from "./live.js";
import { curvePanel } from "./panel.js";
import { parts } from "./parts.js";
import { tablesOf } from "./tables.js";

const base = `/data${location.pathname.replace(/\/$/, "")}`;
const takeOver = parts({
  curves: (section) => curvesOf(section, section.querySelector("[data-tools]")),
  system: (section) => curvesOf(section, null),
  charts: (section) => whenSeen(section, ".chart", (figure) => showChart(figure, base)),
  media: (section) => whenSeen(section, ".media", (figure) => showMedia(figure, base)),
  tables: tablesOf,
  console: consoleOf,
});

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
}

const status = document.getElementById("status");
let { version } = status.dataset;
follow(base, async (data) => {
  if (version !== data.version) await takeOver();
  version = data.version;
}, status);
