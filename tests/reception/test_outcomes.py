"""Whoever waits for a run over HTTP: it ends with its client where that is asked for, and only there."""

import asyncio

import pytest

from reception.test_runs import HELLO, client

__all__ = ["client"]


@pytest.fixture
def waiters(client, monkeypatch):
    """What waits for runs in the house."""
    host = client.served.house.workflows
    was, there = host.wait, []

    def wait(id):
        there.append(asyncio.ensure_future(was(id)))
        return there[-1]

    monkeypatch.setattr(host, "wait", wait)
    return there


async def until(holds):
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def gives_up(waiting):
    """The client closes its connection."""
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def over(client, thread, run):
    async with asyncio.timeout(10):
        while (found := await client.runs.get(thread, run))["status"] in ("pending", "running"):
            await asyncio.sleep(0.01)
    return found["status"]


async def test_a_run_that_is_waited_for_ends_with_its_client_where_it_is_to(client):
    thread = (await client.threads.create())["thread_id"]
    waiting = asyncio.create_task(client.runs.wait(thread, "standing", input=HELLO, on_disconnect="cancel"))
    await client.held["arrived"].wait()
    await gives_up(waiting)
    (run,) = await client.runs.list(thread)
    assert await over(client, thread, run["run_id"]) == "interrupted"


async def test_a_run_that_is_joined_ends_with_its_client_where_it_is_to(client, waiters):
    thread = (await client.threads.create())["thread_id"]
    run = (await client.runs.create(thread, "standing", input=HELLO))["run_id"]
    await client.held["arrived"].wait()
    joining = asyncio.create_task(client.runs.join(thread, run, params={"cancel_on_disconnect": True}))
    await until(lambda: waiters)
    await gives_up(joining)
    assert await over(client, thread, run) == "interrupted"


async def test_a_run_goes_on_without_its_client_and_nothing_waits_for_it_any_more(client, waiters):
    thread = (await client.threads.create())["thread_id"]
    waiting = asyncio.create_task(client.runs.wait(thread, "standing", input=HELLO))
    await client.held["arrived"].wait()
    await gives_up(waiting)
    await until(lambda: [waiter.cancelled() for waiter in waiters] == [True])
    (run,) = await client.runs.list(thread)
    client.held["go"].set()
    assert await over(client, thread, run["run_id"]) == "success"
