"""A report's values as HTML and as Markdown, through the templates. Whatever was logged stays text in both.

Imports jinja2, `document` and `figures`.
"""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from cola_sweep.figures import Gallery, dark_rules, inline, standalone
from cola_sweep.reporting.document import Report, Table


def files(report: Report, gallery: Gallery) -> dict[str, str]:
    """Name and text of the page, the Markdown and the figures as files of their own."""
    drawn = {f"{figure.name}.svg": standalone(figure) for figure in gallery.figures}
    return {**drawn, "report.md": markdown(report), "index.html": html(report)}


def html(report: Report) -> str:
    """The page, with all it needs inside; its policy lets run no script but ours."""
    script = resources.files("cola_sweep").joinpath("templates", "parallel.js").read_text("utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return _template("index.html.j2").render(
        report=report, script=Markup(script), script_hash=digest, dark_figures=Markup(dark_rules("figure"))
    )


def markdown(report: Report) -> str:
    """The same as Markdown; the figures are files beside it."""
    return _template("report.md.j2").render(report=report)


def escape_markdown(text: Any) -> str:
    """Any text as one line of plain Markdown, safe in a table cell."""
    plain = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = re.sub(r"([\\`*_{}\[\]|#~$!])", r"\\\1", plain)
    # A host that is no link: GitHub makes one of any bare address.
    plain = re.sub(r"\b(https?|ftp)(?=://)|\b(www)(?=\.)", r"\g<0>&#8203;", plain, flags=re.IGNORECASE)
    return re.sub(r"^([-+=]|\d+[.)])(?=\s|$)", r"\\\1", plain)


def markdown_address(href: str) -> str:
    """An address as the target of a Markdown link."""
    return re.sub(r"[\s()<>|\\]", lambda found: f"%{ord(found[0]):02X}", href)


def _aligned(table: Table) -> list[str]:
    return ["---:" if column.kind == "number" else "---" for column in table.columns]


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cola_sweep"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "md": escape_markdown,
        "address": markdown_address,
        "aligned": _aligned,
        "inline": lambda figure: Markup(inline(figure)),
    }
    environment.tests["typed"] = lambda value, kind: type(value).__name__ == kind
    return environment.get_template(name)
