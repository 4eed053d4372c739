"""How soon the pages show something: `python -m tests.benchmarks.pages [--runs N] [--steps N]`; two minutes, one table.

With `--live`, what the server does while twenty pages follow what is logged to it, as `tests.benchmarks.server` has it.

A project of 1,000 runs, one of which logged 100,000 steps of ten numbers: the seconds until a page's HTML has come,
until the curves have, out of some lines, of all when they are read for the first time, and when they are kept, and,
where there is a Chromium, until it has painted the first text (first-contentful-paint, with nothing cached but our
static files). The load shares the machine with the server, so quote figures of a quiet one.
"""

import argparse
import http.client
import json
import math
import shutil
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit

from cola_sweep.server import process
from cola_sweep.server.store import Store, projects, runs, streams, sweeps, users
from tests.benchmarks import server
from tests.benchmarks.client import PROJECT, serving
from tests.benchmarks.server import SWEEP, Row, opened, table

LONG = "long"
SEEN = ["valid/mcc", *(f"train/metric{i}" for i in range(5))]  # the curves of a page that are in sight
KEYS = [f"train/number{i}" for i in range(10)]
_CHUNK = 5000
_TARGET = "< 300 ms"
_FIRST_PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName("first-contentful-paint")[0];
  if (paint) done(paint.startTime);
}).observe({ type: "paint", buffered: true }))"""


def pages(folder: Path, *, count: int = 1000, steps: int = 100_000, times: int = 9) -> list[Row]:
    """The rows of the table."""
    with opened(folder / "data") as store:
        user = _fill(store, count, steps)
    paths = {
        f"project of {count:,} runs": f"/{user}/{PROJECT}",
        f"sweep of {count:,} runs": f"/{user}/{PROJECT}/sweeps/sweep",
        f"run of {steps:,} steps": f"/{user}/{PROJECT}/runs/{LONG}",
    }
    query = urlencode([("key", key) for key in KEYS])
    curves = f"/data/{user}/{PROJECT}/runs/{LONG}/curves?{query}"
    with serving(folder / "data") as address:
        rows = [Row(f"{name}: HTML", _ms(_get(address, path, times))) for name, path in paths.items()]
        rows.append(
            Row(f"{len(KEYS)} curves of {steps:,} steps, some lines", _ms(_get(address, f"{curves}&soon=1", 1)))
        )
        rows.append(Row(f"{len(KEYS)} curves of {steps:,} steps, first time", _ms(_get(address, curves, 1))))
        rows.append(Row(f"{len(KEYS)} curves of {steps:,} steps, kept", _ms(_get(address, curves, times))))
        rows += [Row(f"{name}: first paint", got, _TARGET) for name, got in _painted(address, paths, times)]
    return rows


def live(
    folder: Path,
    *,
    count: int = 20,
    logging: Mapping[str, Any] | None = None,
    heartbeat: Mapping[str, Any] | None = None,
) -> list[Row]:
    """The server's own figures while pages of the runs that log, and of the sweep whose agents poll, are open.

    Args:
        logging, heartbeat: arguments of the functions of these names in `server`.
    """
    taken: list[float] = []

    def of_runs(address: process.Address) -> AbstractContextManager[None]:
        return _followed(address, [f"/{address.user}/{PROJECT}/runs/run{i % 16}" for i in range(count)], taken)

    def of_sweep(address: process.Address) -> AbstractContextManager[None]:
        return _followed(address, [f"/{address.user}/{PROJECT}/sweeps/sweep"] * count, taken)

    rows = server.logging(folder, beside=of_runs, **(logging or {}))
    rows += server.heartbeat(folder, "random", beside=of_sweep, **(heartbeat or {}))
    return [*rows, Row(f"{count} pages: the median of {len(taken)} answers", _ms(taken))]


@contextmanager
def _followed(address: process.Address, paths: list[str], taken: list[float]) -> Iterator[None]:
    """Pages at these paths, open meanwhile; the seconds of each of their requests are added to `taken`."""
    ended = threading.Event()
    with ThreadPoolExecutor(len(paths)) as pool:
        pages = [pool.submit(_follow, address, path, ended) for path in paths]
        try:
            yield
        finally:
            ended.set()
        for page in pages:
            taken += page.result()


def _follow(address: process.Address, path: str, ended: threading.Event) -> list[float]:
    """Ask as live.js does, each 2 s or less often, and take over what is new as run.js does: page and curves."""
    where, tag = urlsplit(address.base_url), ""
    taken: list[float] = []
    headers = {"Authorization": f"Basic {b64encode(f'api:{address.api_key}'.encode()).decode()}"}
    version, counts = "", dict.fromkeys(SEEN, 0)
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)) as connection:

        def get(path: str, more: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
            begin = time.perf_counter()
            connection.request("GET", path, headers=headers | more)
            answer = connection.getresponse()
            content = answer.read()
            taken.append(time.perf_counter() - begin)
            return answer, content

        while True:
            before = len(taken)
            answer, _ = get(f"/data{path}", {"If-None-Match": tag})
            if answer.status == 200 and "/runs/" in path:
                get(path, {"Accept": "text/html"})
                known = [pair for key, count in counts.items() for pair in (("key", key), ("since", count))]
                asked = urlencode([("soon", 1), ("version", version), *known])
                came = json.loads(get(f"/data{path}/curves?{asked}", {})[1])
                version, counts = came["version"], {key: curve["count"] for key, curve in came["curves"].items()}
            tag = answer.headers.get("ETag", tag)
            if ended.wait(min(max(2.0, 10 * sum(taken[before:])), 10.0)):
                break
    return taken


def _fill(store: Store, count: int, steps: int) -> str:
    """The project's runs; returns whose they are."""
    user = users.first(store).name
    with store.write():
        project = projects.ensure(store, user, PROJECT)
        config = SWEEP.format(method="random", more="")
        sweep = sweeps.create(store, project.id, "sweep", config=config, method="random", state="FINISHED", seed=0)
        for i in range(count):
            _add(store, project.id, sweep.id, f"run{i}", i)
        long = _add(store, project.id, sweep.id, LONG, 0)
    for begin in range(0, steps, _CHUNK):
        part = range(begin, min(begin + _CHUNK, steps))
        streams.write_lines(store, long, "history", begin, [json.dumps(_row(step)) for step in part])
    return user


