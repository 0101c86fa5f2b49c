"""Threads through the LangGraph SDK's own client, over a socket."""

import json

import httpx
import pytest
from langgraph_sdk import errors, get_client

from reception.test_runs import HELLO, client
from trimtab.store import workflow_crons, workflow_places

__all__ = ["client"]


async def test_threads_are_made_found_changed_and_deleted(client):
    made = await client.threads.create(thread_id="t-1", metadata={"color": "red", "n": 1})
    assert (made["thread_id"], made["status"], made["metadata"]) == ("t-1", "idle", {"color": "red", "n": 1})
    with pytest.raises(errors.ConflictError):
        await client.threads.create(thread_id="t-1")
    assert (await client.threads.create(thread_id="t-1", if_exists="do_nothing"))["metadata"]["n"] == 1
    await client.threads.update("t-1", metadata={"n": 2})
    assert (await client.threads.get("t-1"))["metadata"] == {"color": "red", "n": 2}
    await client.threads.create(thread_id="t-2", metadata={"color": "blue"})
    found = await client.threads.search(metadata={"color": "red"})
    assert [thread["thread_id"] for thread in found] == ["t-1"]
    assert await client.threads.count(metadata={"color": "red"}) == 1
    assert await client.threads.search(metadata={"color": None}) == []
    assert len(await client.threads.search(ids=["t-1", "t-2", "t-3"])) == 2
    await client.threads.delete("t-1")
    with pytest.raises(errors.NotFoundError):
        await client.threads.get("t-1")


async def test_pages_of_threads_follow_each_other(client):
    for number in range(5):
        await client.threads.create(thread_id=f"t-{number}")
    pages = [
        await client.threads.search(limit=2, offset=offset, sort_by="thread_id", sort_order="asc")
        for offset in (0, 2, 4)
    ]
    assert [thread["thread_id"] for page in pages for thread in page] == [f"t-{n}" for n in range(5)]


async def test_threads_are_searched_by_how_they_stand(client):
    waits = (await client.threads.create())["thread_id"]
    await client.runs.wait(waits, "asking", input=HELLO)
    await client.threads.create()
    (found,) = await client.threads.search(status="interrupted")
    assert found["thread_id"] == waits
    assert found["values"]["mood"] == "kind"


async def test_a_state_is_changed_as_if_by_a_node(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "chat", input=HELLO)
    before = await client.threads.get_state(thread)
    changed = await client.threads.update_state(thread, {"mood": "grim"}, as_node="greet")
    state = await client.threads.get_state(thread)
    assert (state["values"]["mood"], state["next"]) == ("grim", ["reply"])
    assert changed["checkpoint"]["checkpoint_id"] == state["checkpoint"]["checkpoint_id"]
    old = await client.threads.get_state(thread, checkpoint_id=before["checkpoint"]["checkpoint_id"])
    assert old["values"]["mood"] == "kind"
    with pytest.raises(errors.BadRequestError):
        await client.threads.update_state(thread, {"mood": "grim"}, as_node="nobody")


async def test_a_copy_goes_on_by_itself(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "chat", input=HELLO)
    copy = (await client.threads.copy(thread))["thread_id"]
    values = await client.runs.wait(copy, "chat", input=HELLO)
    assert len(values["messages"]) == 4
    assert len((await client.threads.get_state(thread))["values"]["messages"]) == 2


async def test_nothing_of_a_tenant_is_there_for_another(client):
    served = client.served
    mine = get_client(url=served.url, api_key=await served.key("acme"))
    other = get_client(url=served.url, api_key=await served.key("bravo"))
    thread = (await mine.threads.create(thread_id="same", metadata={"who": "acme"}))["thread_id"]
    run = await mine.runs.create(thread, "chat", input=HELLO)
    await mine.runs.join(thread, run["run_id"])
    for asking in (
        other.threads.get(thread),
        other.threads.get_state(thread),
        other.threads.update_state(thread, {"mood": "x"}),
        other.threads.delete(thread),
        other.threads.copy(thread),
        other.threads.get_history(thread),
        other.runs.list(thread),
        other.runs.get(thread, run["run_id"]),
        other.runs.cancel(thread, run["run_id"]),
        other.runs.create(thread, "chat", input=HELLO),
    ):
        with pytest.raises(errors.NotFoundError):
            await asking
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await other.runs.join(thread, run["run_id"])
    with pytest.raises(errors.NotFoundError):
        [part async for part in other.runs.join_stream(thread, run["run_id"])]
    assert await other.threads.search() == []
    # The same name is another thread with another tenant.
    await other.threads.create(thread_id="same")
    assert (await other.threads.get_state("same"))["values"] == {}
    values = await other.runs.wait("same", "chat", input=HELLO)
    assert len(values["messages"]) == 2
    assert len((await mine.threads.get_state("same"))["values"]["messages"]) == 2
    await mine.aclose()
    await other.aclose()


async def test_a_viewer_reads_and_changes_nothing(client):
    served = client.served
    looks = get_client(url=served.url, api_key=await served.key("acme", role="viewer"))
    works = get_client(url=served.url, api_key=await served.key("acme"))
    await works.threads.create(thread_id="search")
    run = await works.runs.create("search", "standing", input=HELLO)
    await client.held["arrived"].wait()
    assert (await looks.threads.get("search"))["thread_id"] == "search"
    assert len(await looks.threads.search()) == 1
    for asking in (
        looks.threads.create(),
        looks.threads.delete("search"),
        looks.threads.update("search", metadata={"a": 1}),
        looks.runs.create("search", "chat", input=HELLO),
        looks.runs.cancel("search", run["run_id"]),
    ):
        with pytest.raises(errors.PermissionDeniedError):
            await asking
    with pytest.raises(errors.PermissionDeniedError):
        [part async for part in looks.runs.join_stream("search", run["run_id"], cancel_on_disconnect=True)]
    client.held["go"].set()
    await works.runs.join("search", run["run_id"])
    await looks.aclose()
    await works.aclose()


async def test_a_key_that_may_name_few_models_names_them_in_its_runs_and_crons_too(client):
    served = client.served
    narrow = get_client(url=served.url, api_key=await served.key("acme", models=("none-such",)))
    run = await narrow.runs.create(None, "chat", input=HELLO, on_completion="keep")
    await narrow.runs.join(run["thread_id"], run["run_id"])
    failed = await narrow.runs.get(run["thread_id"], run["run_id"])
    assert (failed["status"], "none-such" in failed["error"]) == ("error", True)
    cron = await narrow.crons.create("chat", schedule="* * * * *", input=HELLO)
    row = await served.house.database.run(lambda c: workflow_crons.find(c, "acme", cron["cron_id"]))
    assert json.loads(row.payload)["models"] == ["none-such"]
    await narrow.aclose()


async def test_a_thread_that_goes_takes_its_queued_runs_and_their_places(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.create(thread, "chat", input=HELLO, after_seconds=3600)
    await client.threads.delete(thread)
    counted = await client.served.house.database.run(workflow_places.everyone)
    assert counted["default"] == (0, 0)


async def test_threads_are_pruned_past_those_that_are_busy_or_gone(client):
    for id in ("t-1", "t-2", "t-3"):
        await client.threads.create(thread_id=id)
    run = await client.runs.create("t-2", "standing", input=HELLO)
    await client.held["arrived"].wait()
    told = await client.threads.prune(["t-1", "none", "t-2", "t-3"])
    assert told == {"pruned_count": 2, "busy": ["t-2"]}
    assert [thread["thread_id"] for thread in await client.threads.search()] == ["t-2"]
    client.held["go"].set()
    await client.runs.join("t-2", run["run_id"])
