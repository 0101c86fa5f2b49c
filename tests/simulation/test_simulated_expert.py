"""The simulated expert over a real socket, asked by the OpenAI SDK."""

import json

import httpx
import msgspec
import pytest
from openai import AsyncOpenAI, NotFoundError

from trimtab.simulation import SIMULATED_MODELS, LocalServer, expert_app
from trimtab.simulation.expert import Expert, ExpertRequest
from trimtab.simulation.support import open_shop
from trimtab.simulation.support_tools import TOOLS, declare_tools, use_tool

CUSTOMER = next(iter(open_shop(7).customers.values()))


@pytest.fixture
async def sdk():
    async with (
        LocalServer(expert_app()) as server,
        AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


def question(**more):
    ask = f"Hello, where is my order FW-11111? My email is {CUSTOMER.email}."
    return {
        "model": "sim-large",
        "messages": [{"role": "user", "content": ask}],
        "tools": json.loads(bytes(declare_tools())),
        **more,
    }


async def test_it_calls_a_tool_and_reports_usage(sdk):
    reply = await sdk.chat.completions.create(**question())
    call = reply.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "find_customer",
        {"email": CUSTOMER.email},
    )
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.usage.prompt_tokens > 100
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.system_fingerprint == "simulated"


async def test_a_stream_says_the_same_and_counts_only_when_asked(sdk):
    whole = await sdk.chat.completions.create(**question())
    for options, counted in (({"include_usage": True}, 1), ({"include_usage": False}, 0)):
        arguments, usages = "", []
        stream = await sdk.chat.completions.create(**question(stream=True, stream_options=options))
        async for chunk in stream:
            usages += [chunk.usage] if chunk.usage else []
            for choice in chunk.choices:
                arguments += "".join(each.function.arguments or "" for each in choice.delta.tool_calls or ())
        assert arguments == whole.choices[0].message.tool_calls[0].function.arguments
        assert usages == [whole.usage] * counted


async def test_a_conversation_is_carried_on_from_its_messages_alone(sdk):
    asked = question()
    for _ in range(4):
        message = (await sdk.chat.completions.create(**asked)).choices[0].message
        asked["messages"].append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            result = use_tool(open_shop(7), call.function.name, call.function.arguments)
            asked["messages"].append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert "could not find the order FW-11111" in asked["messages"][-1]["content"]


async def test_max_tokens_cuts_the_reply(sdk):
    reply = await sdk.chat.completions.create(**question(max_tokens=3))
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 3


async def test_everything_says_that_it_is_simulated(sdk):
    models = await sdk.models.list()
    assert {(model.id, model.owned_by) for model in models.data} == {
        ("sim-small", "simulated"),
        ("sim-large", "simulated"),
    }
    raw = await sdk.chat.completions.with_raw_response.create(**question())
    assert raw.headers["x-simulated"] == "true"
    async with httpx.AsyncClient() as http:
        banner = await http.get(str(sdk.base_url).replace("/v1/", "/"))
    assert "simulated" in banner.text


async def test_unknown_models_and_unreadable_bodies_are_refused(sdk):
    with pytest.raises(NotFoundError, match="no model"):
        await sdk.chat.completions.create(**question(model="gpt-9"))
    async with httpx.AsyncClient() as http:
        refused = await http.post(f"{sdk.base_url}chat/completions", content=b"{")
    assert refused.status_code == 400
    assert "simulated" in refused.json()["error"]["message"]


def test_tools_read_and_write_and_answer_mistakes_with_json():
    assert len(TOOLS) == 10
    assert [tool.name for tool in TOOLS if tool.writes] == [
        "cancel_order",
        "change_address",
        "refund_item",
        "open_warranty_claim",
        "hand_over",
    ]
    shop = open_shop(7)
    for name, arguments in (
        ("get_order", "{}"),
        ("get_order", '{"order_id": "x"}'),
        ("fly", "{}"),
        ("get_order", "no"),
    ):
        assert json.loads(use_tool(shop, name, arguments))["error"]
    assert shop.state() == open_shop(7).state()


def looked_up(mark):
    """A talk in which the account was looked up under the call id `mark`."""
    account = {"name": "find_customer", "arguments": json.dumps({"email": CUSTOMER.email})}
    result = use_tool(open_shop(7), account["name"], account["arguments"])
    asked = question()
    asked["messages"] += [
        {"role": "assistant", "tool_calls": [{"id": mark, "type": "function", "function": account}]},
        {"role": "tool", "tool_call_id": mark, "content": result},
    ]
    return msgspec.json.decode(json.dumps(asked), type=ExpertRequest)


def test_a_move_slips_alike_whoever_made_the_lookups_before_it():
    for seed in range(60):
        expert = Expert(SIMULATED_MODELS, seed)
        (mine, mine_first, _), (other, other_first, _) = (
            expert.answer(looked_up(id)) for id in ("a", "ctl_b")
        )
        calls = [[call.function for call in reply.tool_calls] for reply in (mine, other)]
        assert (mine.content, calls[0], mine_first) == (other.content, calls[1], other_first)


def test_pace_times_every_latency():
    hurried, slow = (Expert(SIMULATED_MODELS, 7, pace).answer(looked_up("a")) for pace in (0.0, 3.0))
    usual = Expert(SIMULATED_MODELS, 7).answer(looked_up("a"))
    assert hurried[1:] == (0.0, 0.0)
    assert slow[1:] == pytest.approx([3 * seconds for seconds in usual[1:]])
