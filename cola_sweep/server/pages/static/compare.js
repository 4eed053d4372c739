// Runs beside each other: their curves over each other, brought up to date while any of them goes on.

import { follow } from "./live.js";
import { curvePanel } from "./panel.js";

const sources = [...document.querySelectorAll("[data-source]")].map((item, colour) => ({ name: item.dataset.name, colour, base: item.dataset.source }));
const section = document.getElementById("curves");
const tools = section.querySelector("[data-tools]");
if (tools) {
  const refresh = curvePanel(section, tools, sources);
  for (const { base } of sources) {
    let version = null;
    follow(base, (data) => {
      if (version !== null && version !== data.version) refresh();
      version = data.version;
    }, document.getElementById("status"));
  }
}
