"""Two gateways on one PostgreSQL and one budget: nothing overspent, nobody starved, no money left behind.

TRIMTAB_OUTAGE_SECONDS=30 makes the database stay away as long as a restart of a big one takes.
"""

import asyncio
import os
import re
import time
from collections import Counter

import pytest

from .driver import Client, tally, until
from .process import Gateway
from .upstream import INPUT_USD, OUTPUT_USD

OUTAGE_SECONDS = float(os.environ.get("TRIMTAB_OUTAGE_SECONDS", "8"))
LONG = OUTAGE_SECONDS > 8
MOST = 100
SETTINGS = """
[ledger]
lease_seconds = {lease}
wait_seconds = {wait}

[[tenant]]
name = "*"
max_queued = 4096

[[endpoint]]
name = "main"
url = "{url}"
models = ["small"]
price = {{ input = {input}, output = {output} }}
concurrency = 200
retries = 0

[[budget]]
scope = "tenant"
limit_usd = {limit}

[[budget]]
scope = "run"
window = "run"
limit_usd = 1.0
match = {{ workflow = "fresh" }}
"""
SCRIPT = {"tokens": MOST, "prompt": 20, "delay": 0.004, "told": True}
COST = -(-(20 * 123_456_700 + MOST * 1_765_432_100) // 1_000_000)


def settings(upstream, limit, lease=60.0, wait=5.0):
    return SETTINGS.format(
        url=upstream.url,
        input=INPUT_USD,
        output=OUTPUT_USD,
        limit=f"{limit / 1e9:.9f}",
        lease=lease,
        wait=wait,
    )


def needed(seen):
    """What a refused call may have cost, as its refusal says."""
    dollars = re.search(r"may need \$(\d+)\.(\d{9})", seen.text)
    return int(dollars[1]) * 10**9 + int(dollars[2])


class Load:
    """Clients of several gateways, until they are told to stop."""

    def __init__(self, session, upstream):
        self._client, self.upstream = Client(session), upstream
        self.seen: dict[str, list] = {}
        self.stopped = asyncio.Event()

    def of(self, gateway):
        return self.seen.setdefault(gateway.name, [])

    async def call(self, gateway, headers=None, script=SCRIPT, stream=False):
        seen = await self._client.call(gateway.url, script, MOST, headers=headers, stream=stream)
        self.of(gateway).append(seen)
        return seen

    async def until_refused(self, gateway, refusals=3):
        """One client: calls one after another until it was refused so often, or the load is stopped."""
        stream = False
        while not self.stopped.is_set() and refusals:
            seen = await self.call(gateway, stream=stream)
            stream = not stream
            refusals -= seen.status == 402
            if seen.status not in (200, 402):
                await asyncio.sleep(0.05)

    def whole(self, gateway):
        return [seen for seen in self.of(gateway) if seen.whole]

    def refused(self):
        return [seen for calls in self.seen.values() for seen in calls if seen.status == 402]


def check_exact(books, bills, limit):
    """Call by call what the endpoint billed, each once; all sums agree."""
    entries = books.entries()
    assert {id: line["nanodollars"] for id, line in entries.items()} == {
        id: b.nanodollars for id, b in bills.items()
    }
    assert {line["certainty"] for line in entries.values()} <= {"exact"}
    check_sums(books, entries, limit)


def check_sums(books, entries, limit):
    spent = sum(line["nanodollars"] for line in entries.values())
    assert spent <= limit
    tenant = [meter for meter in books.meters() if meter.name == "tenant/month"]
    assert [(meter.settled, meter.leased) for meter in tenant] == [(spent, 0)]
    assert books.table("hold") == []
    assert books.table("lease") == []


async def test_two_gateways_spend_one_budget_to_its_end_together(postgres, upstream, gateways):
    limit = COST * 400 + COST // 2
    url = postgres.database()
    both = [await gateways(settings(upstream, limit), url) for _ in range(2)]
    began = time.monotonic()
    async with Client.open() as session:
        load = Load(session, upstream)
        async with asyncio.TaskGroup() as group:
            for gateway in both:
                for _ in range(20):
                    group.create_task(load.until_refused(gateway))
    seconds = time.monotonic() - began
    served = [len(load.whole(gateway)) for gateway in both]
    for gateway in both:
        await gateway.stop()
    hold = min(needed(seen) for seen in load.refused())
    with both[0].books() as books:
        check_exact(books, upstream.bills, limit)
        left = limit - books.spent()
    assert min(served) > 400 * 0.2, f"one was starved: {served}"
    assert left < hold, f"refused {hold} while {left} was left"
    print(f"\n{served} calls in {seconds:.1f} s, {left} of {limit} left, a call holds {hold}")  # noqa: T201


async def test_a_refusal_means_that_no_other_gateway_keeps_the_money(postgres, upstream, gateways):
    """One gateway holds a slice and rests; the other can still spend the last of the budget."""
    limit = COST * 100
    url = postgres.database()
    rich, poor = [await gateways(settings(upstream, limit), url) for _ in range(2)]
    async with Client.open() as session:
        load = Load(session, upstream)
        assert (await load.call(rich)).whole
        await asyncio.gather(*[load.until_refused(poor, refusals=1) for _ in range(8)])
        hold = min(needed(seen) for seen in load.refused())
    for gateway in (rich, poor):
        await gateway.stop()
    with poor.books() as books:
        check_exact(books, upstream.bills, limit)
        assert limit - books.spent() < hold


async def test_two_gateways_on_one_machine_share_a_file(upstream, gateways, tmp_path):
    """The same folder and the same SQLite; one is killed, and the other takes up what it left without a restart."""
    limit = COST * 150
    both = [await gateways(settings(upstream, limit, wait=1.0), data=tmp_path / "data") for _ in range(2)]
    victim, other = both
    async with Client.open() as session:
        load = Load(session, upstream)
        clients = [asyncio.ensure_future(load.until_refused(gateway)) for gateway in both for _ in range(10)]
        await until(lambda: len(load.whole(victim)) >= 20)
        victim.kill()
        load.stopped.set()
        await asyncio.gather(*clients)
        await until(lambda: upstream.under_way == 0)
        load.stopped.clear()
        with other.books() as books:
            await until(lambda: [row["state"] for row in books.table("process")].count("dead") == 1)
        await asyncio.gather(*[load.until_refused(other) for _ in range(10)])
        hold = min(needed(seen) for seen in load.refused())
    await other.stop()
    with other.books() as books:
        entries = books.entries()
        check_sums(books, entries, limit)
        assert limit - books.spent() < hold
    for id, bill in upstream.bills.items():
        exact = entries[id]["certainty"] == "exact"
        paid = entries[id]["nanodollars"]
        assert paid == bill.nanodollars if exact else paid >= bill.nanodollars


@pytest.mark.parametrize("comes_back", [True, False], ids=["restarted", "buried"])
async def test_the_slice_of_a_killed_gateway_comes_back(postgres, upstream, gateways, comes_back):
    limit = COST * 300
    url = postgres.database()
    text = settings(upstream, limit, lease=2.0, wait=1.0)
    victim, other = [await gateways(text, url) for _ in range(2)]
    async with Client.open() as session:
        load = Load(session, upstream)
        clients = [asyncio.ensure_future(load.until_refused(victim)) for _ in range(10)]
        await until(lambda: len(load.whole(victim)) >= 30)
        victim.kill()
        load.stopped.set()
        await asyncio.gather(*clients)
        await until(lambda: upstream.under_way == 0)
        load.stopped.clear()
        with other.books() as books:
            if comes_back:
                await victim.start()
                assert not books.table("hold")
            else:
                await until(lambda: [row["state"] for row in books.table("process")].count("dead") == 1)
            assert books.spent() <= limit
        spenders = [other, victim] if comes_back else [other]
        await asyncio.gather(*[load.until_refused(each) for each in spenders for _ in range(10)])
        hold = min(needed(seen) for seen in load.refused())
    for gateway in spenders:
        await gateway.stop()
    with other.books() as books:
        entries = books.entries()
        check_sums(books, entries, limit)
        assert limit - books.spent() < hold
    for id, bill in upstream.bills.items():
        line = entries.get(id)
        if line is None:
            assert not comes_back, f"nobody charged {bill}"
        elif line["certainty"] == "exact":
            assert line["nanodollars"] == bill.nanodollars
        else:
            assert line["certainty"] == "worst_case"
            assert line["nanodollars"] >= bill.nanodollars


async def test_a_gateway_that_slept_too_long_spends_nothing_that_others_were_given(
    postgres, upstream, gateways
):
    limit = COST * 300
    url = postgres.database()
    text = settings(upstream, limit, lease=2.0, wait=0.5)
    sleeper, other = [await gateways(text, url) for _ in range(2)]
    async with Client.open() as session:
        load = Load(session, upstream)
        assert (await load.call(sleeper)).whole
        with sleeper.books() as books:
            await until(lambda: len(books.table("entry")) == 1 and not books.table("hold"))
            assert books.leased() > COST
            sleeper.pause()
            await until(lambda: [row["state"] for row in books.table("process")].count("dead") == 1)
            await asyncio.gather(*[load.until_refused(other) for _ in range(10)])
            # Sent while it sleeps, so that they are the first thing it sees.
            woken = [asyncio.ensure_future(load.call(sleeper)) for _ in range(20)]
            await asyncio.sleep(0.2)
            sleeper.go_on()
            answers = await asyncio.gather(*woken)
            assert {seen.status for seen in answers} <= {402, 503}, tally(answers)
            await until(lambda: [row["state"] for row in books.table("process")].count("live") == 2)
            assert (await load.call(sleeper)).status == 402
    for gateway in (sleeper, other):
        await gateway.stop()
    with other.books() as books:
        check_exact(books, upstream.bills, limit)


class Outage:
    """Load on two gateways while their database goes away and comes back."""

    def __init__(self, load, both):
        self._load, self._both = load, both
        self.began = self.ended = 0.0
        self.fresh = []

    async def steady(self, gateway, seconds_between):
        """A client that calls at a steady pace."""
        while not self._load.stopped.is_set():
            began = time.monotonic()
            await self._load.call(gateway)
            await asyncio.sleep(max(0, seconds_between - (time.monotonic() - began)))

    async def fresh_runs(self, gateway):
        """A client whose every call falls under a budget that nobody has a slice of."""
        number = 0
        while not self._load.stopped.is_set():
            number += 1
            headers = {"x-trimtab-run": f"{gateway.name}-{number}", "x-trimtab-workflow": "fresh"}
            self.fresh.append(await self._load.call(gateway, headers=headers))
            await asyncio.sleep(0.2)

    def during(self, calls):
        """Calls that began and ended while the database was away."""
        return [s for s in calls if s.began > self.began + 0.2 and s.began + s.seconds < self.ended]


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_calls_go_on_while_the_database_is_away_and_nothing_is_lost(
    own_postgres, upstream, gateways, how
):
    limit = COST * 200_000
    url = own_postgres.database()
    both = [await gateways(settings(upstream, limit, lease=OUTAGE_SECONDS + 30), url) for _ in range(2)]
    async with Client.open() as session:
        load = Load(session, upstream)
        outage = Outage(load, both)
        clients = [asyncio.ensure_future(outage.steady(g, 0.25)) for g in both for _ in range(8)]
        clients += [asyncio.ensure_future(outage.fresh_runs(g)) for g in both]
        await until(lambda: all(len(load.whole(gateway)) > 60 for gateway in both))
        loop = asyncio.get_running_loop()
        outage.began = loop.time()
        await asyncio.to_thread(own_postgres.stop if how == "stopped" else own_postgres.freeze)
        await asyncio.sleep(OUTAGE_SECONDS)
        outage.ended = loop.time()
        await asyncio.to_thread(own_postgres.start if how == "stopped" else own_postgres.thaw)
        back = time.monotonic()
        before = len(outage.fresh)
        await until(lambda: any(seen.status == 200 for seen in outage.fresh[before:]))
        fresh_again = time.monotonic() - back
        load.stopped.set()
        await asyncio.gather(*clients)
    for gateway in both:
        await gateway.stop()
    calls = [seen for calls in load.seen.values() for seen in calls]
    steady = [seen for seen in calls if seen not in outage.fresh]
    assert Counter(seen.status for seen in steady) == {200: len(steady)}, tally(steady)
    ridden = outage.during(steady)
    assert len(ridden) > OUTAGE_SECONDS * 10
    refused = [seen for seen in outage.fresh if seen.status != 200]
    assert {(seen.status, seen.code) for seen in refused} == {(503, "ledger_unavailable")}
    assert all(int(seen.retry_after) >= 1 for seen in refused)
    assert max(seen.seconds for seen in refused) < 8
    with both[0].books() as books:
        check_exact(books, upstream.bills, limit)
        assert len(books.table("call")) == len(calls)
        assert len({row["id"] for row in books.table("call")}) == len(calls)
        assert len(books.table("process")) == 2, "nobody was given up for dead"
    ridden.sort(key=lambda seen: seen.seconds)
    print(  # noqa: T201
        f"\n{how} for {outage.ended - outage.began:.1f} s: {len(ridden)} calls ridden out "
        f"(p50 {ridden[len(ridden) // 2].seconds:.3f} s, longest {ridden[-1].seconds:.3f} s), "
        f"{len(refused)} fresh budgets told 503 (longest {max(s.seconds for s in refused):.2f} s), "
        f"fresh budgets again {fresh_again:.1f} s after its return; {len(calls)} calls in all"
    )


async def test_a_gateway_does_not_start_without_its_database_and_says_so(own_postgres, upstream, gateways):
    url = own_postgres.database()
    own_postgres.stop()
    gateway: Gateway = await gateways(settings(upstream, COST), url, start=False)
    await gateway.start(wait=False)
    assert await asyncio.to_thread(gateway.process.wait, 30) != 0
    assert "database" in gateway.log()
    assert "Traceback" not in gateway.log()
    own_postgres.start()
    await gateway.start()
    await gateway.stop()
    assert list((gateway.folder / "data" / "journal").iterdir()) == []


@pytest.mark.parametrize("how", ["stopped", "frozen"] if LONG else ["stopped"])
async def test_what_a_gateway_could_not_bring_in_when_it_stopped_comes_with_the_next_start(
    own_postgres, upstream, gateways, how
):
    limit = COST * 1_000
    url = own_postgres.database()
    gateway = await gateways(settings(upstream, limit), url)
    async with Client.open() as session:
        load = Load(session, upstream)
        assert (await load.call(gateway)).whole
        own_postgres.stop() if how == "stopped" else own_postgres.freeze()
        answers = await asyncio.gather(*[load.call(gateway) for _ in range(5)])
        assert any(seen.whole for seen in answers), tally(answers)
    await gateway.stop()
    own_postgres.start() if how == "stopped" else own_postgres.thaw()
    await gateway.start()
    await gateway.stop()
    with gateway.books() as books:
        check_exact(books, upstream.bills, limit)
