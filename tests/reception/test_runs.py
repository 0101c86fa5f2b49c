"""Runs of threads through the LangGraph SDK's own client, over a socket."""

import asyncio

import pytest
from langgraph_sdk import errors, get_client

from gateway.served import endpoint
from reception.answering import bearer
from trimtab.core import NANODOLLARS_PER_USD, Attribution
from trimtab.store import workflow_claims
from workflows.made import lay_run

HELLO = {"messages": [{"role": "user", "content": "Hello?"}]}


@pytest.fixture
async def client(serve, upstream):
    """Serves a house that hosts the chats, and gives a client of it; `client.served` is the house."""
    graphs = ("chat", "asking", "standing", "falling")
    text = "\n".join(f'[workflow.{name}]\ngraph = "reception.chats:{name}"' for name in graphs)
    served = await serve(f"{endpoint(upstream)}\n{text}\n")
    served.house.workflows.take_runs()
    # Loaded by the house, as a workflow is: the SDKs in it look for their keys when it is imported.
    from reception import chats

    made = get_client(url=served.url, api_key="none")
    made.served, made.held = served, chats.hold()
    yield made
    await made.aclose()


async def events(stream):
    return [(part.event, part.data) async for part in stream]


def names(parts):
    return [name for name, _ in parts]


async def test_a_thread_remembers_what_its_runs_said(client):
    thread = await client.threads.create(metadata={"topic": "greeting"})
    first = await client.runs.wait(thread["thread_id"], "chat", input=HELLO)
    assert [message["type"] for message in first["messages"]] == ["human", "ai"]
    second = await client.runs.wait(thread["thread_id"], "chat", input=HELLO)
    assert [message["type"] for message in second["messages"]] == ["human", "ai"] * 2
    runs = await client.runs.list(thread["thread_id"])
    assert [run["status"] for run in runs] == ["success", "success"]
    state = await client.threads.get_state(thread["thread_id"])
    assert len(state["values"]["messages"]) == 4
    assert state["next"] == []
    history = await client.threads.get_history(thread["thread_id"], limit=20)
    assert len(history) == 8
    assert {call.run for call in await client.served.calls()} == {run["run_id"] for run in runs}


async def test_every_stream_mode_is_told_under_its_name(client):
    modes = ["values", "updates", "messages", "custom", "debug", "tasks", "checkpoints"]
    told = await events(client.runs.stream(None, "chat", input=HELLO, stream_mode=modes))
    assert names(told)[0] == "metadata"
    assert {"values", "updates", "custom", "debug", "tasks", "checkpoints"} <= set(names(told))
    assert {"messages/metadata", "messages/partial"} <= set(names(told)) or "messages/complete" in names(told)
    assert ("custom", {"seen": 1}) in told
    assert names(told)[-1] == "end"
    assert [data for name, data in told if name == "values"][-1]["mood"] == "kind"


async def test_events_and_message_tuples_are_told(client):
    told = await events(
        client.runs.stream(None, "chat", input=HELLO, stream_mode=["events", "messages-tuple"])
    )
    kinds = {data["event"] for name, data in told if name == "events"}
    assert {"on_chain_start", "on_chat_model_start", "on_chain_end"} <= kinds
    message, facts = next(data for name, data in told if name == "messages")
    assert (message["type"], facts["langgraph_node"]) == ("AIMessageChunk", "reply") or message[
        "type"
    ] == "ai"


async def test_whoever_comes_back_to_a_stream_misses_nothing_and_hears_nothing_twice(client):
    thread = await client.threads.create()
    made = []
    whole = [
        part
        async for part in client.runs.stream(
            thread["thread_id"],
            "chat",
            input=HELLO,
            stream_mode=["values", "updates"],
            on_run_created=made.append,
        )
    ]
    run = made[0]["run_id"]
    again = [
        part async for part in client.runs.join_stream(thread["thread_id"], run, last_event_id=whole[1].id)
    ]
    assert [(part.event, part.data) for part in again if part.event != "end"] == [
        (part.event, part.data) for part in whole[2:] if part.event != "end"
    ]


