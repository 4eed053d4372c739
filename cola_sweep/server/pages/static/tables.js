// Tables in a run's page: each is the part `#table` of a page of its own, on the server, and its links and form stay here.

import { el } from "./dom.js";

/** Load each table of a section when it is opened; returns a refresh of those that have changed since. */
export function tablesOf(section) {
  const tables = [...section.querySelectorAll("details.table")];
  const opened = (table) => { if (table.open && !table.dataset.at) load(table, table.dataset.address); };
  for (const table of tables) {
    table.addEventListener("toggle", () => opened(table));
    table.addEventListener("click", (event) => {
      const link = event.target.closest("#table a");
      if (!link || link.pathname !== new URL(table.dataset.address, location.href).pathname) return;
      event.preventDefault();
      load(table, link.href, link.textContent);
    });
    table.addEventListener("submit", (event) => {
      event.preventDefault();
      load(table, `${new URL(event.target.action).pathname}?${new URLSearchParams(new FormData(event.target))}`, "Show");
    });
    opened(table);
  }
  const changed = (table) => table.dataset.at && table.dataset.version !== table.dataset.shown && !table.contains(document.activeElement);
  return () => Promise.all(tables.filter(changed).map((table) => load(table, table.dataset.at)));
}

async function load(table, address, pressed = null) {
  table.dataset.at = address;
  table.dataset.shown = table.dataset.version;
  const place = table.lastElementChild;
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" }, cache: "no-store" });
    const shown = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#table");
    place.replaceChildren(shown ?? el("p", { class: "empty" }, "The server did not give the table, or you are signed out: reload the page to try again."));
  } catch {
    delete table.dataset.shown;
    place.replaceChildren(el("p", { class: "empty" }, "The server does not answer: reload the page once it runs again."));
  }
  delete place.dataset.wait;
  // What was pressed is gone with the old table: the focus goes to what took its place.
  if (pressed) [...place.querySelectorAll("a, button")].find((node) => node.textContent.slice(0, 6) === pressed.slice(0, 6))?.focus();
}
