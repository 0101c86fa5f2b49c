"""A whole house: assistants' settings reach runs, crons start them, and each tenant's store is its own."""

import asyncio

import pytest
from langgraph_sdk import get_client

from gateway.served import endpoint


@pytest.fixture
async def clients(serve, upstream):
    """`mine, theirs, clock` of a house that hosts the graph of `keeping`."""
    served = await serve(f'{endpoint(upstream)}\n[workflow.work]\ngraph = "reception.keeping:graph"\n')
    served.house.workflows.take_runs()
    made = [get_client(url=served.url, api_key=await served.key(tenant)) for tenant in ("acme", "other")]
    yield *made, served.clock
    for client in made:
        await client.aclose()


async def test_a_graphs_store_is_its_tenants_and_the_clients_see_the_same(clients):
    mine, theirs, _ = clients
    await mine.store.put_item(["home"], "cat", {"word": "cat"})
    told = [
        await client.runs.wait(None, "work", input={"word": "dog"}, context={"place": "home"})
        for client in (mine, theirs)
    ]
    assert [each["before"] for each in told] == [["cat"], []]
    kept = [(await client.store.search_items(["home"]))["items"] for client in (mine, theirs)]
    assert [[each["key"] for each in items] for items in kept] == [["dog", "cat"], ["dog"]]


async def test_an_assistants_context_reaches_its_runs(clients):
    mine, theirs, _ = clients
    made = await mine.assistants.create("work", context={"place": "garden"})
    thread = await mine.threads.create()
    await mine.runs.wait(thread["thread_id"], made["assistant_id"], input={"word": "rose"})
    assert (await mine.store.get_item(["garden"], "rose"))["value"] == {"word": "rose"}
    assert await theirs.store.get_item(["garden"], "rose") is None


async def test_a_due_cron_runs_the_graph_on_its_thread(clients):
    mine, _, clock = clients
    thread = (await mine.threads.create())["thread_id"]
    made = await mine.crons.create_for_thread(
        thread, "work", schedule="* * * * *", input={"word": "tick"}, context={"place": "home"}
    )
    clock.ahead += 61
    async with asyncio.timeout(10):
        while await mine.store.get_item(["home"], "tick") is None:
            await asyncio.sleep(0.02)
    (run,) = await mine.runs.list(thread)
    assert run["assistant_id"] == made["assistant_id"]
    await mine.crons.delete(made["cron_id"])
