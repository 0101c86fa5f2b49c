"""Shadow mode: the model answers, the controller decides beside it, and it is counted who agreed."""

import asyncio
import json

import pytest

from controllers.tiny import pack, tiny_loaders
from gateway.served import endpoint
from trimtab.store import StateRow, controllers
from trimtab.store.schema import controller_tally

from .test_decide import HEADERS, PICTURE, SETTINGS, ask

RULES = [{"when": "order", "calls": [["get_order", {"id": "W1"}]], "confidence": 0.995}]


def calling(*calls):
    """A script: the model calls tools."""

    async def script(talk):
        talk.bill(10)
        made = [
            {
                "id": f"c{i}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for i, (name, arguments) in enumerate(calls)
        ]
        message = {"role": "assistant", "content": None, "tool_calls": made}
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        await talk.whole({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})

    return script


@pytest.fixture
async def shadowed(serve, upstream, monkeypatch, tmp_path):
    monkeypatch.setattr("trimtab.controllers.roster.LOADERS", tiny_loaders())
    served = await serve(endpoint(upstream) + SETTINGS)
    pack(served.house.roster._registry, tmp_path / "made", RULES)
    row = StateRow("support", "step", "1", "shadow", 0.0, "test")
    await served.house.database.run(lambda c: controllers.set_to_work(c, row))
    await served.house.roster.load()
    return served


async def tallies(served, mode="shadow", version="1"):
    await served.house.onlooker.settled()
    await served.house.roster.tally.flush()
    rows = await served.rows(controller_tally)
    return {
        (row.option, row.bin): (row.decided, row.judged, row.agreed)
        for row in rows
        if (row.mode, row.version) == (mode, version)
    }


async def test_the_model_answers_and_agreement_is_counted_by_tool_and_bin(shadowed, upstream):
    upstream.then(calling(("get_order", {"id": "W1"})), calling(("cancel_order", {"id": "W1"})))
    for _ in range(2):
        answer = await shadowed.post(ask(), headers=HEADERS)
        assert "x-trimtab-answered-by" not in answer.headers
    assert len(upstream.seen) == 2
    counted = await tallies(shadowed)
    assert counted["*", 10] == (2, 2, 1)
    assert counted["get_order", 10][0] == 2


async def test_a_lookup_ahead_is_judged_when_the_run_comes_to_it(shadowed, upstream):
    upstream.then(calling(("get_user", {"id": "U1"})))
    first = await shadowed.post(ask(), headers=HEADERS)
    assert (await tallies(shadowed))["get_order", 10] == (1, 0, 0)
    said = first.json["choices"][0]["message"]
    later = {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c9", "type": "function", "function": {"name": "get_order", "arguments": '{"id": "W1"}'}}
    ]}  # fmt: skip
    messages = [
        {"role": "user", "content": "my order?"},
        said,
        {"role": "tool", "tool_call_id": "c0", "content": ""},
    ]
    messages += [
        later,
        {"role": "tool", "tool_call_id": "c9", "content": "{}"},
        {"role": "user", "content": "Hm?"},
    ]
    await shadowed.post(ask(messages=messages), headers=HEADERS)
    assert (await tallies(shadowed))["get_order", 10] == (1, 1, 1)


async def test_abstentions_are_counted(shadowed):
    await shadowed.post(ask("Something else?"), headers=HEADERS)
    assert await tallies(shadowed) == {("*", -1): (1, 0, 0)}


async def test_streams_and_other_surfaces_are_looked_at_too(shadowed):
    await shadowed.post(ask(stream=True), headers=HEADERS)
    tools = [{"name": "get_order", "input_schema": {"type": "object"}}]
    body = {"model": "gpt-small", "max_tokens": 50, "tools": tools}
    body["messages"] = [{"role": "user", "content": "my order?"}]
    await shadowed.post(body, "/v1/messages", HEADERS)
    tools = [{"type": "function", "name": "get_order", "parameters": {"type": "object"}}]
    body = {"model": "gpt-small", "input": "my order?", "tools": tools}
    await shadowed.post(body, "/v1/responses", HEADERS)
    decided, judged, agreed = (await tallies(shadowed))["*", 10]
    assert (decided, judged, agreed) == (3, 3, 0)


