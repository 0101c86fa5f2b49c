"""A house that hosts a graph: its model calls go through dispatch, its runs end as they ought to."""

import asyncio
import json

import pytest
from sqlalchemy import update

from gateway.served import cost
from gateway.upstream import Says, hangs, waits
from trimtab.core.errors import BadRequest, NotFound
from trimtab.store import workflow_runs
from trimtab.store.workflow_schema import run as workflow_run
from trimtab.workflows import Order

TEXT = "The quick brown fox jumps over the lazy dog."


async def ran(served, **order):
    host = served.house.workflows
    row = await host.start(Order("work", b'{"log": []}', **order))
    return await host.wait(row.id)


async def test_every_sdk_reaches_dispatch_with_its_run_and_step(hosting, upstream):
    served = await hosting("everything")
    run = await ran(served, tenant="acme", user="ada", priority=7)
    assert (run.state, run.error) == ("done", "")
    assert json.loads(run.output) == {"log": [TEXT] * 13}
    calls, lines = await served.calls(), await served.entries()
    names = ["langchain", "langchain_in_a_thread", "langchain_stream", "langchain_stream_in_a_thread"]
    names += ["openai", "openai_in_a_thread", "outer/inner"]
    assert [call.step for call in calls] == names
    assert {(c.tenant, c.user, c.run, c.workflow) for c in calls} == {("acme", "ada", run.id, "work")}
    assert [call.stream for call in calls] == [False, False, True, True, False, False, False]
    assert [line.nanodollars for line in lines] == [cost(seen.billed) for seen in upstream.seen]
    assert {(line.run, line.tenant) for line in lines} == {(run.id, "acme")}
    assert sorted(line.step for line in lines) == sorted(names)


async def test_our_own_client_in_a_node_reaches_dispatch_with_the_run_and_step_of_the_node(hosting):
    served = await hosting("by_our_client")
    run = await ran(served, tenant="acme", user="ada")
    assert (run.state, run.error, json.loads(run.output)["log"]) == ("done", "", [TEXT] * 2)
    calls = await served.calls()
    assert [call.step for call in calls] == ["client", "client_in_a_thread"]
    assert {(c.tenant, c.user, c.run, c.workflow) for c in calls} == {("acme", "ada", run.id, "work")}


async def test_a_call_in_a_sequence_knows_its_step(hosting):
    served = await hosting("in_sequence")
    run = await ran(served)
    assert (run.state, json.loads(run.output)["log"]) == ("done", [TEXT])
    assert [call.step for call in await served.calls()] == ["sequence"]


async def test_a_call_that_is_refused_is_told_to_the_sdk_and_fails_the_run(hosting, upstream):
    served = await hosting("everything", '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 0.0\n')
    run = await ran(served)
    assert run.state == "failed"
    assert "Error code: 402" in run.error
    assert "budget tenant/day is exhausted" in run.error
    assert upstream.seen == []


async def test_a_plain_client_in_an_async_node_is_refused_before_it_stops_the_loop(hosting):
    served = await hosting("blocking")
    run = await ran(served)
    assert run.state == "failed"
    assert "use its async twin, or make the node a plain function" in run.error


async def test_a_call_from_a_thread_without_its_context_is_refused(hosting, upstream):
    served = await hosting("strayed")
    run = await ran(served)
    assert "Error code: 403" in json.loads(run.output)["log"][0]
    assert upstream.seen == []


async def test_a_node_that_fails_fails_the_run_and_a_retry_goes_on_there(hosting, tmp_path, monkeypatch):
    monkeypatch.setenv("MARKS", str(tmp_path))
    served = await hosting("failing")
    run = await ran(served)
    assert (run.state, run.error, run.output) == ("failed", "ValueError: this once", None)
    host = served.house.workflows
    assert (await host.take(run.id)).claim == 2
    run = await host.wait(run.id)
    assert (run.state, json.loads(run.output)) == ("done", {"log": ["first", "second"]})


