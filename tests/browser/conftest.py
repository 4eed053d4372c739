"""A real Chromium that is signed in to a running server.

A test of a page fails where the browser complains of anything: a script's error, something the policy refused.
"""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from cola_sweep.server.store import Store
from tests.system.conftest import LiveServer, live_server

__all__ = ["live_server"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# The browser asks nobody but the server, whatever it would like to update; root has no sandbox.
FLAGS = ["--no-sandbox", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
PATIENCE = 180_000  # ms: what a page waits for comes from other processes, on a machine with much else to do
WIDE, PHONE = (1280, 900), (390, 844)
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium here: apt-get install chromium (as .ci/run does)")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for all tests of a file; while it is open, an event loop runs in this thread, where others want their own."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of; a test takes out what it expects."""
    return []


@pytest.fixture
def open_page(browser: Browser, live_server: LiveServer, complaints: list[str]) -> Iterator[Open]:
    """Open a path of the server, signed in: `open_page("/me/demo", size=PHONE, scheme="dark")`."""
    contexts: list[BrowserContext] = []

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} {message.location}")

    def open_page(path: str, size: tuple[int, int] = WIDE, scheme: str = "light", zone: str = "UTC") -> Page:
        context = browser.new_context(
            base_url=live_server.base_url,
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": size[0], "height": size[1]},
            timezone_id=zone,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/login")
        page.get_by_label("API key").fill(live_server.api_key)
        page.get_by_role("button", name="Sign in").click()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def records(live_server: LiveServer) -> Iterator[Store]:
    """The running server's own records, to put in what would take a client long."""
    store = Store(live_server.data_dir / "server.db")
    yield store
    store.close()


# Texts whose contrast with what lies behind them is below what WCAG AA asks: 4.5, or 3 for large ones.
_CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = new Set();
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.matches(":disabled, svg *")) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(parse(style.color).slice(0, 3)), light(behind(node))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.add(`${node.tagName} ${node.className} ${ratio.toFixed(2)}`);
  }
  return [...found];
}"""


def too_pale(page: Page) -> list[str]:
    """The elements of a page whose text is too pale to be read (WCAG 2.2, 1.4.3)."""
    found: list[str] = page.evaluate(_CONTRAST)
    return found


# What takes the keyboard: all that can be pressed, written in, chosen from or scrolled, and is there to be seen.
_CONTROLS = """() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")]
  .filter((node) => node.checkVisibility() && node.tabIndex >= 0 && !node.disabled && node.type !== "hidden")"""
_FOCUS = """() => {
  const node = document.activeElement, style = getComputedStyle(node);
  const all = (CONTROLS)();
  const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  return [all.indexOf(node), outline ? null : node.outerHTML.slice(0, 120)];
}""".replace("CONTROLS", _CONTROLS)


def tab_through(page: Page) -> list[str]:
    """Press Tab from the page's top to its end: what was not reached in order, or does not show that it is there."""
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    names: list[str] = page.evaluate(f"() => ({_CONTROLS})().map((node) => node.outerHTML.slice(0, 120))")
    wrong = []
    for place, name in enumerate(names):
        page.keyboard.press("Tab")
        at, hidden = page.evaluate(_FOCUS)
        if at != place:
            return [*wrong, f"Tab came to {at}, not to {place}: {name}"]
        if hidden:
            wrong.append(f"no outline: {hidden}")
    return wrong


def unnamed(page: Page) -> list[str]:
    """Buttons, links, fields and images that a screen reader has no name for."""
    script = """() => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, svg[role]")]
      .filter((node) => node.checkVisibility() && node.tabIndex >= 0 | node.matches("svg"))
      .filter((node) => !(node.innerText?.trim() || node.getAttribute("aria-label") || node.labels?.length))
      .filter((node) => !node.querySelector("img[alt]")?.alt)
      .map((node) => node.outerHTML.slice(0, 120))"""
    found: list[str] = page.evaluate(script)
    return found
