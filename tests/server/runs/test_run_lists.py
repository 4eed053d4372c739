"""A project's runs, page by page."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep.server import query, run_lists
from cola_sweep.server.context import Context
from cola_sweep.server.store import Store, projects, runs
from tests.server.conftest import Clock
from tests.server.runs.conftest import RUNS, Ask, answer, make_sweep


class TestLists:
    @pytest.fixture
    def project(self, context: Context, clock: Clock) -> projects.Project:
        project = projects.ensure(context.store, "ada", "p")
        sweep = make_sweep(context)
        for i, summary in enumerate(({"m": 0.5}, {"m": float("nan")}, {}, {"m": {"max": 0.7}}, {"m": 0.6})):
            clock.advance(i % 2)
            run = runs.create(context.store, project.id, f"r{i}", state="running", display_name=f"calm-owl-{i}")
            columns = {"summary_json": json.dumps(summary), "config_json": json.dumps({"i": {"value": i % 3}})}
            runs.update(context.store, run.id, **columns, sweep_id=sweep if i != 4 else None)
        return project

    @pytest.mark.parametrize(
        ("order", "names"),
        [
            (None, ["r0", "r1", "r2", "r3", "r4"]),
            ("+created_at", ["r0", "r1", "r2", "r3", "r4"]),
            ("-created_at", ["r3", "r4", "r1", "r2", "r0"]),
            ("-summary_metrics.m", ["r3", "r4", "r0", "r1", "r2"]),
            ("+summary_metrics.m", ["r0", "r4", "r3", "r1", "r2"]),
            ("-config.i.value", ["r2", "r1", "r4", "r0", "r3"]),
            ("name", ["r0", "r1", "r2", "r3", "r4"]),
        ],
    )
    @pytest.mark.parametrize("size", [1, 2, 5, 50])
    def test_pages_follow_the_order(
        self, ask: Ask, project: projects.Project, order: str | None, names: list[str], size: int
    ) -> None:
        seen, cursor, more = [], None, True
        while more:
            found = ask(RUNS, project="p", entity="ada", order=order, cursor=cursor, perPage=size)["project"]["runs"]
            seen += [edge["node"]["name"] for edge in found["edges"]]
            cursor, more = found["edges"][-1]["cursor"], found["pageInfo"]["hasNextPage"]
            assert cursor == found["pageInfo"]["endCursor"]
        assert seen == names

    def test_the_best_run_of_a_sweep(self, ask: Ask, project: projects.Project) -> None:
        filters = json.dumps({"$and": [{"sweep": "s1"}]})
        for order, best in (("-summary_metrics.m", "r3"), ("+summary_metrics.m", "r0")):
            found = ask(RUNS, project="p", entity="ada", perPage=1, filters=filters, order=order)["project"]
            assert [edge["node"]["name"] for edge in found["runs"]["edges"]] == [best]
            assert found["runCount"] == 4

    def test_filters_and_their_count_agree(self, ask: Ask, project: projects.Project) -> None:
        for condition, names in (
            ({"config.i": 0}, ["r0", "r3"]),
            ({"name": {"$in": ["r1", "r9"]}}, ["r1"]),
            ({"sweep": "s1", "summary_metrics.m": {"$gt": 0.4}}, ["r0"]),
            ({"state": "finished"}, []),
        ):
            found = ask(RUNS, project="p", entity="ada", filters=json.dumps(condition))["project"]
            assert [edge["node"]["name"] for edge in found["runs"]["edges"]] == names
            assert found["runCount"] == len(names)

    @pytest.mark.parametrize("root", sorted(query.ROOTS))
    def test_every_root_can_be_filtered_and_ordered_by(
        self, context: Context, project: projects.Project, root: str
    ) -> None:
        there, gone = (json.dumps({"$or": [{root: {"$exists": wanted}}]}) for wanted in (True, False))
        both = [run_lists.connection(context.store, project.id, filters=f, order=f"-{root}") for f in (there, gone)]
        counts = [run_lists.count(context.store, project.id, f) for f in (there, gone)]
        assert [len(found["edges"]) for found in both] == counts
        assert sum(counts) == len(runs.select(context.store, project.id))

    @pytest.mark.parametrize("given", [{"filters": "{"}, {"filters": '{"a": {"$x": 1}}'}, {"cursor": "???"}])
    def test_what_cannot_be_understood_is_refused(
        self, context: Context, project: projects.Project, given: dict[str, str]
    ) -> None:
        assert answer(context, RUNS, project="p", entity="ada", **given).errors

    def test_a_page_goes_on_though_its_last_run_was_deleted(self, context: Context, project: projects.Project) -> None:
        for order in ("+created_at", "-summary_metrics.m"):
            first = run_lists.connection(context.store, project.id, order=order, first=2)
            rest = run_lists.connection(context.store, project.id, order=order, after=first["pageInfo"]["endCursor"])
            runs.delete(context.store, first["edges"][-1]["node"].id)
            again = run_lists.connection(context.store, project.id, order=order, after=first["pageInfo"]["endCursor"])
            assert again == rest

    def test_lists_are_narrowed_by_those_who_ask_for_a_sweep(self, context: Context, project: projects.Project) -> None:
        narrowed = run_lists.connection(
            context.store, project.id, only={"sweep": {"s1"}, "name": {"r1", "r2", "r3", "r4"}}, first=2
        )
        assert [edge["node"].name for edge in narrowed["edges"]] == ["r1", "r2"]
        assert narrowed["pageInfo"]["hasNextPage"]


SUMMARIES = st.none() | st.sampled_from([1, 1.0, True, "text", "NaN", [], {"min": 3}, {"last": 2}]) | st.floats()


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(SUMMARIES, max_size=7),
    size=st.integers(1, 4),
    order=st.sampled_from(["+summary_metrics.m", "-summary_metrics.m", "-created_at", "created_at"]),
    ages=st.lists(st.integers(0, 2), min_size=7, max_size=7),
)
def test_pages_cover_each_run_once(
    values: list[Any], size: int, order: str, ages: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock = Clock()
    store = Store(tmp_path_factory.mktemp("pages") / "server.db", clock)
    try:
        project = projects.ensure(store, "ada", "p")
        for i, (value, age) in enumerate(zip(values, ages, strict=False)):
            clock.now = float(age)
            run = runs.create(store, project.id, f"r{i}", state="running", display_name="x")
            runs.update(store, run.id, summary_json=json.dumps({"m": value}))
        whole = run_lists.connection(store, project.id, order=order)["edges"]
        paged: list[Any] = []
        cursor, more = None, True
        while more:
            found = run_lists.connection(store, project.id, order=order, first=size, after=cursor)
            paged += found["edges"]
            cursor, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
    finally:
        store.close()
    assert [edge["node"].id for edge in paged] == [edge["node"].id for edge in whole]
    assert len({edge["node"].id for edge in paged}) == len(values)
