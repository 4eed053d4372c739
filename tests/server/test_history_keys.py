"""What is known of each key of a run's history."""

import math

from cola_sweep.server.history_keys import fold, graphql


def test_types_are_counted_per_key_and_nested_keys_are_dotted() -> None:
    image = {"_type": "image-file", "path": "a.png"}
    rows = [{"a": 1, "n": {"x": 1.5, "y": {"z": None}}, "img": image}, {"a": "text", "n": {"x": [1]}, "b": True}]
    assert {key: entry["types"] for key, entry in fold({}, rows).items()} == {
        "a": {"number": 1, "string": 1},
        "n.x": {"number": 1, "list": 1},
        "n.y.z": {"nil": 1},
        "img": {"image-file": 1},
        "b": {"boolean": 1},
    }


def test_numbers_that_never_fall_are_monotonic() -> None:
    keys = fold({}, [{"up": 1, "down": 2, "mixed": 1}, {"up": 1, "down": 1, "mixed": "x"}, {"up": math.nan}])
    assert {key: entry["monotonic"] for key, entry in keys.items()} == {"up": True, "down": False, "mixed": False}
    assert keys["up"]["last"] == 1


def test_folding_goes_on_where_it_stopped() -> None:
    rows = [{"a": 3}, {"a": 2}, {"b": 1}]
    assert fold(fold({}, rows[:1]), rows[1:]) == fold({}, rows)


def test_the_answer_is_the_clients_shape() -> None:
    described = graphql(fold({}, [{"loss": 2}]), last_step=7)
    entry = {"typeCounts": [{"type": "number", "count": 1}], "monotonic": True, "previousValue": 2}
    assert described == {"sets": [], "keys": {"loss": entry}, "lastStep": 7}
