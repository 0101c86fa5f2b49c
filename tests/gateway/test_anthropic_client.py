"""The unchanged `anthropic` SDK, at endpoints of its own style and of OpenAI's."""

import json

import anthropic
import pytest

from .served import cost, endpoint
from .upstream import Says, chunk, refuses, streams

QUESTION = [{"role": "user", "content": "What is the weather in Oslo?"}]
TOOL = {
    "name": "weather",
    "description": "Looks out of the window.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
STYLES = ("openai", "anthropic")


@pytest.fixture(params=STYLES)
def style(request):
    return request.param


@pytest.fixture
async def house(serve, upstream, style):
    return await serve(endpoint(upstream, models='"claude"', more=f'style = "{style}"'))


@pytest.fixture
async def client(house):
    async with anthropic.AsyncAnthropic(base_url=house.url, api_key="any", max_retries=0) as client:
        yield client


async def test_a_plain_message(client, house, upstream, style):
    reply = await client.messages.create(
        model="claude", max_tokens=50, messages=QUESTION, system="Be brief.", stop_sequences=["END"]
    )
    assert (reply.content[0].text, reply.stop_reason) == (Says().text, "end_turn")
    assert reply.usage.output_tokens == upstream.seen[0].billed.output_tokens
    line = await house.entry()
    assert (line.nanodollars, line.certainty) == (cost(upstream.seen[0].billed), "exact")
    assert upstream.seen[0].path == ("/v1/messages" if style == "anthropic" else "/v1/chat/completions")


async def test_a_streamed_message(client, house, upstream):
    async with client.messages.stream(model="claude", max_tokens=50, messages=QUESTION) as stream:
        heard = [text async for text in stream.text_stream]
        reply = await stream.get_final_message()
    assert "".join(heard) == reply.content[0].text == Says().text
    assert reply.usage.output_tokens == upstream.seen[0].billed.output_tokens
    assert (await house.entry()).nanodollars == cost(upstream.seen[0].billed)


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_are_called_and_answered(client, upstream, stream):
    upstream.always = Says(calls=(("weather", {"city": "New Oslo"}), ("weather", {"city": "Rome"})))

    async def ask(messages):
        asked = {"model": "claude", "max_tokens": 50, "messages": messages, "tools": [TOOL]}
        if not stream:
            return await client.messages.create(**asked)
        async with client.messages.stream(**asked) as open_stream:
            return await open_stream.get_final_message()

    first = await ask(QUESTION)
    uses = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [use.input for use in uses] == [{"city": "New Oslo"}, {"city": "Rome"}]
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "wet"} for use in uses]
    said = [block.model_dump(exclude_none=True) for block in first.content]
    talk = [*QUESTION, {"role": "assistant", "content": said}, {"role": "user", "content": results}]
    second = await ask(talk)
    assert second.content[0].text == Says().text


async def test_errors_have_anthropics_shape(client, house, upstream):
    with pytest.raises(anthropic.NotFoundError, match="did you mean claude"):
        await client.messages.create(model="claud", max_tokens=5, messages=QUESTION)
    with pytest.raises(anthropic.BadRequestError) as caught:
        await client.messages.create(model="claude", max_tokens=5, messages=[])
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    upstream.then(refuses(429, "slow down", retry_after="3"))
    with pytest.raises(anthropic.RateLimitError) as limited:
        await client.messages.create(model="claude", max_tokens=5, messages=QUESTION)
    assert limited.value.response.headers["retry-after"] == "3"
    await house.key()
    with pytest.raises(anthropic.AuthenticationError):
        await client.messages.create(model="claude", max_tokens=5, messages=QUESTION)


async def test_a_key_comes_in_anthropics_header(client, house):
    key = await house.key(user="ann")
    known = client.with_options(api_key=key)
    await known.messages.create(model="claude", max_tokens=5, messages=QUESTION)
    assert (await house.entry()).user == "ann"


async def test_the_user_id_of_the_metadata_is_the_user(client, house):
    await client.messages.create(model="claude", max_tokens=5, messages=QUESTION, metadata={"user_id": "ann"})
    assert (await house.entry()).user == "ann"


async def test_a_message_stream_that_breaks_off_raises_in_the_client(client, upstream, style):
    begun = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant"}}
    begun["message"] |= {"model": "claude", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}
    first = chunk("Half") if style == "openai" else b"data: " + json.dumps(begun).encode() + b"\n\n"
    upstream.then(streams(first, ends=False))
    with pytest.raises(anthropic.APIError, match="cannot be resumed"):
        async with client.messages.stream(model="claude", max_tokens=5, messages=QUESTION) as stream:
            await stream.get_final_message()


async def test_bodies_pass_byte_for_byte_between_anthropics_client_and_its_style(house, upstream, style):
    odd = b'{"max_tokens" :5,"model":"claude", "messages":[{"role":"user","content":"caf\\u00e9"}],"x":1.0}'
    await house.post(odd, "/v1/messages")
    assert (upstream.seen[0].body == odd) == (style == "anthropic")
