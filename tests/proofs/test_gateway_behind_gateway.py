"""A gateway behind a gateway: one run tree, and every nanodollar counted once."""

import pytest
from gateway.served import ask, cost, endpoint

from trimtab.core import Usage
from trimtab.store import Selection
from trimtab.traces import cost_report

HEADERS = {
    "x-trimtab-run": "r-1",
    "x-trimtab-workflow": "support",
    "x-trimtab-step": "plan",
    "x-trimtab-user": "ada",
}
EDGE = """
[[endpoint]]
name = "central"
url = "{url}"
style = "trimtab"
models = ["gpt-small"]
retries = 0
"""


@pytest.fixture
async def pair(serve, upstream):
    """(edge, central)."""
    central = await serve(endpoint(upstream), "central")
    edge = await serve(EDGE.format(url=central.v1), "edge")
    return edge, central


@pytest.mark.parametrize("stream", [False, True])
async def test_the_money_is_counted_once_where_it_is_spent(pair, upstream, stream):
    edge, central = pair
    answer = await edge.post(ask(stream=stream), headers=HEADERS)
    assert answer.status == 200
    billed = cost(upstream.seen[0].billed)
    spent, passed_on = await central.entry(), await edge.entry()
    assert (spent.nanodollars, spent.certainty) == (billed, "exact")
    assert (passed_on.nanodollars, passed_on.upstream_nanodollars) == (0, billed)
    assert passed_on.certainty == "upstream"
    assert billed > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_both_calls_belong_to_one_run_tree(pair, stream):
    edge, central = pair
    await edge.post(ask(stream=stream), headers=HEADERS)
    outer, inner = await edge.call(), await central.call()
    assert inner.parent == outer.id
    for call in (outer, inner):
        assert (call.run, call.workflow, call.step, call.user) == ("r-1", "support", "plan", "ada")


async def test_a_client_sees_no_trace_of_the_gateway_in_between(pair, upstream):
    edge, _ = pair
    streamed = await edge.post(ask(stream=True), headers=HEADERS)
    assert "trimtab" not in streamed.body.decode()
    assert streamed.events[-1] == "[DONE]"
    assert "x-trimtab-gateway" not in upstream.seen[0].headers


async def test_the_edge_reports_what_the_center_spent_apart(pair, upstream):
    edge, _ = pair
    for stream in (False, True):
        await edge.post(ask(stream=stream), headers=HEADERS)
    await edge.at_rest()
    await edge.house.writer.flush()
    total = cost_report(edge.house.database, (), Selection()).total
    billed = sum(cost(seen.billed) for seen in upstream.seen)
    assert (total.nanodollars, total.upstream_nanodollars) == (0, billed)


async def test_the_centers_budget_refuses_through_the_edge(serve, upstream):
    budget = '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 0.0000001\n'
    central = await serve(endpoint(upstream) + budget, "central")
    edge = await serve(EDGE.format(url=central.v1), "edge")
    answer = await edge.post(ask(), headers=HEADERS)
    assert answer.status == 402
    assert "budget" in answer.error["message"]
    assert upstream.seen == []
    assert await edge.entries() == []


async def test_a_center_that_is_away_costs_nothing(serve):
    edge = await serve(EDGE.format(url="http://127.0.0.1:9/v1"), "edge")
    answer = await edge.post(ask(), headers=HEADERS)
    assert answer.status == 502
    assert await edge.entries() == []


async def test_usage_passes_through_both(pair, upstream):
    edge, _ = pair
    answer = await edge.post(ask(), headers=HEADERS)
    usage = answer.json["usage"]
    billed = upstream.seen[0].billed
    assert Usage(usage["prompt_tokens"], usage["completion_tokens"]) == billed