async def test_an_interrupt_is_told_and_one_answer_resumes_the_thread(client):
    thread = (await client.threads.create())["thread_id"]
    told = await events(client.runs.stream(thread, "asking", input=HELLO, stream_mode="updates"))
    assert told[-2][1]["__interrupt__"][0]["value"] == {"question": "may I?"}
    found = await client.threads.get(thread)
    assert found["status"] == "interrupted"
    ((asked,),) = found["interrupts"].values()
    answers = [
        client.runs.wait(thread, "asking", command={"resume": {asked["id"]: word}})
        for word in ("yes", "surely")
    ]
    given = await asyncio.gather(*answers, return_exceptions=True)
    refused = [one for one in given if isinstance(one, Exception)]
    assert [one.response.status_code for one in refused] == [409]
    assert (await client.threads.get(thread))["status"] == "idle"
    assert (await client.threads.get_state(thread))["values"]["mood"] in ("yes", "surely")
    runs = await client.runs.list(thread, status="interrupted")
    assert len(runs) == 1


async def test_an_answer_whose_run_is_cancelled_before_it_begins_is_asked_for_again(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "asking", input=HELLO)
    run = await client.runs.create(thread, "asking", command={"resume": "yes"}, after_seconds=60)
    assert (await client.threads.get(thread))["status"] == "busy"
    await client.runs.cancel(thread, run["run_id"])
    found = await client.threads.get(thread)
    assert (found["status"], len(found["interrupts"])) == ("interrupted", 1)
    await client.runs.wait(thread, "asking", command={"resume": "surely"})
    assert (await client.threads.get_state(thread))["values"]["mood"] == "surely"


async def test_an_answer_whose_run_is_deleted_before_it_begins_is_asked_for_again(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "asking", input=HELLO)
    run = await client.runs.create(thread, "asking", command={"resume": "yes"}, after_seconds=60)
    await client.runs.delete(thread, run["run_id"])
    assert (await client.threads.get(thread))["status"] == "interrupted"
    await client.runs.wait(thread, "asking", command={"resume": "surely"})
    assert (await client.threads.get_state(thread))["values"]["mood"] == "surely"


async def test_a_thread_that_went_on_is_not_led_back_to_an_old_question(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "asking", input=HELLO)
    run = await client.runs.create(thread, "asking", command={"resume": "yes"}, after_seconds=60)
    await client.runs.wait(thread, "chat", input=HELLO)
    await client.runs.cancel(thread, run["run_id"])
    with pytest.raises(errors.ConflictError, match="waits for no answer"):
        await client.runs.create(thread, "asking", command={"resume": "yes"})


async def test_an_answer_to_a_thread_that_waits_for_none_is_refused(client):
    thread = (await client.threads.create())["thread_id"]
    with pytest.raises(errors.ConflictError, match="waits for no answer"):
        await client.runs.create(thread, "asking", command={"resume": "yes"})
    assert await client.runs.list(thread) == []


async def test_a_new_input_leaves_what_the_thread_waited_for(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "asking", input=HELLO)
    values = await client.runs.wait(thread, "chat", input=HELLO)
    assert len(values["messages"]) == 3
    first, second = sorted(await client.runs.list(thread), key=lambda run: run["run_id"])
    assert (first["status"], second["status"]) == ("interrupted", "success")


async def test_a_failing_run_says_why(client):
    with pytest.raises(Exception, match="it is broken"):
        await client.runs.wait(None, "falling", input=HELLO)
    told = await events(client.runs.stream(None, "falling", input=HELLO))
    assert told[-2] == ("error", {"error": "ValueError", "message": "it is broken"})


@pytest.mark.parametrize("strategy", ["reject", "enqueue", "interrupt", "rollback"])
async def test_a_second_run_of_a_busy_thread_goes_by_its_strategy(client, strategy):
    held, thread = client.held, (await client.threads.create())["thread_id"]
    first = await client.runs.create(thread, "standing", input=HELLO)
    await held["arrived"].wait()
    assert (await client.threads.get(thread))["status"] == "busy"
    if strategy == "reject":
        with pytest.raises(errors.ConflictError):
            await client.runs.create(thread, "chat", input=HELLO, multitask_strategy=strategy)
        held["go"].set()
        await client.runs.join(thread, first["run_id"])
        return
    second = await client.runs.create(thread, "chat", input=HELLO, multitask_strategy=strategy)
    if strategy == "enqueue":
        assert (await client.runs.get(thread, second["run_id"]))["status"] == "pending"
        held["go"].set()
    values = await client.runs.join(thread, second["run_id"])
    runs = {run["run_id"]: run["status"] for run in await client.runs.list(thread)}
    expected = {"enqueue": "success", "interrupt": "interrupted", "rollback": None}[strategy]
    assert runs.get(first["run_id"]) == expected
    assert len(values["messages"]) == (2 if strategy == "rollback" else 3)


