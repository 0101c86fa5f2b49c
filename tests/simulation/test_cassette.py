"""The cassette over a real socket, asked by the OpenAI SDK."""

import json
import time
from pathlib import Path

import msgspec
import pytest
from openai import AsyncOpenAI, ConflictError, NotFoundError

from trimtab.core.errors import DataError
from trimtab.simulation import LocalServer, calls_of, cassette_app, load_cassette, read_domains, read_runs
from trimtab.simulation.transcript import RecordedCall, tools_json


def every_call(path: Path, agents: tuple[str, ...], most_runs: int) -> list[RecordedCall]:
    domains = read_domains(path)
    runs = [run for run in read_runs(path) if run.agent in agents][:most_runs]
    return [call for run in runs for call in calls_of(run, domains.get(run.domain))]


def client(server: LocalServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def body(call: RecordedCall) -> dict:
    return {
        "model": call.model,
        "messages": msgspec.to_builtins(call.messages),
        "extra_body": {"trimtab_cassette": call.key},
    }


def told(call: RecordedCall) -> tuple:
    usage = call.reply.usage
    tools = [(each.id, each.function.name, each.function.arguments) for each in call.reply.tool_calls]
    return (
        call.reply.content,
        tools,
        (usage.input_tokens, usage.output_tokens) if usage else None,
        call.reply.finish,
    )


async def plain(sdk: AsyncOpenAI, call: RecordedCall) -> tuple:
    got = await sdk.chat.completions.create(**body(call))
    message = got.choices[0].message
    tools = [(each.id, each.function.name, each.function.arguments) for each in message.tool_calls or ()]
    usage = (got.usage.prompt_tokens, got.usage.completion_tokens) if got.usage else None
    return message.content, tools, usage, got.choices[0].finish_reason


async def streamed(sdk: AsyncOpenAI, call: RecordedCall) -> tuple:
    stream = await sdk.chat.completions.create(
        **body(call), stream=True, stream_options={"include_usage": True}
    )
    content, finish, usage = None, None, None
    tools: dict[int, list[str]] = {}
    async for chunk in stream:
        usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens) if chunk.usage else usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            if choice.delta.content is not None:
                content = (content or "") + choice.delta.content
            for delta in choice.delta.tool_calls or ():
                known = tools.setdefault(delta.index, [delta.id, delta.function.name, ""])
                known[2] += delta.function.arguments or ""
    return content, [tuple(each) for each in tools.values()], usage, finish


@pytest.mark.parametrize("agents", [("claude-opus-4-6",), ("gpt-oss-120b",)])
async def test_recorded_calls_come_back_as_recorded_streamed_and_plain(tau2_runs, agents):
    cassette = load_cassette(tau2_runs, agents)
    calls = every_call(tau2_runs, agents, most_runs=2)
    async with LocalServer(cassette_app(cassette)) as server, client(server) as sdk:
        for call in calls:
            assert await plain(sdk, call) == told(call)
            assert await streamed(sdk, call) == told(call)
    billed = cassette.billed()[0]
    assert billed.calls == 2 * len(calls)
    assert billed.usage.input_tokens == 2 * sum(
        c.reply.usage.input_tokens if c.reply.usage else 0 for c in calls
    )
    assert billed.calls_without_usage == (billed.calls if agents == ("gpt-oss-120b",) else 0)


async def test_own_runs_come_back_too_with_empty_content_and_without_usage(own_runs):
    calls = every_call(own_runs, ("toy-agent",), most_runs=1)
    async with LocalServer(cassette_app(load_cassette(own_runs))) as server, client(server) as sdk:
        for call in calls:
            assert await plain(sdk, call) == told(call)
            assert await streamed(sdk, call) == told(call)


async def test_a_changed_conversation_is_a_conflict(own_runs):
    call = every_call(own_runs, ("toy-agent",), most_runs=1)[0]
    changed = body(call)
    changed["messages"][-1]["content"] += "!"
    cassette = load_cassette(own_runs)
    async with LocalServer(cassette_app(cassette)) as server, client(server) as sdk:
        with pytest.raises(ConflictError, match="changed on its way"):
            await sdk.chat.completions.create(**changed)
        with pytest.raises(ConflictError, match="recorded with model"):
            await sdk.chat.completions.create(**body(call) | {"model": "another"})
        with pytest.raises(NotFoundError, match="not on this cassette"):
            await sdk.chat.completions.create(**body(call) | {"extra_body": {"trimtab_cassette": "no:1"}})
    assert cassette.billed()[0].calls == 0


async def test_pace_keeps_the_recorded_latency(own_runs):
    call = every_call(own_runs, ("toy-agent",), most_runs=1)[0]
    async with LocalServer(cassette_app(load_cassette(own_runs), pace=1.0)) as server, client(server) as sdk:
        for ask in (plain, streamed):
            began = time.monotonic()
            await ask(sdk, call)
            assert 0.24 < time.monotonic() - began < 5.0


def test_two_runs_of_one_name_are_refused(own_runs):
    own_runs.write_text(own_runs.read_text(encoding="utf-8") * 2, encoding="utf-8")
    with pytest.raises(DataError, match="trial"):
        load_cassette(own_runs)


def test_tools_are_declared_as_openai_writes_them(own_runs):
    tools = json.loads(bytes(tools_json(read_domains(own_runs)["lamps"])))
    assert tools[0]["function"] == {"name": "look", "description": "Look.", "parameters": {"type": "object"}}
