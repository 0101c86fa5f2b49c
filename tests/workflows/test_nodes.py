"""What LangGraph promises of nodes holds where they are hosted: retries, time limits, plain functions, the store."""

import asyncio
import json
import time

import pytest

from gateway.upstream import hangs
from trimtab.workflows import Order

NODES = "workflows.node_graphs"


async def ran(served):
    host = served.house.workflows
    return await host.wait((await host.start(Order("work", b'{"log": []}'))).id)


async def test_a_node_is_tried_again_by_its_policy_under_a_key_of_its_own_each_time(hosting):
    served = await hosting("retried", module=NODES)
    from workflows import node_graphs

    node_graphs.seen.clear()
    run = await ran(served)
    assert (run.state, json.loads(run.output)) == ("done", {"log": [3]})
    assert [key.rsplit(":", 1)[1] for key in node_graphs.seen] == ["1", "2", "3"]
    assert len({key.rsplit(":", 1)[0] for key in node_graphs.seen}) == 1


async def test_a_nodes_time_limit_ends_its_call_upstream_and_the_run(hosting, upstream):
    upstream.always = hangs()
    served = await hosting("timed", module=NODES)
    run = await ran(served)
    assert run.state == "failed"
    assert run.error.startswith("NodeTimeoutError")
    await served.at_rest()
    assert [call.status for call in await served.calls()] == ["cancelled"]


async def test_plain_functions_share_the_threads_there_are_and_do_not_stop_the_loop(hosting):
    served = await hosting("threads", "[hosting]\nthreads = 3\n", NODES)
    turns = 0

    async def watch():
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    watching = asyncio.create_task(watch())
    began = time.perf_counter()
    run = await ran(served)
    took = time.perf_counter() - began
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert json.loads(run.output) == {"log": [1] * 6}
    # Six sleeps of .2 s on three threads are two rounds; on the loop they would leave it no turn but between them.
    assert took >= 0.4
    assert turns > 6


async def test_nodes_have_their_tenants_store(hosting):
    served = await hosting("storing", module=NODES)
    run = await ran(served)
    assert json.loads(run.output) == {"log": ["hello"]}


@pytest.mark.parametrize("graph", ["leaving", "leaving_in_a_thread"])
async def test_a_node_that_leaves_the_process_fails_its_run_only(hosting, graph):
    served = await hosting(graph, module=NODES)
    run = await ran(served)
    assert (run.state, run.error[:29]) == ("failed", "RuntimeError: the node raised")
    assert (await ran(served)).state == "failed"


async def test_an_error_in_words_that_no_store_takes_is_told_in_others(hosting):
    served = await hosting("unsayable", module=NODES)
    run = await ran(served)
    assert (run.state, run.claim, run.error) == ("failed", 1, "ValueError: ? and ")


async def test_a_cancelled_run_keeps_its_place_as_long_as_its_thread_works(hosting):
    served = await hosting("threads", "[hosting]\nthreads = 3\n", NODES)
    host = served.house.workflows
    run = await host.start(Order("work", b'{"log": []}'))
    while not host._driver.leg(run.id).place.occupied:
        await asyncio.sleep(0.005)
    working = host._driver.leg(run.id).place.occupied
    await host.cancel(run.id)
    assert (await host.wait(run.id)).state == "cancelled"
    assert all(work.done() for work in working)