async def test_a_run_is_cancelled_joined_and_deleted(client):
    held, thread = client.held, (await client.threads.create())["thread_id"]
    run = (await client.runs.create(thread, "standing", input=HELLO))["run_id"]
    await held["arrived"].wait()
    with pytest.raises(errors.ConflictError):
        await client.runs.delete(thread, run)
    await client.runs.cancel(thread, run, wait=True)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    await client.runs.delete(thread, run)
    with pytest.raises(errors.NotFoundError):
        await client.runs.get(thread, run)


async def test_many_stateless_runs_leave_no_thread(client):
    runs = await client.runs.create_batch(
        [{"assistant_id": "chat", "input": HELLO}, {"assistant_id": "chat", "input": HELLO}]
    )
    for run in runs:
        values = await client.runs.join(run["thread_id"], run["run_id"])
        assert len(values["messages"]) == 2
        with pytest.raises(errors.NotFoundError):
            await client.threads.get(run["thread_id"])


async def test_a_run_begins_after_its_time(client):
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "chat", input=HELLO, after_seconds=3600)
    assert run["status"] == "pending"
    await client.runs.cancel_many(thread_id=thread, status="pending")
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"


async def test_a_breakpoint_stops_before_its_node_and_no_input_goes_on(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "chat", input=HELLO, interrupt_before=["reply"])
    found = await client.threads.get(thread)
    assert found["status"] == "interrupted"
    assert (await client.threads.get_state(thread))["next"] == ["reply"]
    values = await client.runs.wait(thread, "chat", input=None)
    assert len(values["messages"]) == 2


async def test_a_past_checkpoint_is_where_a_run_begins(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "chat", input=HELLO)
    await client.runs.wait(thread, "chat", input=HELLO)
    history = await client.threads.get_history(thread, limit=50)
    after_first = next(
        state for state in history if state["next"] == [] and len(state["values"]["messages"]) == 2
    )
    at = after_first["checkpoint"]["checkpoint_id"]
    values = await client.runs.wait(thread, "chat", input=HELLO, checkpoint_id=at)
    assert len(values["messages"]) == 4


async def test_wrong_requests_are_told_what_is_wrong(client):
    with pytest.raises(errors.NotFoundError, match="nobody"):
        await client.runs.create(None, "nobody", input=HELLO)
    with pytest.raises(errors.NotFoundError, match="there is no thread"):
        await client.runs.create("none", "chat", input=HELLO)
    with pytest.raises(errors.BadRequestError, match="webhooks are not called"):
        await client.runs.create(None, "chat", input=HELLO, webhook="http://x.example")
    with pytest.raises(errors.BadRequestError, match="stream_mode"):
        await client.runs.create(None, "chat", input=HELLO, stream_mode="smoke")


async def test_wrong_configs_and_gotos_are_refused_at_the_door(client):
    for wrong, named in (
        ({"config": {"recursion_limit": "abc"}}, "config.recursion_limit"),
        ({"config": {"configurable": 3}}, "config.configurable"),
        ({"command": {"goto": {"node": "reply"}}}, "command.goto"),
    ):
        with pytest.raises(errors.BadRequestError, match=named):
            await client.runs.create(None, "chat", input=HELLO, **wrong)


async def test_a_stateless_run_that_is_cancelled_in_the_queue_leaves_no_thread(client):
    run = await client.runs.create(None, "chat", input=HELLO, after_seconds=3600)
    await client.runs.cancel_many(run_ids=[run["run_id"]])
    with pytest.raises(errors.NotFoundError):
        await client.threads.get(run["thread_id"])


