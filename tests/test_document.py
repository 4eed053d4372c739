import pytest

from cola_sweep.document import parse
from cola_sweep.errors import UserError

TEXT = """\
method: grid
parameters:
  cell:
    values:
      - {lr: 1.0e-5}
      - lr: 2.0e-5
        batch_size: 8
  on: {value: 1}
  head:
    parameters:
      dropout: {values: [0.1,
        0.2]}
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("method", 1),
        ("parameters.cell.values[0].lr", 5),
        ("parameters.cell.values[1].batch_size", 7),
        ("parameters.cell.values[1].width", 6),  # not there: the nearest above it
        ("parameters.True", 8),
        ("parameters.head.dropout.values[1]", 12),
        ("parameters.head.parameters.dropout", 11),
        ("metric.goal", 1),
    ],
)
def test_each_key_path_has_its_line(where: str, line: int) -> None:
    assert parse(TEXT).line(where) == line


def test_what_is_no_yaml_is_told_with_its_line() -> None:
    with pytest.raises(UserError, match=r"^x\.yaml:2: is not YAML: key 'a' stands twice"):
        parse("a: 1\na: 2", "x.yaml")
    with pytest.raises(UserError, match=r"^line 1: is not YAML"):
        parse("{")


@pytest.mark.parametrize(
    ("value", "got"), [("2026-01-31", "'2026-01-31'"), ("!!binary aGk=", "\"b'hi'\""), ("!!set {a}", "\"{'a'}\"")]
)
def test_what_json_does_not_have_is_told_with_its_line(value: str, got: str) -> None:
    text = f"name: x\nparameters:\n  a:\n    values: [1, {value}]\n"
    with pytest.raises(UserError) as caught:
        parse(text, "x.yaml")
    assert str(caught.value).startswith(f"x.yaml:4: parameters.a.values[1]: got {got}; YAML reads this as what JSON")
    with pytest.raises(UserError, match=r"^parameters\.a\.values\[1\]: "):
        parse(text)
    assert parse(text.replace(value, f"'{value}'")).data["parameters"]["a"]["values"][1] == value
