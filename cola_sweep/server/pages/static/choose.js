// Choosing runs of a table to compare them.

import { el } from "./dom.js";

const MOST = 8;

/** A bar before `place` that leads to the comparison of the runs chosen; returns `box(id, name)`, a run's checkbox. */
export function chooser(place, address) {
  const chosen = new Set();
  const bar = el("p", { class: "tools", role: "status", hidden: true });
  place.before(bar);
  const say = () => {
    const query = new URLSearchParams([...chosen].map((id) => ["run", id]));
    const words = chosen.size < 2 ? "Choose another run to compare." : chosen.size > MOST ? `At most ${MOST} runs can be compared; ${chosen.size} are chosen.` : null;
    bar.hidden = chosen.size === 0;
    bar.replaceChildren(words ?? el("a", { class: "button primary", href: `${address}?${query}` }, `Compare ${chosen.size} runs`));
  };
  return (id, name) => spaced(el("input", { type: "checkbox", checked: chosen.has(id), "aria-label": `compare ${name}`, onchange: (event) => {
    if (event.target.checked) chosen.add(id); else chosen.delete(id);
    say();
  } }));
}

function spaced(box) {
  box.style.marginRight = ".6em";
  return box;
}