async def test_a_checkpoint_that_is_not_there_is_refused(client):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "chat", input=HELLO)
    with pytest.raises(errors.NotFoundError, match="no checkpoint"):
        await client.runs.create(thread, "chat", input=HELLO, checkpoint_id="1f0-none")
    assert len((await client.threads.get_state(thread))["values"]["messages"]) == 2


async def test_odd_places_in_a_stream_are_its_beginning(client):
    thread, made = (await client.threads.create())["thread_id"], []
    whole = await events(
        client.runs.stream(thread, "chat", input=HELLO, stream_mode="updates", on_run_created=made.append)
    )
    run = made[0]["run_id"]
    for odd in ("-5", "--5", "9" * 30, "x"):
        again = await events(client.runs.join_stream(thread, run, last_event_id=odd))
        assert again == whole, odd


async def test_many_who_wait_for_a_run_cost_one_look_at_a_time(client, monkeypatch):
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "chat", input=HELLO, after_seconds=3600)
    database, looks = client.served.house.database, 0
    was = database.run

    async def counted(work, *seconds):
        nonlocal looks
        looks += 1
        return await was(work, *seconds)

    waiting = [asyncio.create_task(client.runs.join(thread, run["run_id"])) for _ in range(40)]
    host = client.served.house.workflows
    while host._waiting._wanted.total() < 40:
        await asyncio.sleep(0.01)
    monkeypatch.setattr(database, "run", counted)
    await asyncio.sleep(0.3)
    # The house looks at its own things too; forty who looked for themselves would be two hundred and forty.
    assert looks < 60
    monkeypatch.setattr(database, "run", was)
    await client.runs.cancel_many(run_ids=[run["run_id"]])
    await asyncio.gather(*waiting)


async def test_runs_that_were_too_late_are_listed_page_by_page(client):
    await client.threads.create(thread_id="t")

    def work(connection):
        for number in range(210):
            error = workflow_claims.LATE if number in (0, 1, 209) else "ValueError: no"
            more = {"tenant": "default", "workflow": "chat", "thread": "t", "state": "failed", "error": error}
            lay_run(connection, f"r{number:03}", **more)

    await client.served.house.database.run(work)

    async def listed(**asked):
        return [run["run_id"] for run in await client.runs.list("t", **asked)]

    assert await listed(status="timeout", limit=2) == ["r209", "r001"]
    assert await listed(status="timeout", limit=2, offset=2) == ["r000"]
    assert await listed(status="timeout", offset=3) == []
    assert await listed(status="error", limit=2) == ["r208", "r207"]
    assert len(await listed(status="error", limit=1_000)) == 207


POOR = '[[budget]]\nscope = "user"\nwindow = "day"\nlimit_usd = 1.0\nmatch = { tenant = "acme" }\n'


@pytest.mark.parametrize(("needs", "status"), [(0.75, 402), (0.5, 200)])
async def test_a_run_whose_budget_has_not_what_its_workflow_needs_is_refused_at_the_door(
    hosting, needs, status
):
    served = await hosting("asking", f"needs_usd = {needs}\n{POOR}")
    key = bearer(await served.key("acme", "ada"))
    first = await served.post({"assistant_id": "work", "input": {}}, "/runs/wait", key)
    assert first.status == 200
    spent = Attribution("acme", "r", "ada")
    await served.house.ledger.charge("c", "", spent, "tool", "search", NANODOLLARS_PER_USD // 2)
    await served.house.writer.flush()
    made = {"assistant_id": "work", "input": {}, "if_not_exists": "create"}
    answer = await served.post(made, "/threads/6ec1e3d0-21f3-4a1c-8ad0-9f5f2c4e51aa/runs", key)
    assert answer.status == status
    if status == 402:
        assert "budget user/day is exhausted" in answer.json["detail"]
        gone = await served.get("/threads/6ec1e3d0-21f3-4a1c-8ad0-9f5f2c4e51aa", key)
        assert gone.status == 404
    # What has begun may be answered, and another user has a budget of his own.
    one = (await served.get("/v1/inbox", key)).json["questions"][0]
    go_on = {"assistant_id": "work", "command": {"resume": "yes"}}
    assert (await served.post(go_on, f"/threads/{one['thread']}/runs", key)).status == 200
    other = bearer(await served.key("acme", "bob"))
    assert (await served.post({"assistant_id": "work", "input": {}}, "/runs", other)).status == 200
