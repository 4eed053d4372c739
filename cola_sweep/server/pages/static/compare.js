// Runs beside each other: their curves over each other, and all else, brought up to date while any of them goes on.

import { follow } from "./live.js";
import { curvePanel } from "./panel.js";
import { parts } from "./parts.js";

const sources = [...document.querySelectorAll("[data-source]")].map((item, colour) => ({ name: item.dataset.name, colour, base: item.dataset.source, version: item.dataset.version }));
const changed = new Set(); // sources, whose curves may have new points
const takeOver = parts({
  curves: (section) => {
    const refresh = curvePanel(section, section.querySelector("[data-tools]"), sources);
    return async () => {
      for (const i of changed) if (await refresh(i)) changed.delete(i);
    };
  },
});
let taking = Promise.resolve(); // one look at the page after the other

sources.forEach((source, i) => follow(source.base, async (data) => {
  if (source.version === data.version) return;
  changed.add(i);
  await (taking = taking.catch(() => {}).then(takeOver));
  source.version = data.version;
}, document.getElementById("status")));
