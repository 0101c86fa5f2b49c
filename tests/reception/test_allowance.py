"""Places and allowances of tenants: what is refused leaves nothing behind, and says which setting refused it."""

import asyncio
from contextlib import suppress

import pytest
from langgraph_sdk import errors, get_client

from trimtab.store import workflow_runs, workflow_threads

INPUT = {"log": []}


@pytest.fixture
async def bounded(hosting):
    """`await bounded("max_threads = 2")`: a client of tenant acme, which is held to that; `.served` is the house."""
    clients = []

    async def make(*limits, **graph):
        lines = "\n".join(limits)
        served = await hosting(**({"graph": "failing"} | graph), more=f'[[tenant]]\nname = "acme"\n{lines}')
        client = get_client(url=served.url, api_key=await served.key("acme"))
        client.served = served
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


async def kept(client):
    """Runs and threads of the tenant."""
    database = client.served.house.database
    runs = await database.run(lambda c: workflow_runs.page(c, "acme"))
    return len(runs), await database.run(lambda c: workflow_threads.count_all(c, "acme"))


async def test_a_batch_is_begun_whole_or_not_at_all(bounded):
    client = await bounded("max_queued_runs = 2")
    one = {"assistant_id": "work", "input": INPUT}
    with pytest.raises(errors.RateLimitError, match="max_queued_runs"):
        await client.runs.create_batch([one, {**one, "on_completion": "keep"}, one])
    assert await kept(client) == (0, 0)
    with pytest.raises(errors.NotFoundError, match="nobody"):
        await client.runs.create_batch([one, {**one, "assistant_id": "nobody"}])
    assert await kept(client) == (0, 0)
    async with asyncio.timeout(10):
        # A refusal is remembered for a moment.
        while True:
            with suppress(errors.RateLimitError):
                begun = await client.runs.create_batch([one, one])
                break
            await asyncio.sleep(0.01)
    assert [run["status"] for run in begun] == ["pending", "pending"]
    assert await kept(client) == (2, 2)


async def test_what_a_refused_batch_had_begun_is_ended_where_it_is_driven_already(bounded, monkeypatch):
    client = await bounded("max_runs = 1", "max_queued_runs = 1", graph="standing", module="reception.chats")
    from reception import chats

    held, host = chats.hold(), client.served.house.workflows
    start = host.start

    async def once_the_first_is_driven(order):
        row = await start(order)
        await held["arrived"].wait()
        return row

    monkeypatch.setattr(host, "start", once_the_first_is_driven)
    host.take_runs()
    with pytest.raises(errors.RateLimitError, match="max_queued_runs"):
        await client.runs.create_batch([{"assistant_id": "work", "input": {}}] * 3)
    async with asyncio.timeout(10):
        while await kept(client) != (0, 0):
            await asyncio.sleep(0.01)


async def test_a_refused_run_leaves_no_thread_that_was_made_for_it(bounded):
    client = await bounded("max_queued_runs = 1")
    made = await client.runs.create("t-1", "work", input=INPUT, if_not_exists="create")
    assert (made["thread_id"], made["status"]) == ("t-1", "pending")
    assert (await client.threads.get("t-1"))["metadata"]["graph_id"] == "work"
    with pytest.raises(errors.RateLimitError, match="max_queued_runs"):
        await client.runs.create("t-2", "work", input=INPUT, if_not_exists="create")
    with pytest.raises(errors.NotFoundError):
        await client.threads.get("t-2")
    with pytest.raises(errors.BadRequestError, match="a thread's id"):
        await client.runs.create("t!", "work", input=INPUT, if_not_exists="create")


async def test_a_tenant_keeps_no_more_threads_than_it_may(bounded):
    client = await bounded("max_threads = 2")
    for id in ("t-1", "t-2"):
        await client.threads.create(thread_id=id)
    for beyond in (
        client.threads.create(),
        client.threads.copy("t-1"),
        client.runs.create("t-3", "work", input=INPUT, if_not_exists="create"),
    ):
        with pytest.raises(errors.ConflictError, match=r"may keep 2 threads \(\[\[tenant\]\] max_threads\)"):
            await beyond
    assert await kept(client) == (0, 2)
    assert (await client.threads.create(thread_id="t-1", if_exists="do_nothing"))["thread_id"] == "t-1"
    await client.runs.create("t-1", "work", input=INPUT, if_not_exists="create")
    await client.threads.delete("t-2")
    await client.threads.create(thread_id="t-3")


async def test_a_tenant_keeps_no_more_crons_and_items_than_it_may(bounded):
    client = await bounded("max_crons = 1", "max_items = 1")
    made = await client.crons.create("work", schedule="0 9 * * *")
    with pytest.raises(errors.ConflictError, match="max_crons"):
        await client.crons.create("work", schedule="0 9 * * *")
    await client.crons.delete(made["cron_id"])
    await client.crons.create("work", schedule="0 8 * * *")
    await client.store.put_item(["home"], "cat", {"word": "cat"})
    await client.store.put_item(["home"], "cat", {"word": "tom"})
    with pytest.raises(errors.ConflictError, match="max_items"):
        await client.store.put_item(["home"], "dog", {"word": "dog"})
    assert (await client.store.get_item(["home"], "cat"))["value"] == {"word": "tom"}
    assert await client.store.get_item(["home"], "dog") is None
