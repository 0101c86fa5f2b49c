"""What no honest client sends is refused by its name and is never a fault of the house."""

import json

import pytest

from reception.answering import bearer

BEYOND = 2**70


@pytest.fixture
async def served(hosting):
    return await hosting("failing")


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/inbox?after=nan~r~q", "after"),
        ("/v1/inbox?after=inf~r~q", "after"),
        ("/v1/inbox?after=-inf~r~q", "after"),
        ("/v1/inbox?after=1.0~r%00~q", "after"),
        ("/v1/inbox?workflow=%00", "workflow"),
        ("/v1/inbox?overdue=perhaps", "overdue"),
        ("/v1/inbox/r%00/q", "run"),
        (f"/assistants/work/graph?xray={'9' * 5_000}", "xray"),
        ("/assistants/work/graph?xray=101", "xray"),
        ("/assistants/work/graph?xray=%D9%A3", "xray"),
        ("/threads/t/runs?limit=-1", "limit"),
        (f"/threads/t/runs?offset={'9' * 5_000}", "offset"),
        ("/threads/t/state?subgraphs=perhaps", "subgraphs"),
    ],
)
async def test_odd_queries_are_refused_by_name(served, path, param):
    key = bearer(await served.key("acme"))
    await served.post({"thread_id": "t"}, "/threads", key)
    answer = await served.get(path, key)
    assert (answer.status, answer.json["param"]) == (400, param)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/runs", {"assistant_id": "work", "input": {"log": [BEYOND]}}, "input"),
        ("/runs", {"assistant_id": "work", "input": {"log": []}, "metadata": {"n": -BEYOND}}, "metadata"),
        ("/runs", {"assistant_id": "work", "command": {"resume": {"a": [BEYOND]}}}, "command"),
        ("/threads", {"metadata": {"n": BEYOND}}, "metadata"),
        ("/threads/t/state", {"values": {"log": [BEYOND]}}, "values"),
        ("/runs/crons", {"assistant_id": "work", "schedule": "0 9 * * *", "input": BEYOND}, "input"),
        ("/v1/inbox/r/q/answer", {"value": BEYOND}, "value"),
    ],
)
async def test_whole_numbers_beyond_64_bits_are_refused_by_the_field_they_stand_in(served, path, body, param):
    key = bearer(await served.key("acme"))
    answer = await served.post(body, path, key)
    assert (answer.status, answer.json["param"]) == (400, param)
    assert "beyond 64 bits" in answer.json["detail"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/runs", {"assistant_id": "a\0"}, "assistant_id"),
        ("/runs/cancel", {"run_ids": ["a\0"]}, "run_ids[0]"),
        ("/threads/search", {"ids": ["a\0"]}, "ids[0]"),
        (
            "/threads/t/state",
            {"values": {}, "checkpoint": {"checkpoint_id": "a\0"}},
            "checkpoint.checkpoint_id",
        ),
        ("/runs/crons", {"assistant_id": "work", "schedule": "\0"}, "schedule"),
        ("/assistants", {"graph_id": "work", "name": "a\0"}, "name"),
    ],
)
async def test_names_with_a_nul_character_are_refused_by_their_field(served, path, body, param):
    answer = await served.post(body, path, bearer(await served.key("acme")))
    assert (answer.status, answer.json["param"]) == (400, param)


async def test_the_greatest_whole_numbers_and_long_words_of_digits_are_kept(served):
    key = bearer(await served.key("acme"))
    facts = {"least": -(2**63), "greatest": 2**64 - 1, "word": "9" * 40}
    made = await served.post({"metadata": facts}, "/threads", key)
    assert json.loads(made.body)["metadata"] == facts
