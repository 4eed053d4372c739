// Runs beside each other: their curves over each other, brought up to date while any of them goes on.

import { follow } from "./live.js";
import { curvePanel } from "./panel.js";

const sources = [...document.querySelectorAll("[data-source]")].map((item, colour) => ({ name: item.dataset.name, colour, base: item.dataset.source }));
const section = document.getElementById("curves");
const tools = section.querySelector("[data-tools]");
if (tools) {
  const refresh = curvePanel(section, tools, sources);
  sources.forEach(({ base }, i) => {
    let version = null;
    follow(base, (data) => {
      const before = version;
      version = data.version;
      return before !== null && before !== version && refresh(i);
    }, document.getElementById("status"));
  });
}
