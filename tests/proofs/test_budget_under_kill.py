"""The proof: a thousand calls at once against one budget, while the gateway is killed again and again.

Whatever it was doing when it died, the budget is never passed, every call that a client saw whole is charged to
the nanodollar, and everything else that the endpoint generated is covered by a line at least as high.

TRIMTAB_PROOF_SEEDS=20 plays more days than the usual three.
"""

import asyncio
import os
import random
from collections import Counter

import pytest

from .driver import Client, script_of, tally, until
from .process import Gateway
from .upstream import INPUT_USD, OUTPUT_USD, Upstream

SEEDS = range(int(os.environ.get("TRIMTAB_PROOF_SEEDS", "3")))
CALLS = 1_000
MOST_TOKENS = 300
KILLS = 4
RUNS = 40
SETTINGS = """
[ledger]
wait_seconds = 1.0
durability = "{durability}"

[[tenant]]
name = "*"
max_queued = 4096

[[endpoint]]
name = "main"
url = "{url}"
models = ["small"]
capabilities = ["tools", "json_schema", "vision", "audio", "logprobs", "n", "embeddings"]
price = {{ input = {input}, output = {output} }}
concurrency = 2000
retries = 1
breaker = {{ failures = 1000000 }}

[[budget]]
scope = "tenant"
limit_usd = {limit}
"""


class Day:
    """One day: clients, the endpoint, a gateway that dies, and the books."""

    def __init__(self, folder, upstream, seed):
        self.rng = random.Random(seed)
        # Less than what all calls together would cost, so that the budget runs out.
        self.limit = int(CALLS * MOST_TOKENS * 0.25 * OUTPUT_USD * 1_000 * self.rng.uniform(0.5, 1.0))
        self.upstream = upstream
        text = SETTINGS.format(
            url=upstream.url, input=INPUT_USD, output=OUTPUT_USD, limit=f"{self.limit / 1e9:.9f}",
            durability=["process", "disk"][seed % 2],
        )  # fmt: skip
        self.gateway = Gateway(folder, text)
        self.seen = []
        self.lives = asyncio.Event()

    async def client(self, client, number):
        """One user: calls until a call is answered or refused for good; a dead gateway is called again."""
        rng = random.Random(self.rng.random())
        for _ in range(8):
            await self.lives.wait()
            stream = rng.random() < 0.5
            leave = rng.randrange(3_000) if rng.random() < 0.05 else None
            script = script_of(rng, MOST_TOKENS, slow=4)
            headers = {"x-trimtab-run": f"run-{number % RUNS}", "x-trimtab-step": "step"}
            most = rng.randrange(1, MOST_TOKENS + 1)
            seen = await client.call(
                self.gateway.url, script, most, stream=stream, leave_after=leave, headers=headers
            )
            self.seen.append(seen)
            if seen.status in (200, 402) and (seen.whole or seen.left or seen.status == 402):
                return

    async def killer(self):
        """Kill -9 at random moments, calls under way if there are any, and start again on the same data."""
        for _ in range(KILLS):
            enough = len(self.upstream.bills) + self.rng.randrange(CALLS // 4)
            deadline = asyncio.get_running_loop().time() + 3 * self.rng.random()
            while len(self.upstream.bills) < enough and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.001)
            while self.upstream.under_way < 4 and asyncio.get_running_loop().time() < deadline + 2:
                await asyncio.sleep(0.001)
            self.lives.clear()
            self.gateway.kill()
            await self.gateway.start()
            with self.gateway.books() as books:
                assert books.spent() <= self.limit
                assert all(meter.settled <= self.limit for meter in books.meters())
            self.lives.set()

    async def play(self):
        await self.gateway.start()
        self.lives.set()
        async with Client.open() as session:
            client = Client(session)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.killer())
                for number in range(CALLS):
                    group.create_task(self.client(client, number))
        await until(lambda: self.upstream.under_way == 0)
        await self.gateway.stop()


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_kill_passes_the_budget_or_loses_a_nanodollar(tmp_path, seed):
    async with Upstream() as upstream:
        day = Day(tmp_path, upstream, seed)
        try:
            await day.play()
        finally:
            day.gateway.kill()
        with day.gateway.books() as books:
            entries = books.entries()
            check_books(books, entries, day.limit)
        check_bills(entries, upstream.bills)
        check_clients(entries, upstream.bills, day.seen)
    kinds = Counter(line["certainty"] for line in entries.values())
    spent = sum(line["nanodollars"] for line in entries.values())
    print(f"\nseed {seed}: {tally(day.seen)}; {kinds}; {spent / day.limit:.4f} of the budget spent")  # noqa: T201
    assert kinds["worst_case"] > 10, "the kills came too late to matter"


def check_books(books, entries, limit):
    """Sums agree, nothing is open, nothing is leased, and the budget holds."""
    spent = sum(line["nanodollars"] for line in entries.values())
    assert spent <= limit
    assert [meter.settled for meter in books.meters()] == [spent]
    assert [meter.leased for meter in books.meters()] == [0]
    assert books.table("lease") == []
    assert books.table("hold") == []
    assert all(row["state"] == "dead" for row in books.table("process"))


def check_bills(entries, bills):
    """Everything the endpoint generated is covered, to the nanodollar where it told us."""
    for bill in bills.values():
        line = entries.get(bill.id)
        assert line is not None, f"nobody charged {bill}"
        if line["certainty"] == "exact":
            assert line["nanodollars"] == bill.nanodollars
        else:
            assert line["certainty"] in ("estimated", "worst_case")
            assert line["nanodollars"] >= bill.nanodollars, f"{line} is less than {bill}"


def check_clients(entries, bills, calls, least=CALLS // 10):
    """What a client saw whole, and whose cost the endpoint told, is charged exactly."""
    by_call = {}
    for line in entries.values():
        by_call.setdefault(line["call"], []).append(line)
    whole = [seen for seen in calls if seen.whole]
    assert len({seen.call for seen in whole}) == len(whole)
    assert len(whole) > least, tally(calls)
    for seen in whole:
        lines = by_call[seen.call]
        answered = [
            line for line in lines if line["certainty"] == ("exact" if seen.script["told"] else "estimated")
        ]
        assert len(answered) == 1, lines
        if seen.script["told"]:
            assert answered[0]["nanodollars"] == bills[answered[0]["id"]].nanodollars
        if seen.cost is not None:
            assert seen.cost == sum(line["nanodollars"] for line in lines)
