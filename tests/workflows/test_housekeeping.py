"""Rows stay bounded: long runs keep their newest checkpoints and go on, what is over is deleted, what waits stays."""

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from sqlalchemy import func, select, update

from trimtab.config import HostingSettings
from trimtab.store import (
    CheckpointRow,
    Event,
    ItemRow,
    QuestionRow,
    ThreadRow,
    WorkerRow,
    WorkflowRunRow,
    workflow_checkpoints,
    workflow_events,
    workflow_items,
    workflow_questions,
    workflow_runs,
    workflow_schema,
    workflow_threads,
    workflow_workers,
    workflow_writes,
)
from trimtab.workflows import Housekeeping
from trimtab.workflows.batch import Batch
from trimtab.workflows.saver import RunSaver

DAY = 86_400.0


class State(TypedDict):
    count: int
    notes: Annotated[list, operator.add]


class Inner(TypedDict):
    count: int
    seen: Annotated[list, operator.add]


def row(id, thread="t", **changes):
    facts = dict.fromkeys(("user", "key"), "") | {"tenant": "acme", "workflow": "w", "version": "1"}
    facts |= {"id": id, "thread": thread, "state": "running", "claim": 1, "owner": "a", "recoveries": 0}
    facts |= {"cancel_asked": False, "priority": 0, "deadline": None, "created_at": 1.0, "updated_at": 1.0}
    return WorkflowRunRow(**facts | {"input": b"{}"} | changes)


def looping(steps, asks_at=()):
    """A graph that goes round, through a subgraph that begins anew each time and one that remembers."""

    async def tick(state):
        return {"count": state["count"] + 1}

    async def ask(state):
        if state["count"] in asks_at:
            interrupt("go on?")
        return {"count": state["count"], "seen": [state["count"]]}

    inner = StateGraph(Inner)
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    inner.add_edge("ask", END)
    graph = StateGraph(State)
    graph.add_node("tick", tick)
    graph.add_node("fresh", inner.compile())
    graph.add_node("lasting", inner.compile(checkpointer=True))
    graph.add_edge(START, "tick")
    graph.add_edge("tick", "fresh")
    graph.add_edge("fresh", "lasting")
    graph.add_conditional_edges("lasting", lambda state: END if state["count"] >= steps else "tick")
    return graph


def housekeeping(database, clock, **settings):
    return Housekeeping(HostingSettings(**settings), database, "me", clock)


@pytest.fixture
async def batch(database):
    batch = Batch(database)
    task = asyncio.create_task(batch.run())
    yield batch
    task.cancel()


def counted(database, *names):
    def work(connection):
        tables = [getattr(workflow_schema, name) for name in names]
        return [connection.scalar(select(func.count()).select_from(table)) for table in tables]

    return database.transact(work)


async def test_a_long_run_keeps_its_newest_steps_and_goes_on(database, batch, clock):
    keep, run = 6, row("r1")
    database.transact(lambda c: workflow_runs.add(c, run))
    keeper = housekeeping(database, clock, keep_checkpoints=keep)
    graph = looping(40, asks_at=(20, 30)).compile(checkpointer=RunSaver(database, batch, run))
    config = {"configurable": {"thread_id": "t"}, "recursion_limit": 500}
    await graph.ainvoke({"count": 0, "notes": []}, config, durability="sync")
    before = counted(database, "checkpoint", "write")
    assert before[0] > 60
    assert await keeper.prune() > 0
    marks = database.transact(lambda c: workflow_checkpoints.marks(c, "acme/t"))
    namespaces = {mark.namespace for mark in marks}
    roots = [mark.id for mark in marks if mark.namespace == ""]
    assert len(roots) == keep
    assert len([name for name in namespaces if ":" in name]) <= keep
    assert "lasting" in namespaces
    assert all(mark.id >= roots[-1] for mark in marks if ":" in mark.namespace)
    written = [mark for mark in marks if of(database, mark)]
    assert counted(database, "write") == [sum(len(of(database, mark)) for mark in written)]
    assert await keeper.prune() == 0

    while (state := await graph.aget_state(config, subgraphs=True)).next:
        (asked,) = state.interrupts
        await graph.ainvoke(Command(resume={asked.id: "yes"}), config, durability="sync")
        await keeper.prune()
    assert state.values["count"] == 40
    inside = await graph.aget_state({"configurable": {"thread_id": "t", "checkpoint_ns": "lasting"}})
    assert inside.values["seen"] == list(range(1, 41))
    assert counted(database, "checkpoint")[0] < 10 * keep


def of(database, mark):
    return database.transact(lambda c: workflow_writes.of_checkpoint(c, "acme/t", mark.namespace, mark.id))


async def test_what_a_run_began_with_stays_so_that_it_can_be_undone(database, batch, clock):
    config = {"configurable": {"thread_id": "t"}, "recursion_limit": 500}
    for number in (1, 2):
        run = row(f"r{number}")
        database.transact(lambda c, run=run: workflow_runs.add(c, run))
        graph = looping(10 * number).compile(checkpointer=RunSaver(database, batch, run))
        await graph.ainvoke(
            {"notes": [number]} | ({"count": 0} if number == 1 else {}), config, durability="sync"
        )
    await housekeeping(database, clock, keep_checkpoints=3).prune()
    marks = database.transact(lambda c: workflow_checkpoints.marks(c, "acme/t", ""))
    assert [mark.run for mark in marks] == ["r2", "r2", "r2", "r1"]
    database.transact(lambda c: workflow_runs.undo(c, run))
    state = await graph.aget_state(config)
    assert (state.values["count"], state.values["notes"]) == (10, [1])


