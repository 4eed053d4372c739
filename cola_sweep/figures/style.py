"""How every figure of a report looks, and how a drawing becomes SVG text that is the same whenever its data are.

Imports matplotlib (Agg) and seaborn. Colours are seaborn's "colorblind" ones; what colour tells, a marker,
a line style or a label tells too, so the figures survive grey print. Each colour is drawn as its light
variant; `dark_rules` says in CSS what takes its place on a dark screen.
"""

import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullFormatter

from cola_sweep.wording import show_value

INK, LINE, MUTED, PAPER = "#1d232b", "#c9ced6", "#8a929d", "#ffffff"
BLUE, ORANGE, GREEN, PINK, BROWN = (sns.color_palette("colorblind").as_hex()[place] for place in (0, 1, 2, 4, 5))
DARK = {
    INK: "#e4e7eb", LINE: "#3a424c", MUTED: "#7d8793", PAPER: "#14171b",
    BLUE: "#56b4e9", ORANGE: "#f0a93b", GREEN: "#2fc498", PINK: "#e29ad4", BROWN: "#d8ac83",
}  # fmt: skip
CURVES = list(
    zip((BLUE, ORANGE, GREEN, PINK, BROWN), ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))), "osD^v", strict=True)
)
# Never so strong that INK is hard to read on it, in either theme.
SHADES = LinearSegmentedColormap.from_list("shades", [to_rgba(BLUE, 0.04), to_rgba(BLUE, 0.55)])
SIZE, WIDE = (4.8, 3.1), (9.2, 3.7)  # inches of 72 CSS pixels
STYLE: dict[Any, Any] = {
    "axes.edgecolor": LINE, "axes.labelcolor": INK, "axes.facecolor": "none", "axes.grid": True, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": "none", "savefig.facecolor": "none",
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5, "grid.color": LINE,
    "grid.linewidth": 0.6, "legend.frameon": False, "svg.fonttype": "none", "text.color": INK, "xtick.color": LINE,
    "xtick.labelcolor": INK, "ytick.color": LINE, "ytick.labelcolor": INK, "errorbar.capsize": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A drawing: its file name without ending, what it shows in one line, and the SVG text."""

    name: str
    caption: str
    svg: str
    wide: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A figure that the data do not carry, and why."""

    title: str
    reason: str


def drawing(
    name: str,
    caption: str,
    draw: Callable[[Axes], None],
    *,
    size: tuple[float, float] = SIZE,
    titles: Sequence[str] = (),
) -> Figure:
    """What `draw` puts on one pair of axes. An artist with the gid `item-<i>` gets `titles[i]` as its tooltip."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas.subplots())
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = re.sub(
        r'<g id="item-(\d+)">',
        lambda found: f'<g class="item"><title>{html.escape(titles[int(found[1])])}</title>',
        re.sub(r"\n +", "\n", buffer.getvalue()),
    )
    return Figure(name, caption, svg, wide=size[0] > SIZE[0])


def inline(figure: Figure) -> str:
    """The SVG as an element of a page: no prolog, and ids that no other figure of the page has."""
    svg = figure.svg[figure.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{figure.name}-", svg)


def standalone(figure: Figure) -> str:
    """The SVG as a file of its own, with its background and its dark variant."""
    style = f"<style>{dark_rules()}</style>"
    paper = f'<rect width="100%" height="100%" style="fill: {PAPER}"/>'
    return re.sub(r"(<svg\b[^>]*>)", lambda found: found[1] + style + paper, figure.svg, count=1)


def dark_rules(within: str = "") -> str:
    """CSS that gives drawings below the selector `within` their colours on a dark screen."""
    rules = "".join(
        f'{within} [style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def log_ticks(axis: Axis) -> None:
    """Powers of ten as `1e-5`, which needs no mathematics to be set."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: show_value(value)))
    axis.set_minor_formatter(NullFormatter())


def short(text: str, most: int = 24) -> str:
    """At most so many characters of a name, as matplotlib draws it: dollars are no mathematics."""
    text = text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-most // 2 :]}"
    return text.replace("$", r"\$")


def spread(places: np.ndarray, width: float = 0.24) -> np.ndarray:
    """Equal places moved apart a little, in a fixed order, so that equal dots do not hide each other.

    Steps of the golden section fill the width evenly however many there are.
    """
    seen: dict[float, int] = {}
    moved = places.astype(float)
    for row, place in enumerate(places):
        order = seen.get(place, 0)
        seen[place] = order + 1
        moved[row] += width * ((0.5 + order * 0.618) % 1 - 0.5)
    return moved
