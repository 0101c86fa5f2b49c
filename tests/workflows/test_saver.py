"""The saver keeps what LangGraph's own one keeps, only for whoever holds the run, and waits for the database."""

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from trimtab.core.errors import StoreUnavailable
from trimtab.store import (
    Hosting,
    WorkflowRunRow,
    workflow_checkpoints,
    workflow_claims,
    workflow_runs,
    workflow_writes,
)
from trimtab.workflows.batch import Batch, LostRun
from trimtab.workflows.saver import RunSaver


def row(id="r1", **changes):
    facts = dict.fromkeys(("user", "key"), "") | {"tenant": "acme", "workflow": "w", "version": "1"}
    facts |= {"id": id, "thread": id, "state": "running", "claim": 1, "owner": "a", "recoveries": 0}
    facts |= {"cancel_asked": False, "priority": 0, "deadline": None, "created_at": 1.0, "updated_at": 1.0}
    return WorkflowRunRow(**(facts | {"input": b"{}"} | changes))


def claim(database, worker="b", most=3):
    hosting = Hosting(worker, frozenset({("w", "1")}), 10.0, most)
    return database.transact(lambda connection: workflow_claims.claim_lost(connection, hosting, 10))


@pytest.fixture
async def batch(database):
    database.transact(lambda connection: workflow_runs.add(connection, row()))
    made = Batch(database)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class State(TypedDict):
    log: Annotated[list, operator.add]


async def ask(state):
    return {"log": [interrupt("how many?")]}


async def work(state):
    return {"log": [state["number"]]}


def steps():
    inner = StateGraph(State)
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    inner.add_edge("ask", END)
    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_node("inner", inner.compile())
    graph.add_conditional_edges(START, lambda _: [Send("work", {"number": n}) for n in range(3)], ["work"])
    graph.add_edge("work", "inner")
    graph.add_edge("inner", END)
    return graph


async def told(saver):
    """What a thread looks like after an interrupt in a subgraph and its answer."""
    graph = steps().compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "r1"}}
    await graph.ainvoke({"log": ["begun"]}, config, durability="sync")
    waiting = await graph.aget_state(config, subgraphs=True)
    values = await graph.ainvoke(Command(resume=7), config, durability="sync")
    history = [
        (
            state.values,
            state.next,
            state.metadata["step"],
            state.metadata["source"],
            bool(state.parent_config),
        )
        async for state in graph.aget_state_history(config)
    ]
    limited = [state.metadata["step"] async for state in graph.aget_state_history(config, limit=2)]
    inputs = [s.metadata["step"] async for s in graph.aget_state_history(config, filter={"source": "input"})]
    shown = [(interrupted.value, len(interrupted.id)) for interrupted in waiting.interrupts]
    return waiting.values, waiting.next, shown, values, history, limited, inputs


async def test_a_thread_looks_as_it_does_in_langgraphs_own_saver(database, batch):
    ours = await told(RunSaver(database, batch, row()))
    assert ours == await told(InMemorySaver())
    assert ours[3]["log"][1:4] == [0, 1, 2]


async def test_what_a_worker_writes_that_lost_its_run_is_refused_and_not_kept(database, batch):
    old = RunSaver(database, batch, row())
    (taken,) = claim(database)
    assert (taken.claim, taken.owner, taken.recoveries) == (2, "b", 1)
    place = {"configurable": {"thread_id": "r1", "checkpoint_ns": ""}}
    with pytest.raises(LostRun):
        await old.aput(place, empty_checkpoint(), {"step": 0}, {})
    with pytest.raises(LostRun):
        await old.aput_writes(
            {"configurable": place["configurable"] | {"checkpoint_id": "c"}}, [("log", 1)], "t"
        )
    assert database.transact(lambda c: workflow_checkpoints.history(c, "acme/r1")) == []
    assert database.transact(lambda c: workflow_writes.of_checkpoint(c, "acme/r1", "", "c")) == []
    kept = await RunSaver(database, batch, row(claim=2)).aput(place, empty_checkpoint(), {"step": 0}, {})
    (found,) = database.transact(lambda c: workflow_checkpoints.history(c, "acme/r1"))
    assert found.id == kept["configurable"]["checkpoint_id"]


async def test_one_lost_run_does_not_hold_up_others_in_the_same_commit(database, batch):
    database.transact(lambda connection: workflow_runs.add(connection, row("r2", owner="alive", claim=5)))
    puts = [
        RunSaver(database, batch, row(run, claim=5)).aput(
            {"configurable": {"thread_id": run, "checkpoint_ns": ""}}, empty_checkpoint(), {"step": 0}, {}
        )
        for run in ("r1", "r2")
    ]
    lost, kept = await asyncio.gather(*puts, return_exceptions=True)
    assert isinstance(lost, LostRun)
    assert kept["configurable"]["thread_id"] == "r2"


async def test_a_graph_whose_run_is_taken_away_starts_no_further_node(database, batch):
    begun = []

    async def slow(state):
        begun.append("slow")
        await asyncio.to_thread(claim, database)
        return {"log": ["slow"]}

    async def after(state):
        begun.append("after")
        return {"log": ["after"]}

    graph = StateGraph(State)
    graph.add_node("slow", slow)
    graph.add_node("after", after)
    graph.add_edge(START, "slow")
    graph.add_edge("slow", "after")
    compiled = graph.compile(checkpointer=RunSaver(database, batch, row()))
    with pytest.raises(LostRun):
        await compiled.ainvoke({"log": []}, {"configurable": {"thread_id": "r1"}}, durability="sync")
    assert begun == ["slow"]


async def test_a_database_that_is_away_is_waited_for(database, batch, monkeypatch):
    away = iter([True] * 3)
    run = database.run

    async def sometimes(work, **how):
        if next(away, False):
            raise StoreUnavailable("away")
        return await run(work, **how)

    monkeypatch.setattr(database, "run", sometimes)
    await RunSaver(database, batch, row()).aput(
        {"configurable": {"thread_id": "r1", "checkpoint_ns": ""}}, empty_checkpoint(), {"step": 0}, {}
    )
    assert len(await run(lambda c: workflow_checkpoints.history(c, "acme/r1"))) == 1


def test_a_run_that_outlived_too_many_workers_is_parked_with_the_reason(database):
    database.transact(lambda connection: workflow_runs.add(connection, row()))
    assert [len(claim(database, most=2)) for _ in range(4)] == [1, 1, 0, 0]
    parked = database.transact(lambda connection: workflow_runs.find(connection, "r1"))
    assert (parked.state, parked.owner, parked.recoveries) == ("parked", "", 2)
    assert (
        parked.error
        == "given up after 2 recoveries: its worker died each time; `trimtab runs retry` tries it again"
    )