async def test_a_graph_that_keeps_differences_is_left_alone(database, clock):
    database.transact(lambda c: workflow_runs.add(c, row("r1")))
    told = b'{"counters_since_delta_snapshot": {"log": [1, 1]}}'
    database.transact(lambda c: fill(c, "t", "r1", 9, told))
    assert await housekeeping(database, clock, keep_checkpoints=2).prune() == 0
    assert counted(database, "checkpoint") == [9]


def fill(connection, thread, run, steps, metadata=b"{}"):
    """Checkpoints of a thread, each with a write."""
    key, ids = f"acme/{thread}", [f"{run}-{step:04}" for step in range(steps)]
    rows = [CheckpointRow(key, "", id, run, "", "msgpack", b"\x80", metadata) for id in ids]
    workflow_checkpoints.put(connection, rows)
    written = [workflow_writes.WriteRow(key, "", id, "t", 0, "", "log", "msgpack", b"\xc0") for id in ids]
    workflow_writes.put(connection, written, replace=False)


def lay(database, thread, steps=3, runs=(), at=0.0, expires_at=None):
    """A thread with checkpoints, and its runs by id: (state, when it came to that)."""

    def work(connection):
        last = list(runs)[-1] if runs else ""
        known = ThreadRow("acme", thread, "w", "{}", last, at, at, expires_at)
        workflow_threads.lay(connection, known)
        fill(connection, thread, thread, steps)
        for id, (state, moved) in dict(runs).items():
            workflow_runs.add(connection, row(id, thread, state=state, updated_at=moved))
            workflow_events.put(connection, id, [Event(0, "values", b"{}")], moved)
            asked = QuestionRow(id, "q", "acme", "w", moved, "", None, "", b"{}")
            workflow_questions.ask(connection, [asked])

    database.transact(work)


def left(database, name, column):
    table = getattr(workflow_schema, name)
    return database.transact(lambda c: sorted(c.scalars(select(table.c[column]).distinct())))


async def test_retention_deletes_all_of_what_is_over_and_nothing_of_what_waits(database, clock):
    now = clock.now()
    old, new = now - 31 * DAY, now - 29 * DAY
    lay(database, "gone", 450, {"r1": ("done", old), "r2": ("failed", old)}, old)
    lay(database, "asks", 3, {"r3": ("waiting", old)}, old)
    lay(database, "parked", 3, {"r4": ("parked", old), "r5": ("cancelled", old)}, old)
    lay(database, "lives", 3, {"r6": ("done", old), "r7": ("done", new)}, new)
    lay(database, "never used", 3, {}, old)
    tidied = await housekeeping(database, clock).tidy()
    assert (tidied.runs, tidied.threads) == (4, 2 + 2)
    assert left(database, "run", "id") == ["r3", "r4", "r7"]
    assert left(database, "thread", "id") == ["asks", "lives", "parked"]
    for name in ("checkpoint", "write"):
        assert left(database, name, "thread") == ["acme/asks", "acme/lives", "acme/parked"]
    assert left(database, "question", "run") == ["r3", "r4", "r7"]
    assert counted(database, "checkpoint", "write") == [9, 9]


async def test_threads_go_at_the_end_they_were_given_with_their_runs_but_not_while_one_is_open(
    database, clock
):
    now = clock.now()
    lay(database, "ended", 3, {"r1": ("done", now)}, now, expires_at=now - 1)
    lay(database, "open", 3, {"r2": ("queued", now)}, now, expires_at=now - 1)
    lay(database, "later", 3, {"r3": ("done", now)}, now, expires_at=now + 60)
    keeper = housekeeping(database, clock, retention_days=0)
    assert (await keeper.tidy()).threads == 1
    assert left(database, "run", "id") == ["r2", "r3"]
    assert left(database, "checkpoint", "thread") == ["acme/later", "acme/open"]
    clock.ahead += 61
    assert (await keeper.tidy()).threads == 1
    assert left(database, "thread", "id") == ["open"]


async def test_events_go_an_hour_after_their_run_ended(database, clock):
    now = clock.now()
    runs = {f"r{number:03}": ("done", now - 4000 + number / 1000) for number in range(450)}
    lay(database, "t", 1, runs | {"s1": ("failed", now - 60), "s2": ("waiting", now - 9000)}, now)
    keeper = housekeeping(database, clock)
    await keeper.tidy()
    assert left(database, "event", "run") == ["s1", "s2"]
    clock.ahead += 3600
    await keeper.tidy()
    assert left(database, "event", "run") == ["s2"]


async def test_items_of_the_store_go_when_they_expire_by_the_clock_of_the_database(database, clock):
    now = clock.now()
    clock.ahead = 3600.0
    ends = {"a": now - 1, "b": None, "c": now + 600}
    items = [ItemRow("acme", "n", key, b"{}", None, now, now, end) for key, end in ends.items()]
    database.transact(lambda c: workflow_items.put(c, items, now - 2))
    assert (await housekeeping(database, clock).tidy()).items == 1
    assert left(database, "item", "key") == ["b", "c"]


async def test_the_worker_that_lives_longest_tidies_up(database, clock):
    keeper = housekeeping(database, clock)
    assert not await keeper.is_due_here()
    for id in ("me", "younger"):
        database.transact(lambda c, id=id: workflow_workers.beat(c, WorkerRow(id, "host", 1, 0.0, False)))
    assert await keeper.is_due_here()
    database.transact(lambda c: workflow_workers.beat(c, WorkerRow("elder", "host", 1, 0.0, False)))
    assert not await keeper.is_due_here()
    dead = workflow_schema.worker.c.id == "elder"
    database.transact(lambda c: c.execute(update(workflow_schema.worker).where(dead).values(seen_at=1.0)))
    assert await keeper.is_due_here()
