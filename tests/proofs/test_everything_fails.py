"""Two gateways and their PostgreSQL, all of which go down at random moments, and one that is cut off by itself.

TRIMTAB_PROOF_SEEDS=20 plays more days than the usual one.
"""

import asyncio
import contextlib
import os
import random
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from .driver import Client, script_of, tally, until
from .test_budget_under_kill import check_bills, check_clients
from .test_two_gateways import COST, Load, check_sums, needed, settings

SEEDS = range(max(1, int(os.environ.get("TRIMTAB_PROOF_SEEDS", "3")) // 3))
CLIENTS, CALLS = 60, 12
MOST_TOKENS = 100
EVENTS = 5


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_goes_down_the_budget_holds_and_every_call_is_charged_once(
    own_postgres, upstream, gateways, seed
):
    rng = random.Random(seed)
    limit = int(COST * CLIENTS * CALLS * 0.4 * rng.uniform(0.5, 1.0))
    url = own_postgres.database()
    both = [await gateways(settings(upstream, limit, wait=0.5), url) for _ in range(2)]
    seen, events = [], Counter()

    async def client(session, number):
        own = random.Random(seed * 1_000 + number)
        for _ in range(CALLS):
            script, most = script_of(own, MOST_TOKENS, slow=4), own.randrange(1, MOST_TOKENS + 1)
            gateway = own.choice(both)
            answer = await session.call(gateway.url, script, most, stream=own.random() < 0.5)
            seen.append(answer)
            if answer.status in (0, 503):
                await asyncio.sleep(0.3 * own.random())

    async def fate():
        for _ in range(EVENTS):
            enough = len(upstream.bills) + rng.randrange(20, 80)
            with contextlib.suppress(AssertionError):
                await until(lambda enough=enough: len(upstream.bills) >= enough, seconds=2, every=0.001)
            what = rng.choice(["first", "second", "first", "database", "database and first"])
            events[what] += 1
            if "database" in what:
                await asyncio.to_thread(own_postgres.stop)
            gateway = both["first" not in what]
            if what != "database":
                gateway.kill()
            await asyncio.sleep(rng.choice([0, 0.3]))
            if "database" in what:
                await asyncio.to_thread(own_postgres.start)
            if what != "database":
                await gateway.start()
            with gateway.books() as books:
                assert books.spent() <= limit

    async with Client.open() as session, asyncio.TaskGroup() as group:
        group.create_task(fate())
        for number in range(CLIENTS):
            group.create_task(client(Client(session), number))
    await until(lambda: upstream.under_way == 0)
    for gateway in both:
        await gateway.stop()
    with both[0].books() as books:
        entries = books.entries()
        check_sums(books, entries, limit)
        calls = [row["id"] for row in books.table("call")]
    check_bills(entries, upstream.bills)
    check_clients(entries, upstream.bills, seen, least=20)
    assert len(set(calls)) == len(calls)
    assert {each.status for each in seen} <= {0, 200, 400, 402, 429, 502, 503}, tally(seen)
    kinds = Counter(line["certainty"] for line in entries.values())
    print(f"\nseed {seed}: {dict(events)}; {tally(seen)}; {kinds}")  # noqa: T201


class Line:
    """A line between a gateway and PostgreSQL's socket that can be cut: nothing passes, nothing is closed."""

    def __init__(self, path, folder):
        self._path, self._whole = path, threading.Event()
        self._whole.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / path.name))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self._whole.clear()

    def mend(self):
        self._whole.set()

    def _accept(self):
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            there.connect(str(self._path))
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one, other):
        try:
            while data := one.recv(65_536):
                self._whole.wait()
                other.sendall(data)
        except OSError:
            pass
        for each in (one, other):
            each.close()

    def close(self):
        self.mend()
        self._listener.close()


@pytest.fixture
def line(postgres, tmp_path):
    """(the URL of a new database, the same through a line that can be cut, the line)."""
    url = postgres.database()
    host = url.partition("host=")[2]
    made = Line(next(path for path in Path(host).iterdir() if path.name.endswith("5432")), tmp_path)
    yield url, url.replace(f"host={host}", f"host={tmp_path}"), made
    made.close()


async def test_a_gateway_that_is_cut_off_by_itself_overspends_at_most_the_slice_it_held(
    line, upstream, gateways
):
    """The price of two wishes: to serve from a slice while the database is away, and to have the slices of lost
    machines back. Who is cut off and who is lost look the same; so for the lease and no longer, and by no more
    than its slice, the one may spend what the others are given. Every call is charged all the same.
    """
    url, cuttable, wire = line
    limit = COST * 640
    alone = await gateways(settings(upstream, limit, lease=4.0, wait=0.5), cuttable, "alone")
    other = await gateways(settings(upstream, limit, lease=4.0, wait=0.5), url, "other")
    async with Client.open() as session:
        load = Load(session, upstream)
        for _ in range(20):
            assert (await load.call(alone)).whole
        with other.books() as books:
            await until(lambda: len(books.table("entry")) == 20 and not books.table("hold"))
            held = sum(row["granted"] for row in books.table("lease"))
            wire.cut()
            spending = asyncio.ensure_future(load.until_refused(alone))
            await until(lambda: [row["state"] for row in books.table("process")].count("dead") == 1)
            await asyncio.gather(*[load.until_refused(other) for _ in range(10)])
            load.stopped.set()
            await spending
            before = len(load.whole(alone))
            load.stopped.clear()
            late = await load.call(alone)
            assert late.status == 503, "its lease is over: it may spend nothing more"
            wire.mend()
            await until(lambda: [row["state"] for row in books.table("process")].count("live") == 2)
            await until(lambda: len(books.table("entry")) == len(upstream.bills))
    for gateway in (alone, other):
        await gateway.stop()
    with other.books() as books:
        entries = books.entries()
        assert {id: e["nanodollars"] for id, e in entries.items()} == {
            id: bill.nanodollars for id, bill in upstream.bills.items()
        }
        spent = sum(line["nanodollars"] for line in entries.values())
        assert [(meter.settled, meter.leased) for meter in books.meters()] == [(spent, 0)]
        assert limit - min(needed(seen) for seen in load.refused()) < spent <= limit + held
        assert before > 20
        print(f"\noverspent {max(0, spent - limit)} of {limit}; the slice was {held}")  # noqa: T201
