"""The arrows between rooms point one way, and light commands stay light."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cola_sweep"
TRAINING_LIBRARIES = {"torch", "pytorch_lightning", "torchmetrics", "transformers", "datasets", "wandb"}
HEAVY = TRAINING_LIBRARIES | {"optuna", "pandas", "scipy", "sklearn", "matplotlib", "seaborn"}
# What the server may use of the rest of the package: sweep files, their rules, the points of their spaces, and the
# user's error.
SHARED_WITH_SERVER = {"cola_sweep"} | {
    f"cola_sweep.{room}"
    for room in (
        "axes",
        "document",
        "domains",
        "errors",
        "login",
        "parameters",
        "points",
        "retries",
        "space",
        "start_rules",
        "sweep_rules",
    )
}
# Rooms in the order of the arrows; each may import those before it and its own.
CORE = ["errors", "config", "metric_names", "document", "parameters", "portable", "branches", "space"]
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = ("cola_sweep", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imported(path: Path) -> set[str]:
    """Every module that `path` imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or ""}
            if node.module in ("cola_sweep", "cola_sweep.server", "cola_sweep.server.store"):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_server_and_the_rest_know_each_other_only_over_http(path: Path) -> None:
    names = imported(path)
    if "server" in path.relative_to(PACKAGE).parts:
        assert not {name.split(".")[0] for name in names} & TRAINING_LIBRARIES
        ours = {
            name for name in names if name.split(".")[0] == "cola_sweep" and not name.startswith("cola_sweep.server")
        }
        assert ours <= SHARED_WITH_SERVER
    else:
        assert not {name for name in names if name.startswith("cola_sweep.server")}


@pytest.mark.parametrize("name", CORE)
def test_core_imports_only_the_core_before_it(name: str) -> None:
    allowed = {f"cola_sweep.{earlier}" for earlier in CORE[: CORE.index(name)]}
    ours = {module for module in imported(PACKAGE / f"{name}.py") if module.startswith("cola_sweep")}
    assert ours <= allowed
    assert not {module.split(".")[0] for module in imported(PACKAGE / f"{name}.py")} & HEAVY


def test_the_model_knows_nothing_of_charts_tables_or_runs() -> None:
    reached, left = set(), {"cola_sweep.model"}
    while left:
        name = left.pop()
        reached.add(name)
        path = PACKAGE.parent / f"{name.replace('.', '/')}.py"
        left |= (imported(path) if path.is_file() else set()) - reached
    assert {"cola_sweep.metrics", "cola_sweep.optimizer"} <= reached
    strays = {"plots", "samples", "callbacks", "tracking", "artifacts"}
    assert not reached & ({f"cola_sweep.{name}" for name in strays} | {"wandb", "matplotlib", "seaborn"})


def test_only_the_store_holds_sql() -> None:
    strays = [
        p
        for p in MODULES
        if "sqlite3" in imported(p) and "store" not in p.parts and p.name not in ("app.py", "serve.py")
    ]
    assert strays == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_module_outgrows_a_reader(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("command", ["check", "doctor", "serve", "agents", "warm", "report", "winner", "demo"])
def test_help_imports_nothing_heavy(command: str) -> None:
    script = (
        "import sys; from cola_sweep.cli import main\n"
        f"try: main([{command!r}, '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
