"""The unchanged `openai` SDK, sync and async, against a gateway on a real socket."""

import asyncio
import json

import openai
import pytest
from pydantic import BaseModel

from .served import cost, endpoint
from .upstream import Says, chunk, refuses, sends, streams

QUESTION = [{"role": "user", "content": "What is the weather in Oslo?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class City(BaseModel):
    name: str
    people: int


@pytest.fixture
async def client(house):
    async with openai.AsyncOpenAI(base_url=house.v1, api_key="any", max_retries=0) as client:
        yield client


async def test_a_plain_chat_completion(client, upstream):
    reply = await client.chat.completions.create(model="gpt-small", messages=QUESTION)
    assert reply.choices[0].message.content == Says().text
    assert reply.usage.completion_tokens == upstream.seen[0].billed.output_tokens


async def test_the_sync_client_gets_plain_and_streamed_replies(house):
    def talk():
        with openai.OpenAI(base_url=house.v1, api_key="any") as client:
            plain = client.chat.completions.create(model="gpt-small", messages=QUESTION)
            with client.chat.completions.create(model="gpt-small", messages=QUESTION, stream=True) as stream:
                pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
            return plain.choices[0].message.content, "".join(pieces)

    assert await asyncio.to_thread(talk) == (Says().text, Says().text)


async def test_a_stream_without_usage_shows_none_although_the_gateway_asks_for_it(client, house, upstream):
    stream = await client.chat.completions.create(model="gpt-small", messages=QUESTION, stream=True)
    chunks = [chunk async for chunk in stream]
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert upstream.seen[0].json["stream_options"] == {"include_usage": True}
    assert (await house.entry()).certainty == "exact"


async def test_a_stream_with_usage_ends_with_it(client, upstream):
    stream = await client.chat.completions.create(
        model="gpt-small", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == Says().text
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == upstream.seen[0].billed.output_tokens


async def test_other_stream_options_of_the_client_reach_the_endpoint(client, upstream):
    stream = await client.chat.completions.create(
        model="gpt-small", messages=QUESTION, stream=True, stream_options={"include_obfuscation": False}
    )
    assert [chunk async for chunk in stream]
    assert upstream.seen[0].json["stream_options"] == {"include_obfuscation": False, "include_usage": True}


async def test_the_stream_helper_of_the_sdk(client):
    async with client.chat.completions.stream(model="gpt-small", messages=QUESTION) as stream:
        async for _ in stream:
            pass
        reply = await stream.get_final_completion()
    assert reply.choices[0].message.content == Says().text


async def test_tools_are_called_and_answered(client, upstream):
    upstream.always = Says(calls=(("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})))
    first = await client.chat.completions.create(model="gpt-small", messages=QUESTION, tools=[WEATHER])
    calls = first.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Rome"]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "wet"} for call in calls]
    talk = [*QUESTION, first.choices[0].message, *results]
    second = await client.chat.completions.create(model="gpt-small", messages=talk, tools=[WEATHER])
    assert second.choices[0].message.content == Says().text


async def test_streamed_tool_calls(client, upstream):
    upstream.always = Says(calls=(("weather", {"city": "New Oslo"}), ("weather", {"city": "Rome"})))
    async with client.chat.completions.stream(
        model="gpt-small", messages=QUESTION, tools=[WEATHER]
    ) as stream:
        reply = await stream.get_final_completion()
    calls = reply.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["New Oslo", "Rome"]


async def test_a_reply_in_a_schema_is_parsed(client, upstream):
    upstream.always = Says(text='{"name": "Oslo", "people": 700000}')
    reply = await client.chat.completions.parse(model="gpt-small", messages=QUESTION, response_format=City)
    assert reply.choices[0].message.parsed == City(name="Oslo", people=700_000)
    assert upstream.seen[0].json["response_format"]["type"] == "json_schema"


async def test_several_choices_plain_and_streamed(client, house, upstream):
    reply = await client.chat.completions.create(model="gpt-small", messages=QUESTION, n=2)
    assert [choice.index for choice in reply.choices] == [0, 1]
    async with client.chat.completions.stream(model="gpt-small", messages=QUESTION, n=2) as stream:
        streamed = await stream.get_final_completion()
    assert [choice.message.content for choice in streamed.choices] == [Says().text] * 2
    lines = await house.entries()
    assert [line.output_tokens for line in lines] == [seen.output_tokens for seen in upstream.seen]


async def test_logprobs_and_seed(client, upstream):
    reply = await client.chat.completions.create(
        model="gpt-small", messages=QUESTION, logprobs=True, top_logprobs=2, seed=7
    )
    assert reply.choices[0].logprobs.content[0].logprob == -0.1
    assert upstream.seen[0].json["seed"] == 7
    assert upstream.seen[0].json["top_logprobs"] == 2


async def test_fields_only_a_vendor_knows_pass_both_ways(client, upstream):
    upstream.always = Says(extra={"service_tier": "flex", "x_vendor": {"größe": [1, 2.50, None]}})
    reply = await client.chat.completions.create(
        model="gpt-small", messages=QUESTION, extra_body={"top_k": 40, "guided": {"regex": "[a-z]+é"}}
    )
    assert upstream.seen[0].json["guided"] == {"regex": "[a-z]+é"}
    assert reply.model_extra["x_vendor"] == {"größe": [1, 2.5, None]}


async def test_bodies_that_need_no_change_pass_byte_for_byte(house, upstream):
    odd = b'{ "messages":[ {"role":"user","content":"caf\\u00e9 \xc3\xa9"} ],\n\t"model" : "gpt-small", "x":1.0e1 }'
    answer = b'{"choices":[{"message":{"role":"assistant","content":"a\\/b"}}] , "x" : 1.50,"usage":null}\n'
    upstream.then(sends(answer))
    got = await house.post(odd)
    assert (upstream.seen[0].body, got.body) == (odd, answer)


async def test_events_of_a_stream_pass_byte_for_byte(house, upstream):
    asked = {"model": "gpt-small", "messages": QUESTION, "stream": True}
    got = await house.post(asked | {"stream_options": {"include_usage": True}})
    async with house.session.post(
        f"{upstream.url}/chat/completions",
        data=upstream.seen[0].body,
    ) as direct:
        assert got.body == await direct.read()


async def test_embeddings(client, house, upstream):
    reply = await client.embeddings.create(
        model="gpt-small", input=["one", "two"], dimensions=2, encoding_format="float"
    )
    assert [each.embedding for each in reply.data] == [[0.5, -0.25]] * 2
    line = await house.entry()
    assert line.nanodollars == cost(upstream.seen[0].billed)
    assert line.output_tokens == 0


async def test_responses_plain_and_streamed(client, upstream):
    plain = await client.responses.create(model="gpt-small", input="Hi", instructions="Be brief.")
    assert (plain.output_text, plain.status) == (Says().text, "completed")
    stream = await client.responses.create(model="gpt-small", input="Hi", stream=True)
    events = [event async for event in stream]
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == Says().text
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == Says().text
    assert upstream.seen[0].json["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_responses_call_functions_and_parse_schemas(client, upstream):
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
    upstream.always = Says(calls=(("weather", {"city": "Oslo"}),))
    reply = await client.responses.create(model="gpt-small", input="Hi", tools=[tool])
    call = reply.output[0]
    assert (call.type, json.loads(call.arguments)) == ("function_call", {"city": "Oslo"})
    upstream.always = Says(text='{"name": "Oslo", "people": 1}')
    parsed = await client.responses.parse(model="gpt-small", input="Hi", text_format=City)
    assert parsed.output_parsed == City(name="Oslo", people=1)


async def test_models_are_listed_and_found(client):
    assert [model.id async for model in client.models.list()] == ["gpt-small"]
    assert (await client.models.retrieve("gpt-small")).id == "gpt-small"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-smal")


async def test_an_unknown_key_is_an_authentication_error(client, house):
    await house.key()
    with pytest.raises(openai.AuthenticationError) as caught:
        await client.chat.completions.create(model="gpt-small", messages=QUESTION)
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "authentication_error")


async def test_an_unknown_model_is_not_found_and_names_close_ones(client):
    with pytest.raises(openai.NotFoundError, match="did you mean gpt-small") as caught:
        await client.chat.completions.create(model="gpt-smol", messages=QUESTION)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_a_bad_field_is_named(client):
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="gpt-small", messages=QUESTION, n=0)
    assert (caught.value.param, caught.value.code) == ("n", "invalid_request")


async def test_an_exhausted_budget_is_a_402_with_its_facts(serve, upstream):
    served = await serve(
        endpoint(upstream) + '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 0.0001\n'
    )
    async with openai.AsyncOpenAI(base_url=served.v1, api_key="any") as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model="gpt-small", messages=QUESTION)
    error = caught.value
    assert (error.status_code, error.code, error.type) == (402, "budget_exceeded", "insufficient_quota")
    assert error.body["limit_usd"] == "0.000100000"
    assert error.body["resets_at"].endswith("00:00:00+00:00")
    assert upstream.seen == []


async def test_the_sdk_comes_again_after_a_rate_limits_retry_after(house, upstream):
    upstream.then(refuses(429, "slow down", retry_after="1"))
    async with openai.AsyncOpenAI(base_url=house.v1, api_key="any", max_retries=1) as client:
        began = asyncio.get_running_loop().time()
        reply = await client.chat.completions.create(model="gpt-small", messages=QUESTION)
    assert reply.choices
    assert asyncio.get_running_loop().time() - began >= 0.9
    assert len(upstream.seen) == 2


async def test_a_rate_limit_says_when_to_come_again(client, upstream):
    upstream.then(refuses(429, "slow down", retry_after="7.2"))
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="gpt-small", messages=QUESTION)
    assert caught.value.response.headers["retry-after"] == "8"
    assert "slow down" in caught.value.message


async def test_a_server_error_of_an_endpoint_is_an_internal_server_error(client, upstream):
    upstream.then(refuses(500, "out of luck"))
    with pytest.raises(openai.InternalServerError, match="out of luck") as caught:
        await client.chat.completions.create(model="gpt-small", messages=QUESTION)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_error")


async def test_a_stream_that_breaks_off_raises_in_the_client(client, upstream):
    upstream.then(streams(chunk("Half a"), ends=False))
    stream = await client.chat.completions.create(model="gpt-small", messages=QUESTION, stream=True)
    first = await anext(stream)
    assert first.choices[0].delta.content == "Half a"
    with pytest.raises(openai.APIError, match="cannot be resumed"):
        await anext(stream)


async def test_a_responses_stream_that_breaks_off_raises_or_fails_in_the_client(client, upstream):
    upstream.then(streams(chunk("Half a"), ends=False))
    stream = await client.responses.create(model="gpt-small", input="Hi", stream=True)
    with pytest.raises(openai.APIError, match="cannot be resumed"):
        async for _ in stream:
            pass
