"""Pages of runs: every order, walked page by page, gives each run once; filters are those of the sums."""

import random

import pytest

from traces.made import START, call, entry, keep, outcome
from trimtab.store import RunPlace, RunQuery, Selection, Standing, run_pages, workflow_places, workflow_runs
from trimtab.store.workflow_places import PlaceLimits
from workflows.test_saver import row

STANDING = Standing({}, START)
ORDERS = {
    "newest": ("started_at", True),
    "oldest": ("started_at", False),
    "dearest": ("nanodollars", True),
    "cheapest": ("nanodollars", False),
    "slowest": ("seconds", True),
    "fastest": ("seconds", False),
}


@pytest.fixture
def filled(database):
    draw = random.Random(3)
    records = []
    for number in range(60):
        who = {
            "tenant": draw.choice("ab"),
            "run": f"r{number:02}",
            "workflow": draw.choice("wv"),
            "user": draw.choice("xy"),
        }
        # Many are alike, so that ties are walked too.
        records.append(call(f"c{number}", at=draw.randrange(9), seconds=float(draw.randrange(3)), **who))
        records.append(entry(f"e{number}", draw.randrange(3), **who))
        if number % 3 == 0:
            records.append(outcome(float(number % 2), run=who["run"], tenant=who["tenant"]))
    keep(database, *records)
    return database


def walk(database, query, limit=7):
    found, after = [], None
    while True:
        asked = RunQuery(
            **{name: getattr(query, name) for name in RunQuery.__struct_fields__} | {"after": after}
        )
        part = [
            each.run
            for each in database.transact(lambda c, asked=asked: run_pages.page(c, asked, STANDING, limit))
        ]
        found += part
        if len(part) < limit:
            return found
        after = RunPlace.behind(part[-1], query.sorting)


@pytest.mark.parametrize("sorting", ORDERS)
def test_pages_give_every_run_once_in_order(filled, sorting):
    found = walk(filled, RunQuery(sorting=sorting))
    field, falls = ORDERS[sorting]
    keys = [(getattr(run, field), run.tenant, run.id) for run in found]
    assert len(keys) == 60
    assert keys == sorted(keys, reverse=falls)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        (
            RunQuery(selection=Selection(tenant="a", workflow="w")),
            lambda r: (r.tenant, r.workflow) == ("a", "w"),
        ),
        (
            RunQuery(selection=Selection(user="x", since=START + 4)),
            lambda r: r.user == "x" and r.started_at >= START + 4,
        ),
        (RunQuery(selection=Selection(until=START + 4)), lambda r: r.started_at < START + 4),
        (RunQuery(status="completed"), lambda r: r.reward == 1.0),
        (RunQuery(status="not completed", sorting="dearest"), lambda r: r.reward == 0.0),
        (RunQuery(least_nanodollars=1, most_nanodollars=1), lambda r: r.nanodollars == 1),
        (RunQuery(least_seconds=1.0, most_seconds=1.5, sorting="slowest"), lambda r: 1.0 <= r.seconds <= 1.5),
    ],
)
def test_filters_keep_what_they_name(filled, query, holds):
    everything = {(run.tenant, run.id) for run in walk(filled, RunQuery()) if holds(run)}
    found = [(run.tenant, run.id) for run in walk(filled, query)]
    assert set(found) == everything
    assert len(found) == len(everything) > 0


def test_hosted_runs_are_found_by_state_before_they_made_a_call(filled):
    def work(connection):
        for id, tenant in (("r00", "a"), ("r00", "b"), ("h1", "a")):
            limits = PlaceLimits(1, 1_000)
            state = workflow_places.admit(connection, tenant, limits, at_once=False)
            known = f"{id}-{tenant}" if id == "r00" and tenant == "b" else id
            workflow_runs.add(connection, row(known, tenant=tenant, state=state, owner="", workflow="w"))

    filled.transact(work)
    found = filled.transact(lambda c: run_pages.page(c, RunQuery(state="queued"), STANDING, 9))
    assert {(each.run.id, each.state) for each in found} == {
        ("r00", "queued"),
        ("h1", "queued"),
        ("r00-b", "queued"),
    }
    calls = {each.run.id: each.run.calls for each in found}
    assert calls["h1"] == 0
    states = filled.transact(lambda c: run_pages.hosted_states(c, "a"))
    assert states == {("w", "queued"): 2}
    listed = filled.transact(
        lambda c: run_pages.page(c, RunQuery(selection=Selection(run="r00")), STANDING, 9)
    )
    assert [each.state for each in listed] == (["queued"] if listed[0].run.tenant == "a" else [None])


def test_a_hosted_run_that_ended_without_a_call_is_not_open(filled):
    filled.transact(lambda c: workflow_runs.add(c, row("gone", tenant="a", state="cancelled", owner="")))
    (found,) = filled.transact(lambda c: run_pages.page(c, RunQuery(state="cancelled"), STANDING, 9))
    assert (found.run.id, found.run.status, found.run.ended) == ("gone", "unknown", True)


def test_the_latest_runs_come_first_with_how_long_they_took(filled):
    times = filled.transact(lambda c: run_pages.lately(c, None, START + 2, 5))
    assert len(times.started_at) == len(times.seconds) == 5
    assert list(times.started_at) == sorted(times.started_at, reverse=True)
    assert all(at >= START + 2 for at in times.started_at)
