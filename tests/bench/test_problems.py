"""What the searches are replayed on."""

import csv
import math
import random
from pathlib import Path

import pytest

from bench.problems import TABLE, Outcome, Problem, Table, hartmann, interpolated, listed, read_table, tuning
from bench.searches import chance
from bench.trials import COLUMNS, planned, share, subset
from cola_sweep.corpus import load_corpus
from cola_sweep.errors import UserError

HEAD = "checkpoint,lr,batch_size,pooling,seed,mcc_1,mcc_2,cpu_seconds"
ROWS = ["m,0.001,8,cls,1,0.1,0.2,3.0", "m,0.1,8,cls,1,0.5,0.4,5.0", "m,0.1,8,cls,2,0.9,0.9,5.0"]


@pytest.fixture
def small(tmp_path: Path) -> Table:
    (tmp_path / "t.csv").write_text("\n".join([HEAD, *ROWS, ""]))
    return read_table(tmp_path / "t.csv")


def test_a_table_has_the_trials_of_one_seed(small: Table) -> None:
    assert small.axes == {"checkpoint": ("m",), "lr": (0.001, 0.1), "batch_size": (8,), "pooling": ("cls",)}
    assert small.cells["m", 0.1, 8, "cls"] == Outcome((0.5, 0.4), 5.0)
    assert small.best == 0.5


def test_a_table_with_a_gap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join([HEAD, *ROWS, "m,0.1,16,cls,1,0.5,0.4,5.0", ""]))
    with pytest.raises(ValueError, match="3 cells of 4"):
        read_table(tmp_path / "t.csv")


def test_between_two_rates_the_outcome_lies_on_the_line(small: Table) -> None:
    problem = interpolated(small)
    rest = {"checkpoint": "m", "batch_size": 8, "pooling": "cls"}
    for rate in small.axes["lr"]:
        assert problem.outcome({**rest, "lr": rate}) == listed(small).outcome({**rest, "lr": rate})
    middle = problem.outcome({**rest, "lr": 0.01})
    assert middle.curve == pytest.approx((0.3, 0.3))
    assert middle.seconds == pytest.approx(4.0)


def test_hartmanns_maximum_is_where_it_is_known_to_be() -> None:
    problem = hartmann()
    x = [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]
    params = {f"x{i}": value for i, value in enumerate(x, 1)}
    params |= {name: 10 ** (6 * (params[name] - 1)) for name in ("x1", "x2")}
    assert problem.outcome(params).score == pytest.approx(problem.best, abs=1e-5)


def test_the_best_setting_of_an_encoder_is_the_best_there_is() -> None:
    best = {"checkpoint": "base", "lr": 10**-4.25, "batch_size": 16, "dropout": 0.1, "weight_decay": 0.01}
    assert tuning().outcome(best).score == pytest.approx(tuning().best)
    assert tuning().outcome(best | {"lr": 1e-2}).score == 0


@pytest.mark.parametrize("problem", [tuning(), hartmann()], ids=lambda problem: problem.name)
def test_nothing_is_better_than_the_best(problem: Problem) -> None:
    ask = chance(problem, 0)
    scores = [problem.outcome(ask([])).score for _ in range(300)]
    assert max(scores) <= problem.best
    assert len(set(scores)) > 100


def test_the_table_of_real_trials_is_whole() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == COLUMNS
    assert len(rows) - 1 >= 200
    assert sorted(tuple(row[:5]) for row in rows[1:]) == sorted(tuple(map(str, c.values())) for c in planned())
    scores = [float(value) for row in rows[1:] for value in row[5:]]
    assert all(map(math.isfinite, scores))
    assert 0.1 < read_table().best < 0.5


def test_shares_cover_all_trials_once() -> None:
    cells = [tuple(cell.values()) for cell in planned()]
    assert len(set(cells)) == len(cells)
    assert share("2/3") == (2, 3)
    for wrong in ("3/2", "0/2", "half"):
        with pytest.raises(ValueError):  # noqa: PT011 - argparse asks for no more
            share(wrong)


def test_a_corpus_without_the_source_is_refused() -> None:
    with pytest.raises(UserError, match="too few sentences of l-93"):
        subset(load_corpus("synthetic"))


def test_the_subset_is_cut_from_the_training_split() -> None:
    folder = Path(__file__).parents[3] / "shared" / "data" / "cola"
    if not folder.is_dir():
        pytest.skip("needs CoLA in ../shared/data/cola")
    whole = load_corpus(str(folder))
    found = subset(whole)
    assert (len(found.train), len(found.valid)) == (500, 600)
    assert set(found.train.sources) == set(found.valid.sources) == {"l-93"}
    assert {*found.train.sentences, *found.valid.sentences} <= set(whole.train.sentences)
    assert found.fingerprint != whole.fingerprint
    assert random.Random(0).choice(found.train.sentences) not in whole.valid.sentences
