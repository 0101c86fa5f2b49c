"""Tools with a price: charged once for each tool call id of a run, on every surface."""

import pytest

from gateway.served import ask, endpoint
from trimtab.dispatch.tools import results_of

PRICED = '[[tool]]\nname = "search"\nprice_usd = 0.005\n[[tool]]\nname = "book"\nprice_usd = 1.0\n'
RUN = {"x-trimtab-run": "r1"}


def called(id, name="search"):
    function = {"name": name, "arguments": "{}"}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": id, "type": "function", "function": function}],
    }


def result(id):
    return {"role": "tool", "tool_call_id": id, "content": "found"}


HELLO = {"role": "user", "content": "Hi"}


@pytest.fixture
async def priced(serve, upstream):
    return await serve(endpoint(upstream) + PRICED)


async def _tools(served):
    return [line for line in await served.entries() if line.kind == "tool"]


async def test_a_result_is_charged_once_over_the_calls_of_a_run(priced):
    talk = [HELLO, called("c1"), result("c1")]
    for _ in range(3):
        assert (await priced.post(ask(messages=talk), headers=RUN)).status == 200
    talk += [called("c2", "book"), result("c2"), called("c3", "weather"), result("c3")]
    await priced.post(ask(messages=talk, stream=True), headers=RUN)
    lines = await _tools(priced)
    assert [(line.model, line.nanodollars, line.run) for line in lines] == [
        ("search", 5_000_000, "r1"),
        ("book", 1_000_000_000, "r1"),
    ]


async def test_another_run_pays_for_its_own(priced):
    talk = [HELLO, called("c1"), result("c1")]
    for run in ("r1", "r2", "r1"):
        await priced.post(ask(messages=talk), headers={"x-trimtab-run": run})
    assert sorted(line.run for line in await _tools(priced)) == ["r1", "r2"]


async def test_it_is_charged_once_across_a_restart(serve, upstream):
    talk = [HELLO, called("c1"), result("c1")]
    for _ in range(2):
        served = await serve(endpoint(upstream) + PRICED)
        await served.post(ask(messages=talk), headers=RUN)
        assert len(await _tools(served)) == 1
        await served.close()


async def test_a_call_without_a_result_is_not_charged(priced):
    await priced.post(ask(messages=[HELLO, called("c1"), HELLO]), headers=RUN)
    assert await _tools(priced) == []


SURFACES = {
    "chat": ("/v1/chat/completions", {"messages": [HELLO, called("c1"), result("c1")]}),
    "chat with nulls": (
        "/v1/chat/completions",
        {
            "messages": [
                HELLO | {"tool_calls": None, "tool_call_id": None, "name": None},
                called("c1"),
                result("c1") | {"name": None},
            ]
        },
    ),
    "messages": (
        "/v1/messages",
        {
            "max_tokens": 9,
            "messages": [
                HELLO,
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "c1", "name": "search", "input": {}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "found"}],
                },
            ],
        },
    ),
    "responses": (
        "/v1/responses",
        {
            "input": [
                HELLO,
                {"type": "function_call", "call_id": "c1", "name": "search", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "found"},
            ]
        },
    ),
}


@pytest.mark.parametrize("name", SURFACES)
async def test_every_surface_tells_of_its_tools(priced, name):
    path, body = SURFACES[name]
    assert (await priced.post(body | {"model": "gpt-small"}, path, RUN)).status == 200
    (line,) = await _tools(priced)
    assert (line.model, line.nanodollars) == ("search", 5_000_000)


async def test_what_only_anthropic_can_do_is_not_refused_for_the_sake_of_prices(serve, upstream):
    served = await serve(endpoint(upstream, more='style = "anthropic"') + PRICED)
    body = {
        "model": "gpt-small",
        "max_tokens": 9,
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
        "messages": [HELLO],
    }
    assert (await served.post(body, "/v1/messages")).status == 200


async def test_tools_take_from_the_budget(serve, upstream):
    budget = '[[budget]]\nscope = "run"\nwindow = "run"\nlimit_usd = 1.0\n'
    served = await serve(endpoint(upstream) + PRICED + budget)
    talk = [HELLO, called("c1", "book"), result("c1")]
    refused = await served.post(ask(messages=talk), headers=RUN)
    assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
    assert (await served.post(ask(), headers={"x-trimtab-run": "r2"})).status == 200
    assert len(await _tools(served)) == 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"messages": 3}', b'{"messages": [{"content": [[[]]]}]}']
)
def test_what_cannot_be_read_has_no_results(body):
    assert list(results_of(body)) == []
