// The parts of a page that is followed: each is taken over from the page as the server makes it now.

import { unreachable } from "./live.js";

const part = (name, within = document) => within.querySelector(`[data-part="${name}"]`);
const nameOf = (node) => node.dataset.group ?? node.dataset.key ?? node.dataset.address;
const keysOf = (section) => [...section.querySelectorAll("[data-key], [data-address]")].map((node) => [nameOf(node), node.dataset.axis]).join("\n");
const versioned = (section) => [section, ...section.querySelectorAll("[data-version]")].filter((node) => node.dataset.version);

/**
 * Bring the elements `[data-part]` to life; returns what takes over what the server now says of them.
 *
 * `filled`: by the name of a part what a script makes of it; it may return a refresh. A part that has one is not
 * replaced while it shows the same keys, but told to look again, where its data-version may say for what.
 */
export function parts(filled) {
  const refreshes = new Map();
  const fill = (name) => {
    const section = part(name);
    if (section && filled[name]) refreshes.set(name, filled[name](section));
  };
  Object.keys(filled).forEach(fill);

  return async () => {
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
      } else if (refreshes.get(name) && (keysOf(old) === keysOf(fresh) || inUse(old))) {
        // What is new of a part in use comes once it is not; of what it shows, at once.
        const versions = new Map(versioned(fresh).map((node) => [nameOf(node), node.dataset.version]));
        for (const node of versioned(old)) node.dataset.version = versions.get(nameOf(node)) ?? node.dataset.version;
        refreshed.push(refreshes.get(name)());
      } else if (old.innerHTML !== fresh.innerHTML && !inUse(old)) {
        const tool = keepChoices(old, fresh);
        old.replaceWith(fresh);
        tool?.focus();
        fill(name);
      }
      before = part(name);
    }
    await Promise.all(refreshed);
  };
}

/** Let the tools of curves, and what is open, stand as they were; returns the tool that has the focus. */
function keepChoices(old, fresh) {
  let focused = null;
  for (const field of fresh.querySelectorAll("[data-tools] [name]")) {
    const before = old.querySelector(`[data-tools] [name="${field.name}"]`);
    if (!before) continue;
    [field.value, field.checked] = [before.value, before.checked];
    if (before === document.activeElement) focused = field;
  }
  const open = new Map([...old.querySelectorAll("details")].map((node) => [nameOf(node), node.open]));
  for (const node of fresh.querySelectorAll("details")) {
    // A table may be closed because another was the first.
    if (node.matches(".group")) node.open = open.get(nameOf(node)) ?? true;
    else node.open ||= open.get(nameOf(node)) ?? false;
  }
  return focused;
}

/** Whether someone has scrolled away from a console's end, or has something of the part marked or in use. */
function inUse(section) {
  const lines = section.querySelector(".console"), marked = getSelection();
  return (lines && lines.scrollHeight - lines.scrollTop - lines.clientHeight > 40)
    || (!marked.isCollapsed && section.contains(marked.anchorNode))
    || (section.contains(document.activeElement) && !document.activeElement.closest("[data-tools]"));
}
