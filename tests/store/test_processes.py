"""Processes: who lives, who is given up, and that a journal is applied exactly once."""

import pytest

from trimtab.store import Fenced, bury, bury_silent, processes
from trimtab.store.journal import Position
from trimtab.store.processes import Moved

from .made import entry, leases, meter, meter_row, rows
from .test_meters import ask, enter

START, NEXT = Position(1, 0), Position(1, 40)


def advance(database, start, upto, process="p1"):
    database.transact(lambda c: processes.advance(c, process, start, upto, 2.0))


def test_a_process_enters_alive_at_the_start_of_its_journal(database):
    enter(database, "p1")
    state = database.transact(lambda c: processes.state_of(c, "p1"))
    assert (state.state, state.applied) == ("live", START)
    assert database.transact(lambda c: processes.state_of(c, "none")).state == "unknown"


def test_a_position_advances_only_from_where_it_is(database):
    enter(database, "p1")
    advance(database, START, NEXT)
    with pytest.raises(Moved) as moved:
        advance(database, START, NEXT)
    assert moved.value.applied == NEXT


def test_a_buried_process_is_fenced_everywhere(database):
    enter(database, "p1")
    database.transact(lambda c: bury(c, "p1", 2.0))
    with pytest.raises(Fenced):
        advance(database, START, NEXT)
    with pytest.raises(Fenced):
        database.transact(lambda c: processes.beat(c, "p1", 3.0))
    with pytest.raises(Fenced):
        database.transact(lambda c: processes.require_live(c, "p1"))


def test_an_unknown_process_is_fenced(database):
    with pytest.raises(Fenced):
        database.transact(lambda c: processes.require_live(c, "p1"))


def test_a_beat_tells_who_lives(database):
    enter(database, "p1", "p2", "p3")
    database.transact(lambda c: bury(c, "p3", 2.0))
    assert database.transact(lambda c: processes.beat(c, "p1", 5.0)) == {"p1": 5.0, "p2": 1.0}


def test_a_rejoined_process_goes_on_where_its_journal_was(database):
    enter(database, "p1")
    advance(database, START, NEXT)
    database.transact(lambda c: bury(c, "p1", 2.0))
    database.transact(lambda c: processes.rejoin(c, "p1", 3.0))
    advance(database, NEXT, Position(1, 80))


def test_only_a_process_that_is_still_silent_is_buried(database):
    enter(database, "p1", "p2")
    database.transact(lambda c: processes.beat(c, "p2", 5.0))
    for process in ("p1", "p2", "gone"):
        database.transact(lambda c, process=process: bury_silent(c, process, 1.0, 6.0))
    states = {row["id"]: row["state"] for row in rows(database, "process")}
    assert states == {"p1": "dead", "p2": "live"}


def test_burying_twice_changes_nothing(database):
    enter(database, "p1", "p2")
    m = meter(limit=100)
    ask(database, "p1", m, need=30)
    ask(database, "p2", m, need=20)
    for _ in range(2):
        database.transact(lambda c: bury(c, "p1", 2.0))
        assert leases(database) == {("p2", m.id): 20}
        assert meter_row(database, m) == (0, 20)


def test_text_with_a_nul_is_taken(database):
    """Clients and endpoints choose run ids and error messages; PostgreSQL takes no NUL."""
    from trimtab.store import entries

    odd = [entry("a\0b"), entry("c")]
    database.transact(lambda c: entries.insert_entries(c, odd))
    database.transact(lambda c: entries.insert_new_entries(c, [entry("d\0")]))
    assert len(rows(database, "entry")) == 3
