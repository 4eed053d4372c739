"""Custom charts: the specs that users give the server, by `wandb.Api().create_custom_chart`."""

import json
from typing import Any

from cola_sweep.server import texts
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.store import settings

resolvers = Resolvers()
LARGEST = 2**20  # bytes of a spec


@resolvers.field("Mutation", "createCustomChart")
def create_custom_chart(context: Context, parent: Any, args: Args) -> Args:
    """Keep a spec under `<entity>/<name>`, in place of an earlier one."""
    given = args["input"]
    entity, name = given.get("entity") or context.user.name, given["name"]
    try:
        spec = texts.parsed(given["spec"])
    except ValueError as error:
        raise Refused(f"the spec of chart {name!r} is not JSON: {error}") from None
    if not isinstance(spec, dict):
        raise Refused(f"the spec of chart {name!r} must be a JSON object, got {type(spec).__name__}")
    if len(given["spec"]) > LARGEST:
        raise Refused(f"the spec of chart {name!r} has {len(given['spec'])} bytes; it may have {LARGEST}")
    if given["type"] != "vega2":
        raise Refused(f"a chart is of type 'vega2', got {given['type']!r}")
    settings.put(context.store, _setting(f"{entity}/{name}"), given["spec"])
    return {"chart": {"__typename": "CustomChart", "id": f"{entity}/{name}"}}


def user_spec(context: Context, name: str) -> dict[str, Any] | None:
    """The spec that was kept under `<entity>/<name>`, or None."""
    text = settings.get(context.store, _setting(name))
    return None if text is None else json.loads(text)


def _setting(name: str) -> str:
    return f"chart {name}"