def _add(store: Store, project_id: int, sweep_id: int, name: str, number: int) -> int:
    args = {"lr": 10 ** -(3 + number % 300 / 100), "batch_size": 8 << number % 4, "warmup": number % 7 / 20}
    wrapped = {key: {"value": value} for key, value in args.items()}
    config = wrapped | {f"setting{i}": {"value": i} for i in range(30)}
    summary = {f"valid/number{i}": number * 31 % 97 / 97 for i in range(30)} | {"valid/mcc": number * 7919 % 997 / 997}
    return runs.create(
        store, project_id, name, state="finished", display_name=name, sweep_id=sweep_id, heartbeat_at=store.now(),
        args_json=json.dumps(wrapped), config_json=json.dumps(config), summary_json=json.dumps(summary),
    ).id  # fmt: skip


def _row(step: int) -> dict[str, float]:
    numbers = {key: math.exp(-step / 3e4) + step * (i + 7) % 101 / 1e3 for i, key in enumerate(KEYS)}
    return numbers | {"_step": step, "_timestamp": 1.8e9 + step, "_runtime": step / 10}


def _get(address: process.Address, path: str, times: int) -> list[float]:
    """The seconds of each of so many answers."""
    where = urlsplit(address.base_url)
    credentials = b64encode(f"api:{address.api_key}".encode()).decode()
    taken = []
    for _ in range(times):
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        begin = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Basic {credentials}", "Accept": "text/html"})
        answer = connection.getresponse()
        content = answer.read()
        taken.append(time.perf_counter() - begin)
        assert answer.status == 200, content
        connection.close()
    return taken


def _painted(address: process.Address, paths: dict[str, str], times: int) -> list[tuple[str, str]]:
    """The median time of each page's first paint in Chromium, from the click on; none where there is no Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return []
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(base_url=address.base_url)
        page.goto("/login")
        page.get_by_label("API key").fill(address.api_key)
        page.get_by_role("button", name="Sign in").click()
        found = []
        for name, path in paths.items():
            taken = []
            for _ in range(times):
                page.goto(path)
                taken.append(page.evaluate(_FIRST_PAINT) / 1e3)
            found.append((name, _ms(taken)))
        browser.close()
    return found


def _ms(seconds: list[float]) -> str:
    return f"{median(seconds) * 1e3:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--live", action="store_true", help="instead: load the server while pages follow it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(table(live(folder) if given.live else pages(folder, count=given.runs, steps=given.steps)))


if __name__ == "__main__":
    main()
