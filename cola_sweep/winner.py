"""`cola-sweep winner`: the best few configurations again with fresh seeds, and which of them really won.

    cola-sweep winner entity/project/id --best 3 --seeds 3 --n 2

A small grid sweep, plain W&B YAML, run by the same agents; its report decides, and the model of the winner gets the
alias `champion`. The seeds are fresh because those of the first sweep chose the configurations: their values are too
good. Called again it takes up the sweep that is there. Imports `agents`, `champion`, `hub`,
`records`, `report` and `snapshot`; wandb and pandas inside functions.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep import agents, champion, kept, records, report, snapshot
from cola_sweep.connection import ask, connect
from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers
from cola_sweep.records import Record
from cola_sweep.snapshot import Snapshot

if TYPE_CHECKING:
    from cola_sweep.findings import Findings

CELL = "cell"  # the tied settings of one configuration
REPEATS = "winner of "  # begins the description of such a sweep, which names the first one
OURS = "cola_sweep"  # in the program or command of a sweep whose trials read tied settings
OVER = ("FINISHED", "STOPPED", "CANCELED", "CANCELLED", "FAILED", "CRASHED")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep winner`."""
    parser.add_argument(
        "sweep", metavar="SWEEP", nargs="?", help="entity/project/id, project/id or id (default: newest)"
    )
    parser.add_argument("--best", type=int, default=3, help="configurations to repeat (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="fresh seeds for each (default: %(default)s)")
    parser.add_argument("--n", type=int, default=1, help="agents to start (default: %(default)s)")
    parser.add_argument("--cold", action="store_true", help="start each trial as a process of its own, imports and all")
    parser.add_argument("--out", metavar="FOLDER", default="reports", help="folder of reports (default: %(default)s)")
    parser.add_argument("--replace", action="store_true", help="make the winner champion even if it beats none")


def main(args: argparse.Namespace) -> int:
    """Repeat, decide, and name the champion; 0 unless trials were interrupted or too few finished.

    Raises:
        UserError: a flag, the server or the sweep cannot be used.
    """
    for flag, least in (("best", 1), ("seeds", 2), ("n", 1)):
        if getattr(args, flag) < least:
            raise UserError(
                f"--{flag}", got=getattr(args, flag), rule=f"must be at least {least}", fix=f"write --{flag} {least}"
            )
    hub_answers()  # one look for all trials, which inherit the answer
    env = dict(os.environ)  # now: what wandb adds when it connects is for this process alone
    api, cache, folder = connect(), kept.default_folder(), Path(args.out)
    path = _repeats(api, snapshot.take(api, args.sweep or None, kept_in=cache), args, cache)
    print(f"sweep {path}", flush=True)
    if api.sweep(path).state.upper() not in OVER:
        code = agents.run(path, n=args.n, cold=args.cold, env=env)
        if code in agents.INTERRUPTED:
            return code
    taken = snapshot.take(api, path, kept_in=cache)
    found, target = report.findings_of(taken), folder / report.folder_name(taken.id)
    if kept.recall(cache, target, report.inputs(taken)) is None:
        report.write(found, folder)
        kept.remember(cache, target, report.inputs(taken), report.best_three(found))
    print(f"{target / 'index.html'}\n{_verdict(found)}")
    return _name_champion(api, taken, found, args.replace)


def _repeats(api: Any, source: Snapshot, args: argparse.Namespace, kept_in: Path | None) -> str:
    """The path of the sweep that repeats the best of `source`: itself if it does, one that is there, or a new one.

    One that is there goes on where it was interrupted. One that is over is taken if it decides: where too many of its
    trials failed, what made them fail may be mended.
    """
    if str(source.config.get("description", "")).startswith(REPEATS):
        return source.path
    config = plan(source, best=args.best, seeds=args.seeds)
    project = source.path.rpartition("/")[0]
    entity, _, name = project.partition("/")
    there = ask(lambda: list(api.project(name=name, entity=entity).sweeps()), f"sweeps of {project}")
    for sweep in there:
        path = f"{project}/{sweep.id}"
        if _same(sweep.config or {}, config) and (
            str(sweep.state).upper() in ("RUNNING", "PENDING")
            or (str(sweep.state).upper() == "FINISHED" and _decides(snapshot.take(api, path, kept_in=kept_in)))
        ):
            return path
    import wandb

    made: str = ask(lambda: wandb.sweep(config, entity=entity, project=name), f"sweep to repeat {source.path}")
    return f"{project}/{made}"


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sweeps repeat the same configurations with the same seeds."""
    keys = ("description", "parameters")
    return all(json.dumps(one.get(key), sort_keys=True) == json.dumps(other.get(key), sort_keys=True) for key in keys)


def _decides(taken: Snapshot) -> bool:
    """Whether each configuration of a sweep that repeats them finished with two seeds."""
    counted = records.best_first(taken.records, taken.metric, taken.goal)
    cells = taken.config["parameters"][CELL]["values"]
    return all(sum(record.config.get(CELL) == cell for record in counted) > 1 for cell in cells)


def plan(source: Snapshot, *, best: int, seeds: int) -> dict[str, Any]:
    """The sweep file, as a mapping, that repeats the `best` configurations of `source` over fresh seeds.

    Raises:
        UserError: no run counts, or its trials are not this project's.
    """
    config = source.config
    if OURS not in json.dumps([config.get("program"), config.get("command")]):
        raise UserError(
            f"sweep {source.path}", got=config.get("program"), rule="its program does not read tied settings",
            fix="repeat the best configurations with a sweep of your own",
        )  # fmt: skip
    ranked = records.best_first(source.records, source.metric, source.goal)
    chosen = {records.configuration(record.config): record for record in reversed(ranked)}
    top = sorted(chosen.values(), key=ranked.index)[:best]
    if not top:
        raise UserError(
            f"sweep {source.path}", rule="no run finished with a value", fix="wait for one, or name another"
        )
    used = [seed for record in source.records if isinstance(seed := record.config.get("seed"), int)]
    first = max(used, default=0) + 1
    entity, project, _ = source.path.split("/")
    swept = {name: spec for name, spec in (config.get("parameters") or {}).items() if not records.is_seed(name)}
    constant = {name: dict(spec) for name, spec in swept.items() if isinstance(spec, Mapping) and "value" in spec}
    kept_models = {"keep_models": {"value": len(top) * seeds}}  # any of them may be the winner's
    return {
        "name": f"winner-{source.id}",
        "description": f"{REPEATS}{source.path}",
        "entity": entity,
        "project": project,
        **{key: config[key] for key in ("program", "command") if key in config},
        "method": "grid",
        "metric": {"name": source.metric, "goal": source.goal},
        "parameters": {
            CELL: {"values": [dict(_settings(record, swept.keys() - constant.keys())) for record in top]},
            "seed": {"values": list(range(first, first + seeds))},
            **constant,
            **kept_models,
        },
    }


def _settings(record: Record, names: Sequence[str] | Any) -> Iterator[tuple[str, Any]]:
    """What a run had of the swept parameters; groups and tied settings one by one."""
    for name in sorted(names):
        value = record.config.get(name)
        if isinstance(value, Mapping):
            yield from ((key, each) for key, each in value.items() if not records.is_seed(key))
        elif name in record.config:
            yield name, value


def _verdict(found: "Findings") -> str:
    """Each configuration over its seeds, best mean first, and whether the first beats the second."""
    from cola_sweep.wording import show_metric, show_value

    reasons = found.left_out["left_out"].value_counts(sort=False).items()
    left_out = [f"left out: {', '.join(f'{n} {reason}' for reason, n in reasons)}"] if len(found.left_out) else []
    if found.repeats is None:
        return "\n".join([*left_out, "no configuration finished with two seeds"])
    metric, keys, lines = found.results.metric, found.repeats.keys, left_out
    for place, row in enumerate(found.repeats.table.to_dict("records"), 1):
        settings = " ".join(f"{key.rpartition('.')[2]}={show_value(row[key])}" for key in keys)
        lines.append(
            f"{place}. {metric} {show_metric(row['mean'])} ± {show_metric(row['sd'])} over {row['n']}  {settings}"
        )
    compared = found.seed_comparison
    if compared is not None:
        gap = compared.difference
        interval = gap.reason or f"95% interval {gap.low:+.3f} to {gap.high:+.3f} over seeds and sentences"
        words = {"first": "1 is better than 2", "tie": "a tie of 1 and 2", "second": "by MCC 2 is better than 1"}
        lines.append(f"{words[compared.verdict]}: mean MCC differs by {gap.value:+.3f} ({interval})")
    return "\n".join(lines)


def _name_champion(api: Any, taken: Snapshot, found: "Findings", replace: bool) -> int:
    """Give the winner's model the alias, unless there is a champion that it does not beat."""
    if found.repeats is None:
        print("no champion was named: nothing is decided")
        return 1
    model = champion.model_of(taken, champion.candidates(found)[0])
    if model is None:
        print("no champion was named: the winner has no model")
        return 1
    others = [(name, held) for name, held in champion.holders(api, taken.path).items() if name != model]
    if others and not replace:
        name, artifact = others[0]
        compared = champion.compare(api, found, artifact, kept.default_folder())
        if isinstance(compared, str) or not compared.won:
            why = compared if isinstance(compared, str) else champion.against(compared, name)
            print(f"the champion stays, {name}: {why}; --replace makes {model} champion all the same")
            return 0
    champion.crown(api, taken.path, model)
    print(f"champion: {model}")
    return 0
