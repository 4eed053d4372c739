"""Which charts a run logged: read from its config, where the client writes them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Logged:
    """A chart that a run logged.

    Attributes:
        key: as it was logged.
        spec: the name of its spec, `wandb/line/v0` or `<entity>/<name>`.
        table: the key of its table in history and summary.
        fields, strings: what stands for the spec's fields and texts.
    """

    key: str
    spec: str
    table: str
    fields: Mapping[str, Any]
    strings: Mapping[str, Any]


def charts(config: Mapping[str, Any]) -> list[Logged]:
    """The charts in a run's config, by key; what is not as a client writes it is left out.

    Args:
        config: as it was sent, each key `{"value": v}`; charts lie in `_wandb`, under `visualize` those of
            `wandb.plot`, under `viz` those of `wandb.visualize`, which `wandb.sklearn` uses.
    """
    own = _mapping(_mapping(config.get("_wandb")).get("value"))
    found = [_plotted(key, _mapping(_mapping(chart).get("panel_config"))) for key, chart in _items(own, "visualize")]
    found += [
        Logged(
            key, str(_mapping(chart).get("id")), str(_mapping(chart["historyFieldSettings"]).get("key", key)), {}, {}
        )
        for key, chart in _items(own, "viz")
        if isinstance(chart, dict) and "historyFieldSettings" in chart
    ]
    return sorted(found, key=lambda chart: chart.key)


def _plotted(key: str, panel: Mapping[str, Any]) -> Logged:
    return Logged(
        key,
        str(panel.get("panelDefId")),
        _table_key(panel.get("userQuery")) or f"{key}_table",
        _mapping(panel.get("fieldSettings")),
        _mapping(panel.get("stringSettings")),
    )


def _table_key(query: Any) -> str | None:
    """The table that a chart's query asks of each run: the argument `tableKey` of its field `summaryTable`."""
    if isinstance(query, list):
        return next((found for part in query if (found := _table_key(part))), None)
    if not isinstance(query, dict):
        return None
    if query.get("name") == "tableKey" and isinstance(query.get("value"), str):
        return str(query["value"])
    return _table_key([query.get(part) for part in ("queryFields", "fields", "args")])


def _items(own: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    return list(_mapping(own.get(name)).items())


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