async def test_a_cancel_ends_the_call_under_way_upstream(hosting, upstream):
    upstream.always = hangs()
    served = await hosting("everything")
    host = served.house.workflows
    row = await host.start(Order("work", b'{"log": []}'))
    await upstream.arrivals(1)
    assert await host.cancel(row.id)
    run = await host.wait(row.id)
    assert (run.state, run.owner) == ("cancelled", "")
    await upstream.seen[0].closed.wait()
    assert not await host.cancel(row.id)
    assert [call.status for call in await served.calls()] == ["cancelled"]


async def test_a_cancel_reaches_a_call_that_a_thread_waits_for(hosting, upstream):
    upstream.then(Says(), hangs())
    served = await hosting("everything")
    host = served.house.workflows
    row = await host.start(Order("work", b'{"log": []}'))
    await upstream.arrivals(2)
    assert await host.cancel(row.id)
    assert (await host.wait(row.id)).state == "cancelled"
    await upstream.seen[1].closed.wait()


async def test_a_deadline_ends_a_run(hosting, upstream, clock):
    upstream.always = hangs()
    served = await hosting("everything")
    run = await ran(served, deadline=clock.now() + 0.3)
    assert run.state == "failed"
    assert "deadline" in run.error


async def test_a_node_that_cancels_itself_fails_its_run_only(hosting):
    served = await hosting("cancelling")
    run = await ran(served)
    assert (run.state, run.error.partition(":")[0]) == ("failed", "NodeCancelledError")


async def test_a_run_whose_end_was_not_noted_is_ended_without_any_node_again(hosting, upstream):
    served = await hosting("everything")
    run = await ran(served)
    seen = len(upstream.seen)
    mine = update(workflow_run).where(workflow_run.c.id == run.id)
    await served.house.database.run(
        lambda c: c.execute(mine.values(state="running", owner="gone", output=None))
    )
    host = served.house.workflows
    assert (await host.take(run.id)).claim == 2
    again = await host.wait(run.id)
    assert (again.state, again.output, len(upstream.seen)) == ("done", run.output, seen)


async def test_a_drain_lets_the_step_under_way_end_and_queues_the_run(hosting, upstream):
    gate = asyncio.Event()
    upstream.then(waits(gate))
    served = await hosting("everything")
    host = served.house.workflows
    row = await host.start(Order("work", b'{"log": []}'))
    await upstream.arrivals(1)
    draining = asyncio.create_task(host.drain(5.0))
    while not host._driver.drains:
        await asyncio.sleep(0)
    gate.set()
    await draining
    run = await host.find(row.id)
    assert (run.state, run.owner, len(upstream.seen)) == ("queued", "", 1)
    assert [call.status for call in await served.calls()] == ["ok"]


async def test_a_drain_does_not_wait_for_ever(hosting, upstream):
    upstream.always = hangs()
    served = await hosting("everything")
    host = served.house.workflows
    row = await host.start(Order("work", b'{"log": []}'))
    await upstream.arrivals(1)
    await host.drain(0.1)
    assert (await host.find(row.id)).state == "queued"


async def test_an_interrupt_ends_the_leg_and_holds_nothing(hosting):
    served = await hosting("asking")
    run = await ran(served)
    assert (run.state, run.owner) == ("waiting", "")
    assert json.loads(run.output)["__interrupt__"][0]["value"] == {"refund": 20}


async def test_what_cannot_be_run_is_refused_and_leaves_nothing(hosting):
    served = await hosting("failing")
    host = served.house.workflows
    with pytest.raises(NotFound, match="hosted: work"):
        await host.start(Order("other", b"{}"))
    with pytest.raises(BadRequest, match="not JSON"):
        await host.start(Order("work", b"{"))
    with pytest.raises(NotFound, match="no hosted run"):
        await host.take("none")
    assert await served.house.database.run(lambda c: workflow_runs.find(c, "none")) is None
