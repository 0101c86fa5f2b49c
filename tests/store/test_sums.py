"""Sums stand beside what they sum: equal to it whatever was written, twice or late, and after an upgrade."""

import random

import pytest

from store.moving import downgrade
from traces.made import START, call, entry, keep, outcome, paid
from trimtab.core import Usage
from trimtab.store import (
    Selection,
    SpendSelection,
    Standing,
    cost_sums,
    entries,
    runs,
    spend,
    sums,
    traffic,
)
from trimtab.store.migrate import migrate

DAY = int(START // 86_400)
ALL = SpendSelection(since=DAY - 10, until=DAY + 10)
AMOUNTS = (
    "entries", "input_tokens", "cached_tokens", "output_tokens", "nanodollars", "estimated_nanodollars", "unpriced",
    "upstream_nanodollars", "saved_nanodollars",
)  # fmt: skip


def some_lines(seed, count=300):
    draw = random.Random(seed)
    for number in range(count):
        yield entry(
            f"e{seed}-{number}",
            draw.randrange(10_000),
            at=draw.uniform(-3, 3) * 86_400,
            tenant=draw.choice("ab"),
            run=f"r{draw.randrange(20)}",
            user=draw.choice(("", "ada", "bob")),
            workflow=draw.choice(("w", "v")),
            step=draw.choice(("", "plan")),
            model=draw.choice(("small", "large")),
            endpoint=draw.choice(("near", "far")),
            kind=draw.choice(("model", "tool")),
            certainty=draw.choice(("exact", "estimated", "worst_case", "unpriced")),
            usage=Usage(draw.randrange(500), draw.randrange(50), draw.randrange(9)),
            upstream_nanodollars=draw.randrange(3),
            saved_nanodollars=draw.randrange(3),
        )


def amounts(rows):
    return {row.fields: tuple(getattr(row, name) for name in AMOUNTS) for row in rows}


def keep_new(connection, lines):
    sums.add(connection, (), entries.insert_new_entries(connection, lines))


@pytest.fixture
def filled(database):
    lines = list(some_lines(1))
    for at in range(0, len(lines), 37):
        # What is written again is not summed again.
        database.transact(lambda c, at=at: keep_new(c, lines[max(0, at - 20) : at + 37]))
    keep(database, *some_lines(2))
    return database


@pytest.mark.parametrize(
    "by",
    [
        (),
        ("tenant",),
        ("workflow", "step"),
        ("model", "endpoint", "kind"),
        ("user",),
        ("user", "model"),
        ("day",),
    ],
)
def test_days_are_what_their_entries_come_to(filled, by):
    told = amounts(filled.transact(lambda c: spend.spend_sums(c, by, ALL)))
    truth = amounts(filled.transact(lambda c: cost_sums(c, by, Selection())))
    assert told == truth
    assert len(told) >= (2 if by else 1)


def test_a_selection_of_days_and_names_is_what_its_entries_come_to(filled):
    narrow = SpendSelection(since=DAY, until=DAY, named={"tenant": "a", "user": "ada"})
    told = amounts(filled.transact(lambda c: spend.spend_sums(c, ("model",), narrow)))
    since = DAY * 86_400.0
    theirs = Selection(since=since, until=since + 86_400, tenant="a", user="ada")
    assert told == amounts(filled.transact(lambda c: cost_sums(c, ("model",), theirs)))


def test_users_steps_and_endpoints_are_not_summed_together(filled):
    for by, said in (
        (("user", "step"), "users are not summed by step"),
        (("step", "endpoint"), "steps are not summed by endpoint"),
    ):
        with pytest.raises(ValueError, match=said):
            filled.transact(lambda c, by=by: spend.spend_sums(c, by, ALL))


def test_runs_know_what_their_entries_come_to(filled):
    told = {
        (run.tenant, run.id): (run.nanodollars, run.upstream_nanodollars, run.unpriced)
        for run in filled.transact(lambda c: runs.newest(c, Selection(), Standing(), None, 100))
    }
    sums = filled.transact(lambda c: cost_sums(c, ("tenant", "run"), Selection()))
    assert told == {row.fields: (row.nanodollars, row.upstream_nanodollars, row.unpriced) for row in sums}


def test_a_run_known_by_its_cost_first_takes_its_facts_from_its_calls(database):
    record = call("c1", at=5.0, seconds=2.0, user="ada", workflow="w", task="t")
    keep(database, paid(record, 10))
    keep(database, record)
    keep(database, call("c2", at=1.0), outcome(1.0))
    (run,) = database.transact(lambda c: runs.newest(c, Selection(), Standing(), None, 9))
    assert (run.calls, run.nanodollars, run.user, run.task) == (2, 10, "ada", "t")
    assert (run.started_at, run.seconds) == (START + 1.0, 6.0)


def test_minutes_count_calls_by_how_they_ended_and_how_long_they_took(database):
    minute = int(START // 60)
    keep(
        database,
        call("c1", seconds=0.5),
        call("c2", seconds=0.5, nanodollars=7),
        call("c3", seconds=40.0, endpoint="far", tenant="other"),
        call("c4", status="refused", code="queue_full", seconds=0.0),
        call("c5", status="failed", code="whatever endpoints say", seconds=0.5),
        call("c6", at=-7_200.0),
    )

    def read(tenant):
        return database.transact(lambda c: traffic.minutes(c, tenant, minute, minute + 2))

    acme = {(row.status, row.code): (row.calls, row.nanodollars) for row in read("acme")}
    assert acme == {("ok", ""): (2, 7), ("refused", "queue_full"): (1, 0), ("failed", ""): (1, 0)}
    (slow,) = [row for row in read(None) if row.endpoint == "far"]
    assert traffic.BOUNDS[slow.bucket - 1] < 40.0 <= traffic.BOUNDS[slow.bucket]
    database.transact(lambda c: traffic.drop(c, minute))
    assert database.transact(lambda c: traffic.minutes(c, None, 0, minute)) == []


def test_an_older_database_is_summed_as_it_is_brought_up_to_date(filled):
    keep(filled, call("c1", run="r1", tenant="a", seconds=3.0))
    everything = [
        filled.transact(lambda c, by=by: amounts(spend.spend_sums(c, by, ALL)))
        for by in (("day", "tenant", "step", "kind"), ("day", "user", "workflow"))
    ]
    told = filled.transact(lambda c: runs.newest(c, Selection(), Standing(), None, 100))
    downgrade(filled, "0004")
    migrate(filled)
    again = [
        filled.transact(lambda c, by=by: amounts(spend.spend_sums(c, by, ALL)))
        for by in (("day", "tenant", "step", "kind"), ("day", "user", "workflow"))
    ]
    assert again == everything
    assert filled.transact(lambda c: runs.newest(c, Selection(), Standing(), None, 100)) == told


def test_a_run_that_was_deleted_and_is_charged_late_costs_all_its_entries(database):
    record = call("c1", run="old")
    keep(database, record, paid(record, 1_000))
    database.transact(lambda c: runs.remove(c, [("acme", "old")], float("inf")))
    keep(database, entry("late", 7, at=9.0, run="old"))
    (run,) = database.transact(lambda c: runs.newest(c, Selection(), Standing(), None, 9))
    assert (run.nanodollars, run.calls) == (1_007, 0)


def test_what_is_charged_or_said_late_does_not_stretch_a_run(database):
    record = call("c1", at=1.0, seconds=2.0)
    keep(database, record)
    keep(database, entry("tool", 7, at=500.0, kind="tool"), outcome(1.0, at=600.0))
    (run,) = database.transact(lambda c: runs.newest(c, Selection(), Standing(), None, 9))
    assert (run.seconds, run.nanodollars, run.reward) == (2.0, 7, 1.0)
