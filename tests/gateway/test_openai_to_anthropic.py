"""OpenAI's client at an endpoint of Anthropic's style."""

import json

import openai
import pytest

from .served import cost, endpoint
from .upstream import Says

QUESTION = [{"role": "user", "content": "What is the weather in Oslo?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.fixture
async def house(serve, upstream):
    return await serve(endpoint(upstream, models='"claude"', more='style = "anthropic"'))


@pytest.fixture
async def chat(house):
    async with openai.AsyncOpenAI(base_url=house.v1, api_key="any", max_retries=0) as client:
        yield client


async def test_a_plain_chat(chat, house, upstream):
    reply = await chat.chat.completions.create(model="claude", messages=QUESTION)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (Says().text, "stop")
    assert reply.usage.completion_tokens == upstream.seen[0].billed.output_tokens
    assert upstream.seen[0].headers["anthropic-version"] == "2023-06-01"
    assert upstream.seen[0].json["max_tokens"] == 8192
    assert (await house.entry()).nanodollars == cost(upstream.seen[0].billed)


async def test_a_streamed_chat(chat, upstream):
    async with chat.chat.completions.stream(
        model="claude", messages=QUESTION, stream_options={"include_usage": True}
    ) as stream:
        async for _ in stream:
            pass
        reply = await stream.get_final_completion()
    assert reply.choices[0].message.content == Says().text
    assert reply.usage.completion_tokens == upstream.seen[0].billed.output_tokens


@pytest.mark.parametrize("stream", [False, True])
async def test_tools(chat, upstream, stream):
    upstream.always = Says(calls=(("weather", {"city": "Oslo"}),))
    function = {"name": "weather", "parameters": SCHEMA}
    tools = [{"type": "function", "function": function}]
    asked = {"model": "claude", "messages": QUESTION, "tools": tools}
    if stream:
        async with chat.chat.completions.stream(**asked) as open_stream:
            reply = await open_stream.get_final_completion()
    else:
        reply = await chat.chat.completions.create(**asked)
    (call,) = reply.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    talk = [*QUESTION, reply.choices[0].message.model_dump(include={"role", "tool_calls"})]
    talk.append({"role": "tool", "tool_call_id": call.id, "content": "wet"})
    again = await chat.chat.completions.create(**(asked | {"messages": talk}))
    assert again.choices[0].message.content == Says().text


async def test_responses(chat):
    plain = await chat.responses.create(model="claude", input="Hi")
    assert plain.output_text == Says().text
    stream = await chat.responses.create(model="claude", input="Hi", stream=True)
    events = [event async for event in stream]
    assert events[-1].response.output_text == Says().text


async def test_what_cannot_be_said_there_is_refused_by_name(chat, upstream):
    with pytest.raises(openai.BadRequestError) as caught:
        await chat.chat.completions.create(model="claude", messages=QUESTION, n=2)
    assert (caught.value.code, caught.value.param) == ("untranslatable", "n")
    assert upstream.seen == []


async def test_a_call_one_endpoint_cannot_be_asked_goes_to_one_that_can(serve, upstreams):
    first, second = await upstreams(), await upstreams()
    cheap = endpoint(first, "cheap", more='style = "anthropic"\nprice = { input = 0.1, output = 0.1 }')
    served = await serve(cheap + endpoint(second, "able"))
    async with openai.AsyncOpenAI(base_url=served.v1, api_key="any", max_retries=0) as client:
        reply = await client.chat.completions.create(model="gpt-small", messages=QUESTION, n=2)
    assert len(reply.choices) == 2
    assert (len(first.seen), len(second.seen)) == (0, 1)
    assert len(await served.entries()) == 1