async def test_what_cannot_be_looked_at_in_time_is_dropped_and_counted(shadowed):
    onlooker = shadowed.house.onlooker
    onlooker._waiting = asyncio.Queue(1)
    answers = [shadowed.post(ask(), headers=HEADERS) for _ in range(5)]
    assert all(answer.status == 200 for answer in await asyncio.gather(*answers))
    assert shadowed.house.roster.tally.dropped >= 3
    assert "trimtab_shadows_dropped_total" in (await shadowed.get("/metrics")).body.decode()


async def test_a_state_that_changes_is_followed_by_the_running_house(shadowed, upstream):
    row = StateRow("support", "step", "1", "enabled", 0.0, "test")
    await shadowed.house.database.run(lambda c: controllers.set_to_work(c, row))
    await shadowed.house.roster.load()
    assert (await shadowed.post(ask(), headers=HEADERS)).headers["x-trimtab-answered-by"] == "support/step@1"
    await shadowed.house.database.run(lambda c: controllers.lay_off(c, "support", "step"))
    await shadowed.house.roster.load()
    assert "x-trimtab-answered-by" not in (await shadowed.post(ask(), headers=HEADERS)).headers


async def test_one_that_cannot_be_loaded_serves_nobody_and_breaks_nothing(shadowed, caplog):
    registry = shadowed.house.roster._registry
    (registry.folder("support", "step", "1") / "rules.json").write_text("[]")
    row = StateRow("support", "step", "1", "enabled", 1.0, "test")
    await shadowed.house.database.run(lambda c: controllers.set_to_work(c, row))
    await shadowed.house.roster.load()
    assert (await shadowed.post(ask(), headers=HEADERS)).status == 200
    assert "rules.json" in shadowed.house.roster.problems["support", "step", "1"]
    assert "does not work" in caplog.text


async def test_calls_the_champion_answers_are_looked_at_too_and_counted_apart(shadowed, upstream, tmp_path):
    champion = [*RULES, {"when": "who", "calls": [["get_user", {"id": "U1"}]]}]
    pack(shadowed.house.roster._registry, tmp_path / "made", champion, version="2")
    row = StateRow("support", "step", "2", "enabled", 0.0, "test")
    await shadowed.house.database.run(lambda c: controllers.set_to_work(c, row))
    await shadowed.house.roster.load()
    for text in ("my order?", "who am I?", "something else"):
        await shadowed.post(ask(text), headers=HEADERS)
    assert len(upstream.seen) == 1
    assert await tallies(shadowed, "champion") == {
        ("*", 10): (1, 1, 1),
        ("get_order", 10): (1, 1, 1),
        ("*", -1): (1, 0, 0),
    }
    assert await tallies(shadowed, "shadow") == {("*", -1): (1, 0, 0)}
    assert (await tallies(shadowed, "served", "2"))["*", 10] == (2, 0, 0)


async def test_what_cannot_be_read_is_not_looked_at(shadowed):
    content = [{"type": "text", "text": "my order?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    await shadowed.post(ask(messages=[{"role": "user", "content": content}]), headers=HEADERS)
    assert await tallies(shadowed) == {}


async def test_one_that_can_never_answer_is_told_of_in_the_log_once(
    serve, upstream, monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr("trimtab.controllers.roster.LOADERS", tiny_loaders())
    quiet = SETTINGS.replace("[workflow.support]", "[workflow.support]\neager = false")
    served = await serve(endpoint(upstream) + quiet)
    roster = served.house.roster
    pack(roster._registry, tmp_path / "made", RULES, thresholds={"eager": 0.98})
    for at in (0.0, 1.0):
        row = StateRow("support", "step", "1", "enabled", at, "test")
        await served.house.database.run(lambda c, row=row: controllers.set_to_work(c, row))
        await roster.load()
    said = [each.message for each in caplog.records if "never answers" in each.message]
    assert len(said) == 1
    assert "controller support/step@1 is enabled: with eager = false" in said[0]
