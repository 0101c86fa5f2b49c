"""LangChain's ChatOpenAI, unchanged."""

import httpx
import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from .upstream import Says


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def weather(city: str) -> str:
    """What the weather is like."""
    return f"wet in {city}"


@pytest.fixture
async def build(house):
    """Builds models whose connections end with the test; LangChain would share them between event loops."""
    async with httpx.AsyncClient() as connections:

        def make(**options):
            named = {"x-trimtab-run": "r1", "x-trimtab-step": "ask"}
            return ChatOpenAI(
                model="gpt-small",
                base_url=house.v1,
                api_key="any",
                default_headers=named,
                http_async_client=connections,
                **options,
            )

        yield make


@pytest.fixture
def model(build):
    return build()


async def test_invoke(model, house):
    reply = await model.ainvoke("Hello?")
    assert reply.content == Says().text
    line = await house.entry()
    assert (line.run, line.step) == ("r1", "ask")
    assert reply.usage_metadata["output_tokens"] == line.output_tokens


async def test_stream(build, house):
    pieces = [piece async for piece in build(stream_usage=True).astream("Hello?")]
    assert "".join(piece.text for piece in pieces) == Says().text
    line = await house.entry()
    assert sum((p.usage_metadata or {}).get("output_tokens", 0) for p in pieces) == line.output_tokens


@pytest.mark.parametrize("streaming", [False, True])
async def test_bind_tools(model, upstream, streaming):
    upstream.always = Says(calls=(("weather", {"city": "Oslo"}),))
    able = model.bind_tools([weather])
    if streaming:
        reply = None
        async for piece in able.astream("Weather in Oslo?"):
            reply = piece if reply is None else reply + piece
    else:
        reply = await able.ainvoke("Weather in Oslo?")
    (call,) = reply.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})
    result = ToolMessage(content=weather.invoke(call["args"]), tool_call_id=call["id"])
    last = await able.ainvoke([("user", "Weather in Oslo?"), reply, result])
    assert last.content == Says().text


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_with_structured_output(model, upstream, method):
    oslo = {"name": "Oslo", "people": 700000}
    upstream.always = Says(text='{"name": "Oslo", "people": 700000}', calls=(("City", oslo),))
    asked = model.with_structured_output(City, method=method)
    assert await asked.ainvoke("Name a city, as JSON.") == City(**oslo)


async def test_the_responses_surface(build):
    model = build(use_responses_api=True)
    assert (await model.ainvoke("Hello?")).text == Says().text
    pieces = [piece async for piece in model.astream("Hello?")]
    assert "".join(piece.text for piece in pieces) == Says().text
