"""The OpenAI Agents SDK, unchanged: a whole loop of model and tool through the gateway."""

import agents
import openai
import pytest

from .served import cost
from .upstream import Says


@agents.function_tool
def weather(city: str) -> str:
    """What the weather is like."""
    return f"wet in {city}"


@pytest.fixture(params=[agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel])
async def agent(request, house):
    headers = {"x-trimtab-run": "trip", "x-trimtab-workflow": "travel"}
    async with openai.AsyncOpenAI(base_url=house.v1, api_key="any", default_headers=headers) as client:
        model = request.param(model="gpt-small", openai_client=client)
        yield agents.Agent(name="guide", instructions="Be brief.", model=model, tools=[weather])


@pytest.fixture
def config():
    return agents.RunConfig(tracing_disabled=True)


async def test_an_agent_uses_its_tool_and_answers(agent, config, house, upstream):
    upstream.always = Says(calls=(("weather", {"city": "Oslo"}),))
    result = await agents.Runner.run(agent, "Weather in Oslo?", run_config=config)
    assert result.final_output == Says().text
    assert "wet in Oslo" in upstream.seen[-1].body.decode()
    lines = await house.entries()
    assert [line.nanodollars for line in lines] == [cost(seen.billed) for seen in upstream.seen]
    assert {(line.run, line.workflow) for line in lines} == {("trip", "travel")}


async def test_a_streamed_agent_uses_its_tool_and_answers(agent, config, upstream):
    upstream.always = Says(calls=(("weather", {"city": "Oslo"}),))
    result = agents.Runner.run_streamed(agent, "Weather in Oslo?", run_config=config)
    kinds = [event.type async for event in result.stream_events()]
    assert "run_item_stream_event" in kinds
    assert result.final_output == Says().text
    assert len(upstream.seen) == 2
