"""JSON texts of clients: what is kept can be read again, wherever that is."""

import doctest
from typing import Any

import pytest

from cola_sweep.server import texts


def test_its_examples_hold() -> None:
    assert doctest.testmod(texts) == doctest.TestResults(failed=0, attempted=3)


def nested(depth: int) -> str:
    """Objects and lists in turn."""
    text = "1"
    for place in range(depth):
        text = f"[{text}]" if place % 2 else f'{{"a": {text}}}'
    return text


@pytest.mark.parametrize("encode", [str, str.encode])
def test_what_is_nested_too_deeply_is_refused(encode: Any) -> None:
    for depth in (101, 950, 100_000):
        with pytest.raises(ValueError, match="nested"):
            texts.parsed(encode(nested(depth)))
    assert isinstance(texts.parsed(encode(nested(100))), list)
    assert len(texts.parsed(encode(f"[{nested(60)}, {nested(60)}, {{}}]"))) == 3, "wide is not deep"


def test_what_a_run_keeps_is_as_shallow() -> None:
    deep = f'{{"a": {nested(950)}, "b": {"9" * 400}}}'
    with pytest.raises(ValueError, match=r"^the summary is not JSON: it is nested more than 100 deep$"):
        texts.read("the summary", deep)


def test_answers_are_remembered_for_texts_that_are_not_long() -> None:
    asked: list[str] = []

    def answer(text: str) -> int:
        asked.append(text)
        return len(text)

    remembered = texts.remembered(2, longest=3)(answer)
    assert [remembered(text) for text in ("abc", "abc", "abcd", "abcd", "a", "b", "abc")] == [3, 3, 4, 4, 1, 1, 3]
    assert asked == ["abc", "abcd", "abcd", "a", "b", "abc"], "and of few alone"
