"""`cola-sweep report --publish`: the written report as a W&B Report, beside charts that W&B draws of the sweep's runs.

Through wandb-workspaces, an optional extra (`pip install 'cola-sweep[publish]'`), imported when asked for. What is
published is `report.md`, section by section, so it says what the page says; its figures are files, and stay there.
"""

import re
from pathlib import Path
from typing import Any

from cola_sweep.connection import server_errors, within
from cola_sweep.errors import UserError
from cola_sweep.snapshot import SLOW_SECONDS, Snapshot

LONGEST_TITLE = 128  # of a W&B Report


def publish(api: Any, taken: Snapshot, folder: Path) -> str:
    """Publish the report in `folder`, in the place of the one that was published of this sweep; returns its address.

    Raises:
        UserError: wandb-workspaces is not there, or the server does not take Reports.
    """
    try:
        import wandb_workspaces.reports.v2 as reports
    except ImportError as error:
        fix = "run `pip install 'cola-sweep[publish]'`"
        raise UserError("--publish", rule=f"needs wandb-workspaces ({error})", fix=fix) from error

    entity, project, sweep_id = taken.path.split("/")
    title = f"Sweep {sweep_id}: {taken.name}"[:LONGEST_TITLE]
    blocks = [reports.MarkdownBlock(text=text) for text in sections((folder / "report.md").read_text("utf-8"))]
    runs = reports.Runset(entity=entity, project=project, name=taken.name, filters=f"Sweep = '{sweep_id}'")
    charts = [reports.ParameterImportancePlot(with_respect_to=taken.metric), reports.LinePlot(y=[taken.metric])]
    report = reports.Report(
        entity=entity, project=project, title=title, description=taken.url,
        blocks=[*blocks, reports.PanelGrid(runsets=[runs], panels=charts)],
    )  # fmt: skip

    def save() -> str:
        earlier = (each.id for each in api.reports(f"{entity}/{project}") if each.display_name == title)
        report.id = next(earlier, "")
        return str(report.save().url)

    try:
        return within(SLOW_SECONDS, save)
    except (ValueError, *server_errors()) as error:  # type: ignore[misc]
        rule = f"the server does not take Reports ({error})"
        raise UserError("--publish", rule=rule, fix=f"use wandb.ai; the report is in {folder}") from error


def sections(markdown: str) -> list[str]:
    """The report's Markdown cut before its headings of the second level, without figures, which are files beside it."""
    lines = [line for line in markdown.splitlines() if not line.startswith("![")]
    return [part.strip() for part in re.split(r"^(?=## )", "\n".join(lines), flags=re.MULTILINE) if part.strip()]
