"""Lines of a run's console as the client streams them. Pure."""

import json


def console_line(text: str) -> dict[str, str | None]:
    """A console line's timestamp, level, label and text.

    Args:
        text: as streamed: `[ERROR ]<ISO time> <text>`, or a JSON object with ts, content, level, label.
    """
    if text.startswith("{"):
        try:
            line = json.loads(text)
        except ValueError:
            line = {}
        if isinstance(line, dict) and "content" in line:
            level = line.get("level") or "info"
            return {"timestamp": line.get("ts"), "level": level, "label": line.get("label"), "line": line["content"]}
    level, rest = ("error", text.removeprefix("ERROR ")) if text.startswith("ERROR ") else ("info", text)
    stamp, _, line = rest.partition(" ")
    if _is_time(stamp):
        return {"timestamp": stamp, "level": level, "label": None, "line": line}
    return {"timestamp": None, "level": level, "label": None, "line": rest}


def _is_time(text: str) -> bool:
    return len(text) >= 19 and text[4] == text[7] == "-" and text[10] == "T" and text[:4].isdecimal()
