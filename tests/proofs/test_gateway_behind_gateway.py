"""A gateway is an endpoint of another: ids pass through, there is one tree of calls, and the money is counted once."""

import asyncio
import json

import pytest

from .driver import Client, tally, until
from .upstream import INPUT_USD, OUTPUT_USD

MOST = 60
CENTRAL = """
[[endpoint]]
name = "main"
url = "{url}"
models = ["small"]
price = {{ input = {input}, output = {output} }}
retries = 0

[[budget]]
scope = "tenant"
limit_usd = {limit}
"""
EDGE = """
[[endpoint]]
name = "central"
url = "{url}/v1"
style = "trimtab"
models = ["small"]
retries = 0
"""
WHO = {
    "x-trimtab-run": "run-7", "x-trimtab-step": "plan", "x-trimtab-workflow": "lookup", "x-trimtab-user": "ada",
    "x-trimtab-task": "t1", "x-trimtab-agent": "scout",
}  # fmt: skip
SCRIPT = {"tokens": 40, "prompt": 20, "delay": 0, "told": True}


def central_settings(upstream, limit=1.0):
    return CENTRAL.format(url=upstream.url, input=INPUT_USD, output=OUTPUT_USD, limit=limit)


@pytest.fixture(params=["own", "shared"])
async def house(request, upstream, gateways):
    """(edge, central), each with its own SQLite or both on one PostgreSQL."""
    url = "sqlite" if request.param == "own" else request.getfixturevalue("postgres").database()
    central = await gateways(central_settings(upstream), url, "central")
    edge = await gateways(EDGE.format(url=central.url), url, "edge")
    return edge, central


async def stop(*gateways):
    for gateway in gateways:
        await gateway.stop()


def split(gateway, name):
    """Rows of a table by the endpoint they name."""
    with gateway.books() as books:
        rows = books.table(name)
    return {row["endpoint"]: row for row in rows}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_a_call_through_two_gateways_is_one_tree_and_paid_once(house, upstream, stream):
    edge, central = house
    async with Client.open() as session:
        seen = await Client(session).call(edge.url, SCRIPT, MOST, stream=stream, headers=WHO)
    assert seen.whole, seen
    await stop(edge, central)
    outer, inner = split(edge, "call")["central"], split(central, "call")["main"]
    paid, noted = split(central, "entry")["main"], split(edge, "entry")["central"]
    assert (outer["id"], outer["parent"]) == (seen.call, "")
    assert inner["parent"] == outer["id"]
    for row in (outer, inner, paid, noted):
        assert (row["run"], row["step"], row["workflow"], row["user"]) == ("run-7", "plan", "lookup", "ada")
    (bill,) = upstream.bills.values()
    assert (paid["id"], paid["certainty"], paid["nanodollars"]) == (bill.id, "exact", bill.nanodollars)
    assert (noted["certainty"], noted["nanodollars"]) == ("upstream", 0)
    assert noted["upstream_nanodollars"] == paid["nanodollars"]
    assert noted["upstream_nanodollars"] == outer["nanodollars"] == inner["nanodollars"]
    assert (noted["input_tokens"], noted["output_tokens"]) == (20, 40)
    for gateway in (edge, central):
        with gateway.books() as books:
            assert books.spent() in (0, bill.nanodollars)
            (run,) = books.table("run")
            assert (run["id"], run["task"], run["agent"]) == ("run-7", "t1", "scout")
    if not stream:
        assert seen.cost == bill.nanodollars


async def test_what_the_inner_gateway_tells_the_outer_one_is_not_for_the_client(house):
    edge, _ = house
    async with Client.open() as session:
        seen = await Client(session).call(edge.url, SCRIPT, MOST, stream=True)
        direct = await Client(session).call(house[1].url, SCRIPT, MOST, stream=True)
    for each in (seen, direct):
        assert each.whole
        assert "cost_nanodollars" not in each.text
        assert "event: trimtab" not in each.text
    events = [line for line in seen.text.splitlines() if line.startswith("data: {")]
    assert json.loads(events[-1][6:])["usage"]["completion_tokens"] == 40


async def test_many_calls_through_two_gateways_sum_up_to_the_bill(house, upstream):
    edge, central = house
    async with Client.open() as session:
        client = Client(session)
        scripts = [SCRIPT | {"tokens": number % (MOST + 1), "told": number % 5 > 0} for number in range(120)]
        calls = [
            client.call(
                edge.url, script, MOST, stream=number % 2 == 0, headers={"x-trimtab-run": f"r{number % 7}"}
            )
            for number, script in enumerate(scripts)
        ]
        seen = await asyncio.gather(*calls)
    assert all(each.whole for each in seen), tally(seen)
    await stop(edge, central)
    bills = upstream.bills
    lines = {}
    for gateway in (edge, central):
        with gateway.books() as books:
            lines |= books.entries()
    paid = {id: line for id, line in lines.items() if line["endpoint"] == "main"}
    noted = [line for line in lines.values() if line["endpoint"] == "central"]
    assert set(paid) == set(bills)
    assert sum(line["nanodollars"] for line in lines.values()) == sum(
        line["nanodollars"] for line in paid.values()
    )
    assert sum(line["upstream_nanodollars"] for line in noted) == sum(
        line["nanodollars"] for line in paid.values()
    )
    for id, line in paid.items():
        exact = line["certainty"] == "exact"
        assert (
            line["nanodollars"] == bills[id].nanodollars
            if exact
            else line["nanodollars"] >= bills[id].nanodollars
        )


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_a_budget_of_the_inner_gateway_reaches_the_client(upstream, gateways, stream):
    central = await gateways(central_settings(upstream, limit="0.000000001"), name="central")
    edge = await gateways(EDGE.format(url=central.url), name="edge")
    async with Client.open() as session:
        seen = await Client(session).call(edge.url, SCRIPT, MOST, stream=stream)
    assert (seen.status, seen.code) == (402, "budget_exceeded")
    await stop(edge, central)
    assert upstream.bills == {}
    with edge.books() as books:
        assert books.table("entry") == []
        assert books.table("hold") == []


@pytest.mark.parametrize("which", ["edge", "central"])
async def test_a_kill_of_either_leaves_the_money_counted_once(house, upstream, which):
    edge, central = house
    slow = SCRIPT | {"tokens": MOST, "delay": 0.1}
    async with Client.open() as session:
        client = Client(session)
        calls = [
            asyncio.ensure_future(client.call(edge.url, slow, MOST, stream=n % 2 == 0)) for n in range(20)
        ]
        await until(lambda: upstream.under_way == 20)
        (edge if which == "edge" else central).kill()
        seen = await asyncio.gather(*calls)
        assert not any(each.whole for each in seen)
    await until(lambda: upstream.under_way == 0)
    await (edge if which == "edge" else central).start()
    await stop(edge, central)
    lines = {}
    for gateway in (edge, central):
        with gateway.books() as books:
            lines |= books.entries()
            assert books.table("hold") == []
            assert books.table("lease") == []
    for id, bill in upstream.bills.items():
        assert lines[id]["nanodollars"] >= bill.nanodollars
    assert all(line["nanodollars"] == 0 for line in lines.values() if line["endpoint"] == "central")
    assert len([line for line in lines.values() if line["endpoint"] == "main"]) == 20
