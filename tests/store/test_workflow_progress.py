"""What savers hand in is written under the claims that hold, the same on both stores."""

import asyncio
import threading
from contextlib import aclosing
from functools import partial

import pytest
from sqlalchemy import text

from trimtab.core.errors import StoreUnavailable
from trimtab.store import (
    CheckpointRow,
    Hosting,
    PlaceLimits,
    Progress,
    Statements,
    ThreadRow,
    WorkflowRunRow,
    WriteRow,
    workflow_checkpoints,
    workflow_claims,
    workflow_places,
    workflow_progress,
    workflow_runs,
    workflow_threads,
    workflow_writes,
)
from trimtab.store.line import speaks

RATED = PlaceLimits(1, 1, a_minute=60)


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


async def put(database, *items):
    """In a transaction on SQLite, in one statement on PostgreSQL."""
    if database.sqlite:
        return database.transact(lambda connection: workflow_progress.put(connection, items))
    async with aclosing(Statements(database.url)) as statements:
        return await workflow_progress.put_at_once(statements, items)


def kept(database, thread="t"):
    def look(connection):
        writes = workflow_writes.of_checkpoint(connection, thread, "", "c1")
        found = workflow_checkpoints.history(connection, thread)
        return {one.id: one.body for one in found}, {(one.task, one.position): one.body for one in writes}

    return database.transact(look)


async def test_only_who_holds_a_run_writes(database, runs):
    mine = Progress("r1", 1, (checkpoint("c1"),), (wrote(0, b"1"),))
    stale = Progress("r2", 7, (checkpoint("c9"),), (wrote(5, b"9"),), (wrote(-1, b"9"),))
    gone = Progress("r3", 1, (checkpoint("c8"),))
    assert await put(database, mine, stale, gone) == {("r1", 1), ("r2", 1)}
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
async def test_written_twice_the_first_stays_or_the_last_as_its_kind_has_it(
    database, runs, after, checkpoints, replaced, at_once
):
    if at_once:
        await put(database, FIRST, *after)
    else:
        await put(database, FIRST)
        await put(database, *after)
    assert kept(database) == ({"c1": checkpoints}, {("n", 0): b"a", ("n", -1): replaced, ("n", -4): b"a"})


async def test_any_text_and_any_number_of_rows_is_taken(database, runs):
    many = tuple(wrote(at, bytes([at % 256]) * 3, task=f"ü{{}}\"',{at}\0") for at in range(500))
    await put(database, Progress("r1", 1, kept=many))
    assert len(kept(database)[1]) == 500
    assert await put(database, Progress("r1", 1)) == {("r1", 1)}


async def test_an_older_claim_of_the_same_run_is_not_in_the_way(database, runs):
    database.transact(lambda c: c.execute(text("UPDATE workflow_run SET claim = 3 WHERE id = 'r1'")))
    mine = Progress("r1", 3, (checkpoint("c1", b"m"),), (wrote(0, b"m"),), (wrote(-1, b"m"),))
    stale = Progress("r1", 1, (checkpoint("c1", b"s"),), (wrote(0, b"s"),), (wrote(-1, b"s"), wrote(1, b"s")))
    assert ("r1", 3) in await put(database, mine, stale)
    assert kept(database) == ({"c1": b"m"}, {("n", 0): b"m", ("n", -1): b"m"})


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
async def test_a_claim_taken_meanwhile_is_seen(database):
    """The statement waits for who takes the run over, and then writes nothing."""
    database.transact(lambda connection: workflow_runs.add(connection, row("r1")))
    held, seen = asyncio.Event(), threading.Event()
    loop, hosting = asyncio.get_running_loop(), Hosting("b", frozenset({("w", "1")}), 10.0, 3)

    def take(connection):
        taken = workflow_claims.claim_lost(connection, hosting, 10)
        loop.call_soon_threadsafe(held.set)
        assert seen.wait(10)
        return taken

    taking = asyncio.ensure_future(database.run(take))
    await held.wait()
    putting = asyncio.ensure_future(put(database, Progress("r1", 1, (checkpoint("c1"),))))
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while not await database.run(lambda connection: connection.scalar(waits)):
        assert not putting.done()
    seen.set()
    assert [one.claim for one in await taking] == [2]
    assert await putting == {("r1", 2)}
    assert kept(database) == ({}, {})


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
async def test_a_run_begins_within_its_tenants_places_and_ends_once(database):
    async with aclosing(Statements(database.url)) as statements:

        async def begin(run, most=1):
            new = ThreadRow("acme", run.thread, "w", "{}", run.id, 1.0, 1.0)
            return await workflow_progress.begin_at_once(statements, run, new, most)

        assert not await begin(row("r1"))
        database.transact(lambda connection: workflow_places.take_turn(connection, "acme", RATED, 1.0))
        first = row("r1")
        assert await begin(first)
        assert not await begin(row("r2"))
        assert database.transact(lambda connection: workflow_runs.find(connection, "r1")) == first
        assert database.transact(workflow_places.everyone) == {"acme": (0, 1)}
        found = database.transact(lambda connection: workflow_threads.find(connection, "acme", "r1"))
        assert found.row.latest_run == "r1"
        end = partial(workflow_progress.end_at_once, statements)
        assert await end(row("r1", claim=2), "done", b"1", "") is None
        ended = await end(first, "failed", b"[2]", "oh\0 no")
        assert (ended.state, ended.output, ended.error, ended.owner) == ("failed", b"[2]", "oh no", "")
        assert ended == database.transact(lambda connection: workflow_runs.find(connection, "r1"))
        assert await end(first, "done", b"1", "") is None
        assert database.transact(workflow_places.everyone) == {"acme": (0, 0)}
        assert await begin(row("r2"))


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
async def test_a_lost_connection_is_made_anew(database):
    async with aclosing(Statements(database.url)) as statements:
        ask = partial(statements.run, "SELECT pg_backend_pid()", {})
        ((pid,),) = await ask()
        assert await ask() == [(pid,)]
        database.transact(lambda connection: connection.execute(text(f"SELECT pg_terminate_backend({pid})")))
        while not speaks(statements._free[0].fileno()):
            await asyncio.sleep(0.01)
        assert await ask() != [(pid,)]
        with pytest.raises(StoreUnavailable, match="terminating connection"):
            await statements.run("SELECT pg_terminate_backend(pg_backend_pid())", {})
        assert await ask()
