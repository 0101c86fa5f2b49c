"""What savers hand in is written under the claims that hold, the same on both stores."""

import threading

import pytest
from sqlalchemy import text

from trimtab.store import (
    CheckpointRow,
    Hosting,
    Progress,
    WorkflowRunRow,
    WriteRow,
    workflow_checkpoints,
    workflow_claims,
    workflow_progress,
    workflow_runs,
    workflow_writes,
)


def row(id, claim=1):
    names = dict.fromkeys(("user", "key"), "") | {"tenant": "acme", "workflow": "w", "version": "1"}
    at = {"created_at": 1.0, "updated_at": 1.0, "deadline": None, "recoveries": 0, "cancel_asked": False}
    facts = {"id": id, "thread": id, "state": "running", "claim": claim, "owner": "a", "priority": 0}
    return WorkflowRunRow(**names, **at, **facts, input=b"{}")


@pytest.fixture
def runs(database):
    for id in ("r1", "r2"):
        database.transact(lambda connection, id=id: workflow_runs.add(connection, row(id)))


def checkpoint(id, body=b"{}", thread="t"):
    return CheckpointRow(thread, "", id, "r1", "", "json", body, b"{}")


def wrote(position, body, task="n", path=""):
    return WriteRow("t", "", "c1", task, position, path, "log", "json", body)


def put(database, *items):
    return database.state(lambda connection: workflow_progress.put(connection, items))


def kept(database, thread="t"):
    def look(connection):
        writes = workflow_writes.of_checkpoint(connection, thread, "", "c1")
        found = workflow_checkpoints.history(connection, thread)
        return {one.id: one.body for one in found}, {(one.task, one.position): one.body for one in writes}

    return database.transact(look)


def test_only_who_holds_a_run_writes(database, runs):
    mine = Progress("r1", 1, (checkpoint("c1"),), (wrote(0, b"1"),))
    stale = Progress("r2", 7, (checkpoint("c9"),), (wrote(5, b"9"),), (wrote(-1, b"9"),))
    gone = Progress("r3", 1, (checkpoint("c8"),))
    assert put(database, mine, stale, gone) == {("r1", 1), ("r2", 1)}
    assert kept(database) == ({"c1": b"{}"}, {("n", 0): b"1"})


FIRST = Progress("r1", 1, (checkpoint("c1", b"a"),), (wrote(0, b"a"), wrote(-4, b"a")), (wrote(-1, b"a"),))


@pytest.mark.parametrize(
    ("after", "checkpoints", "replaced"),
    [
        ([Progress("r1", 1, (checkpoint("c1", b"b"),), (wrote(0, b"b"),), (wrote(-1, b"b"),))], b"b", b"b"),
        (
            [Progress("r1", 1, (checkpoint("c1", b"c"),)), Progress("r1", 1, (checkpoint("c1", b"b"),))],
            b"b",
            b"a",
        ),
        ([Progress("r1", 1, replaced=(wrote(-1, b"c"), wrote(-1, b"b")))], b"a", b"b"),
        ([Progress("r1", 1, kept=(wrote(-1, b"c"),), replaced=(wrote(-1, b"b"),))], b"a", b"b"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_written_twice_the_first_stays_or_the_last_as_its_kind_has_it(
    database, runs, after, checkpoints, replaced, at_once
):
    if at_once:
        put(database, FIRST, *after)
    else:
        put(database, FIRST)
        put(database, *after)
    assert kept(database) == ({"c1": checkpoints}, {("n", 0): b"a", ("n", -1): replaced, ("n", -4): b"a"})


def test_any_text_and_any_number_of_rows_is_taken(database, runs):
    many = tuple(wrote(at, bytes([at % 256]) * 3, task=f"ü{{}}\"',{at}\0") for at in range(500))
    put(database, Progress("r1", 1, kept=many))
    assert len(kept(database)[1]) == 500
    assert put(database, Progress("r1", 1)) == {("r1", 1)}


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_claim_taken_meanwhile_is_seen(database):
    """The statement waits for who takes the run over, and then writes nothing."""
    database.transact(lambda connection: workflow_runs.add(connection, row("r1")))
    held, written = threading.Event(), []
    thread = threading.Thread(
        target=lambda: held.wait() and written.append(put(database, Progress("r1", 1, (checkpoint("c1"),))))
    )
    thread.start()
    hosting = Hosting("b", frozenset({("w", "1")}), 10.0, 3)

    def take(connection):
        taken = workflow_claims.claim_lost(connection, hosting, 10)
        held.set()
        _wait_until_blocked(database)
        return taken

    (taken,) = database.transact(take)
    thread.join(10)
    assert taken.claim == 2
    assert written == [{("r1", 2)}]
    assert kept(database) == ({}, {})


def _wait_until_blocked(database):
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while not database.transact(lambda connection: connection.scalar(waits)):
        pass
