"""Records become rows, counters and positions in one transaction, once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core import OutcomeRecord
from trimtab.store import EndRecord, Fenced, RecallRecord, bury, meters
from trimtab.store.apply import apply_records, replay_records, sort_records, worst_case
from trimtab.store.journal import Position
from trimtab.store.processes import Moved

from .made import call, count, entry, hold, leases, meter, meter_row, release, rows
from .test_meters import ask, enter

START, NEXT = Position(1, 0), Position(1, 100)


def apply(database, records, start=START, upto=NEXT, process="p1", late=()):
    database.transact(lambda c: apply_records(c, process, records, start, upto, 2.0, late=late))


def replay(database, records, start=START, upto=NEXT, process="p1"):
    database.transact(lambda c: replay_records(c, process, records, start, upto))


@pytest.fixture
def m(database):
    """A meter of which p1 has leased 500 of 1000."""
    enter(database, "p1", "p2")
    limit = meter(limit=1_000)
    ask(database, "p1", limit, need=500)
    return limit


def test_a_hold_closed_in_the_same_batch_leaves_no_trace(database, m):
    apply(database, [hold("a", meters=[m]), entry("a", 70, [m]), hold("b", meters=[m]), release("b")])
    assert count(database, "hold") == 0
    assert [row["id"] for row in rows(database, "entry")] == ["a"]
    assert meter_row(database, m) == (70, 430)
    assert leases(database) == {("p1", m.id): 430}


def test_an_open_hold_is_kept_until_its_entry_comes(database, m):
    apply(database, [hold("a", meters=[m])])
    assert count(database, "hold") == 1
    assert meter_row(database, m) == (0, 500)
    apply(database, [entry("a", 70, [m])], NEXT, Position(1, 200))
    assert count(database, "hold") == 0
    assert meter_row(database, m) == (70, 430)


def test_a_batch_is_applied_once(database, m):
    batch = [hold("a", meters=[m]), entry("a", 70, [m]), call("a")]
    apply(database, batch)
    with pytest.raises(Moved):
        apply(database, batch)
    assert count(database, "call") == 1
    assert meter_row(database, m) == (70, 430)


def test_nothing_of_a_buried_process_is_applied_as_if_it_lived(database, m):
    database.transact(lambda c: bury(c, "p1", 2.0))
    with pytest.raises(Fenced):
        apply(database, [entry("a", 70, [m])])
    assert count(database, "entry") == 0


def test_an_entry_above_its_hold_is_entered_in_full(database, m):
    """An endpoint that bills more than its worst case: the process owes its lease the difference."""
    apply(database, [hold("a", 100, [m]), entry("a", 620, [m])])
    assert meter_row(database, m) == (620, -120)
    assert ask(database, "p1", m, need=120, force=True).amount == 120
    assert meter_row(database, m) == (620, 0)
    assert ask(database, "p2", m, need=381).amount == 0


def test_a_repeated_tool_entry_is_charged_once_and_its_money_goes_back(database, m):
    tool = entry("tool:acme:run-1:t1", 40, [m], kind="tool")
    apply(database, [tool])
    apply(database, [tool], NEXT, Position(1, 200))
    assert count(database, "entry") == 1
    assert meter_row(database, m) == (40, 420)
    assert leases(database) == {("p1", m.id): 420}


def test_a_tool_entry_repeated_in_one_batch_is_charged_once(database, m):
    tool = entry("tool:acme:run-1:t1", 40, [m], kind="tool")
    apply(database, [tool, entry("tool:acme:run-1:t1", 40, [m], kind="tool")])
    assert meter_row(database, m) == (40, 420)


def test_two_processes_that_enter_one_tool_use_charge_it_once(database, m):
    ask(database, "p2", m, need=100)
    tool = entry("tool:acme:run-1:t1", 40, [m], kind="tool")
    apply(database, [tool])
    apply(database, [tool], process="p2")
    assert count(database, "entry") == 1
    assert meter_row(database, m) == (40, 520)
    assert leases(database) == {("p1", m.id): 460, ("p2", m.id): 60}


def test_an_entry_charges_every_meter_it_falls_under(database, m):
    run = meter("run/run", limit=300)
    ask(database, "p1", run, need=150)
    apply(database, [hold("a", 100, [m, run]), entry("a", 70, [m, run])])
    assert meter_row(database, m) == (70, 430)
    assert meter_row(database, run) == (70, 80)


def test_late_entries_leave_the_new_lease_alone(database, m):
    apply(database, [hold("a", 100, [m])])
    database.transact(lambda c: bury(c, "p1", 2.0))
    from trimtab.store import processes

    database.transact(lambda c: processes.rejoin(c, "p1", 3.0))
    ask(database, "p1", m, need=200)
    late = [entry("a", 70, [m]), entry("b", 30, [m])]
    apply(database, [*late, hold("c", 50, [m]), entry("c", 50, [m])], NEXT, Position(1, 200), late={"a", "b"})
    kept = {row["id"]: (row["nanodollars"], row["certainty"]) for row in rows(database, "entry")}
    assert kept == {"a": (100, "worst_case"), "b": (30, "exact"), "c": (50, "exact")}
    assert meter_row(database, m) == (180, 150)
    assert leases(database) == {("p1", m.id): 150}


def test_burial_charges_open_holds_and_gives_the_rest_back(database, m):
    apply(database, [hold("a", 100, [m]), hold("b", 60, [m]), entry("b", 10, [m])])
    lines = database.transact(lambda c: bury(c, "p1", 9.0))
    assert [(line.id, line.nanodollars, line.certainty, line.at) for line in lines] == [
        ("a", 100, "worst_case", 9.0)
    ]
    assert meter_row(database, m) == (110, 0)
    assert leases(database) == {}
    assert count(database, "hold") == 0


def test_a_worst_case_entry_keeps_whose_it_was():
    held = hold("a", 100, [meter()])
    line = worst_case(held, 9.0)
    for name in (
        "id",
        "call",
        "tenant",
        "run",
        "user",
        "workflow",
        "step",
        "key",
        "endpoint",
        "model",
        "charges",
    ):
        assert getattr(line, name) == getattr(held, name)


def test_a_dead_process_is_replayed_once_whether_it_was_buried_before_or_not(database, m):
    apply(database, [hold("a", 100, [m]), hold("x", 20, [m])])
    database.transact(lambda c: bury(c, "p1", 2.0))
    assert meter_row(database, m) == (120, 0)
    rest = [entry("a", 70, [m]), hold("b", 60, [m]), entry("b", 10, [m]), hold("c", 30, [m]), call("a")]
    replay(database, rest, NEXT, Position(1, 200))
    with pytest.raises(Moved):
        replay(database, rest, NEXT, Position(1, 200))
    database.transact(lambda c: bury(c, "p1", 3.0))
    assert {row["id"]: row["nanodollars"] for row in rows(database, "entry")} == {
        "a": 100, "x": 20, "b": 10, "c": 30,
    }  # fmt: skip
    assert meter_row(database, m) == (160, 0)
    assert count(database, "call") == 1
    assert count(database, "hold") == 0


def test_traces_are_written_beside_the_money(database, m):
    reply = RecallRecord("acme", "digest", "small", 99.0, b"{}")
    apply(database, [
        call("a", at=1.0), call("b", at=5.0), reply, RecallRecord("acme", "digest", "small", 100.0, b"[]"),
        OutcomeRecord("acme", "run-1", 6.0, 0.5, "ada", "so so"),
        OutcomeRecord("acme", "run-1", 7.0, 1.0, "ada", "well"),
        EndRecord("acme", "run-1", 8.0),
    ])  # fmt: skip
    run = rows(database, "run")[0]
    assert (run["calls"], run["started_at"], run["last_at"]) == (2, 1.0, 5.5)
    assert (run["reward"], run["outcome_reason"], run["ended"]) == (1.0, "well", True)
    assert bytes(rows(database, "recall")[0]["reply"]) == b"[]"


ID = st.sampled_from("abcdef")
MOVES = st.lists(st.tuples(st.sampled_from(["hold", "entry", "release"]), ID), max_size=30)


@given(MOVES)
def test_sorting_leaves_open_exactly_the_holds_that_nothing_closed(moves):
    made = {"hold": hold, "entry": entry, "release": release}
    seen, records = set(), []
    for kind, id in moves:
        # An id is held once and closed once, in this order; whatever else is not a journal.
        if (kind, id) in seen or (kind != "hold" and {("entry", id), ("release", id)} & seen):
            continue
        if kind == "hold" and {("entry", id), ("release", id)} & seen:
            continue
        seen.add((kind, id))
        records.append(made[kind](id))
    batch = sort_records(records)
    closed = {id for kind, id in seen if kind != "hold"}
    held = {id for kind, id in seen if kind == "hold"}
    assert set(batch.opened) == held - closed
    assert set(batch.closed) == closed - held
    assert [line.id for line in batch.entries] == [r.id for r in records if r == entry(r.id)]


def test_meters_of_shared_batches_are_locked_in_one_order(database, m):
    """Two processes that settle many meters at once do not wait for each other in a circle."""
    import threading

    limits = [meter(f"m{number}", limit=10_000) for number in range(20)]
    for limit in limits:
        ask(database, "p1", limit, need=1_000)
        ask(database, "p2", limit, need=1_000)
    failures = []

    def work(process, order):
        start = START
        for number in range(10):
            upto = Position(1, 100 * (number + 1))
            made = [entry(f"{process}-{number}-{i}", 1, [limit]) for i, limit in enumerate(order)]
            try:
                apply(database, made, start, upto, process)
            except Exception as error:  # noqa: BLE001
                failures.append(error)
            start = upto

    threads = [
        threading.Thread(target=work, args=("p1", limits)),
        threading.Thread(target=work, args=("p2", limits[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(meter_row(database, limit) == (20, 1_980) for limit in limits)


def test_holds_are_read_back_by_whoever_buries(database, m):
    apply(database, [hold("a", 100, [m])])
    assert database.transact(lambda c: meters.open_holds(c, "p1")) == [hold("a", 100, [m])]
