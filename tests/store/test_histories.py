"""Recorded calls page by page, on both databases."""

from functools import partial

from traces.made import START, call, entry, keep, outcome, paid
from trimtab.store import Place, Selection, histories


def pages(database, lane, size=2, **selection):
    found, after = [], None
    while True:
        rows = database.read(
            partial(histories.page, lane=lane, selection=Selection(**selection), after=after, limit=size)
        )
        found += rows
        if len(rows) < size:
            return found
        after = Place(rows[-1].at, rows[-1].id)


def test_calls_come_in_order_and_once_with_their_runs(database):
    keep(
        database,
        *(call(f"01{number}", number, run=f"r{number % 2}") for number in range(5)),
        outcome(0.5, run="r1"),
    )
    rows = pages(database, "served")
    assert [row.id for row in rows] == ["010", "011", "012", "013", "014"]
    assert [row.reward for row in rows] == [None, 0.5, None, 0.5, None]
    assert rows[1].run_started_at == START + 1
    assert (rows[0].decision, rows[0].attempts) == (None, b"[]")


def test_imported_calls_are_a_lane_of_their_own_in_the_order_of_their_moments(database):
    keep(database, call("imz", 1), call("ima", 3), call("imb", 2), call("01a", 0), call("zz", 9))
    assert [row.id for row in pages(database, "imported")] == ["imz", "imb", "ima"]
    assert [row.id for row in pages(database, "served")] == ["01a"]
    assert [row.id for row in pages(database, "foreign")] == ["zz"]


def test_a_selection_narrows_the_calls(database):
    keep(database, call("f1", 0), call("f2", 5), call("f3", 9, tenant="other"))
    assert [row.id for row in pages(database, "served", since=START + 1)] == ["f2", "f3"]
    assert [row.id for row in pages(database, "served", until=START + 5)] == ["f1"]
    assert [row.id for row in pages(database, "served", tenant="other")] == ["f3"]
    assert database.read(partial(histories.count, since=None)) == 3


def test_facts_tell_what_was_asked(database):
    keep(database, call("f1", 0, request=b"12345", user="ada", step="plan", task="t"), call("f2", 1))
    facts = database.read(partial(histories.facts, ids=["f1", "f2", "f9"]))
    assert sorted(facts) == ["f1", "f2"]
    told = facts["f1"]
    assert (told.tenant, told.user, told.step, told.task, told.request_bytes) == (
        "acme",
        "ada",
        "plan",
        "t",
        5,
    )
    assert facts["f2"].request_bytes is None


def test_ledger_lines_of_no_model_call_stand_apart(database):
    one = call("f1", 0)
    keep(
        database,
        one,
        paid(one, 7),
        entry("tool", 5, 1, kind="tool", call="f1"),
        entry("rest", 3, 2),
        outcome(1.0),
    )
    rows = database.read(partial(histories.others, begin=START, end=START + 10, selection=Selection()))
    assert [(row.nanodollars, row.reward) for row in rows] == [(5, 1.0), (3, 1.0)]


def test_what_was_spent_is_summed_by_whose_it_was(database):
    one, two = call("f1", 0), call("f2", 20, run="r2")
    keep(database, one, paid(one, 7), call("f3", 30), two, paid(two, 9))
    rows = database.read(partial(histories.spent, begin=START, end=START + 10))
    assert [(row.run, row.nanodollars) for row in rows] == [("r1", 7)]
    still = database.read(partial(histories.spent_by_open_runs, moment=START + 25))
    assert [(row.run, row.nanodollars) for row in still] == [("r1", 7)]
