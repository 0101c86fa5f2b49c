"""The ledger as it really runs: many calls at once, keepers and writers beside them, a bad line, cancelled clients.

What the stateful play does step by step happens here all at the same time, in whatever order the loop likes.
TRIMTAB_PROOF_SEEDS=20 plays more than the usual two.
"""

import asyncio
import contextlib
import logging
import os
import random
import time

import pytest

from store.made import FlakyDatabase, leases, rows
from trimtab.core.errors import BudgetExceeded, LedgerUnavailable, StoreUnavailable
from trimtab.ledger import keeper as keepers
from trimtab.store import recover_journals, url_of
from trimtab.store import writer as writers

from .bank import Branch, book

SECONDS = 3.0
DAY, RUN = 200_000, 30_000


class Running:
    """The machine's own clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class SlowDatabase(FlakyDatabase):
    """Every transaction takes its time, each another one."""

    def transact(self, work):
        time.sleep(self.random.random() * 0.01)
        return super().transact(work)


class Street:
    """Three branches that run, and the people who come to them."""

    def __init__(self, database, root, seed):
        self.database, self.root, self.rng = database, root, random.Random(seed)
        self.branches = [self.enter() for _ in range(3)]
        self.tasks = {place: self.run(place) for place in self.branches}
        self.worst, self.charged, self.released, self.crashed = {}, {}, set(), set()
        self.tools = {}
        self.closing = False

    def enter(self):
        return Branch(
            self.database, self.root, Running(), book(DAY, RUN), lease_seconds=1.0, apply_seconds=0.01
        ).open()

    def run(self, place):
        return [asyncio.ensure_future(place.writer.run()), asyncio.ensure_future(place.keeper.run())]

    async def rest(self, place):
        """Its keeper and writer stop; the others will take it for dead."""
        for task in self.tasks[place]:
            task.cancel()
        await asyncio.gather(*self.tasks[place], return_exceptions=True)

    async def customer(self, seed):
        rng = random.Random(seed)
        while not self.closing:
            place = rng.choice(self.branches)
            calling = asyncio.ensure_future(self.call(place, rng))
            if rng.random() < 0.1:
                await asyncio.sleep(rng.random() * 0.02)
                calling.cancel()
            with contextlib.suppress(asyncio.CancelledError, BudgetExceeded, LedgerUnavailable):
                await calling
            await asyncio.sleep(rng.random() * 0.005)

    async def call(self, place, rng):
        """One call, which ends its hold exactly once whatever happens: as an attempt does."""
        worst, run = rng.randrange(1, 800), f"run-{rng.randrange(8)}"
        if rng.random() < 0.1:
            tool = f"tool:{run}:{rng.randrange(5)}"
            await place.tool(tool, 7, run)
            self.tools[tool] = 7
            return
        held = await place.hold(worst, run)
        self.worst[held.id] = worst
        try:
            await asyncio.sleep(rng.random() * 0.03)
        finally:
            if place in self.branches and held.id in place.open_holds:
                if rng.random() < 0.2:
                    place.release(held.id)
                    self.released.add(held.id)
                else:
                    self.charged[held.id] = rng.randrange(worst + 1)
                    await place.settle(held.id, self.charged[held.id])

    async def crash(self, place):
        number = self.branches.index(place)
        for task in self.tasks.pop(place):
            task.cancel()
        self.crashed |= set(place.open_holds)
        place.open_holds.clear()
        place.crash()
        while True:
            with contextlib.suppress(StoreUnavailable):
                new = await asyncio.to_thread(self.enter)
                break
        self.branches[number] = new
        self.tasks[new] = self.run(new)

    async def trouble(self, silence):
        while not self.closing:
            await asyncio.sleep(self.rng.uniform(0.1, 0.5))
            self.database.lost, self.database.answers_lost = self.rng.choice(
                [(0, 0), (0.2, 0.2), (0, 0.4), (1, 0)]
            )
            await asyncio.sleep(self.rng.uniform(0.05, 0.3))
            self.database.lost = self.database.answers_lost = 0.0
            place = self.rng.choice(self.branches)
            if not silence:
                await self.crash(place)
                continue
            await self.rest(place)
            await asyncio.sleep(1.6)
            self.tasks[place] = self.run(place)

    async def close(self):
        """Bring everything in; then memory and books must agree, and nothing be left."""
        for place in self.branches:
            await self.rest(place)
            for _ in range(50):
                with contextlib.suppress(StoreUnavailable):
                    await place.keeper._beat()
                    await place.writer.flush()
                    if place.at_rest:
                        break
            mine = {
                m: amount
                for (name, m), amount in leases(self.database).items()
                if name == place.name and amount
            }
            assert mine == place.wholes()
        for place in self.branches:
            await place.close()
        recover_journals(self.database, self.root, time.time())


@pytest.mark.parametrize("silence", [False, True], ids=["crashes", "silence"])
@pytest.mark.parametrize("seed", range(int(os.environ.get("TRIMTAB_PROOF_SEEDS", "2"))))
async def test_everything_at_once_leaves_the_books_in_order(
    tmp_path, fresh_database, monkeypatch, seed, silence
):
    monkeypatch.setattr(keepers, "_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(keepers, "_SWEEP_SECONDS", 0.2)
    monkeypatch.setattr(writers, "_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(logging.getLogger("trimtab"), "disabled", True)
    logging.getLogger("trimtab").setLevel(logging.CRITICAL)
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    database = SlowDatabase(url_of("sqlite", tmp_path), seed)
    street = Street(database, tmp_path / "journal", seed)
    people = [asyncio.ensure_future(street.customer(seed * 1_000 + number)) for number in range(30)]
    trouble = asyncio.ensure_future(street.trouble(silence))
    await asyncio.sleep(SECONDS + 2 * silence)
    street.closing = True
    await asyncio.gather(*people, trouble)
    database.lost = database.answers_lost = 0.0
    await street.close()
    logging.getLogger("trimtab").setLevel(logging.NOTSET)
    lines = {row["id"]: row for row in rows(database, "entry")}
    assert len(street.worst) > 200
    check_lines(street, lines, silence)
    check_sums(database, lines, silence)
    database.close()


def check_lines(street, lines, silence):
    """Each hold has one line, or was released; a line says what was charged, or the worst where nobody could say."""
    for id, worst in street.worst.items():
        line = lines.get(id)
        if id in street.released:
            assert line is None or (silence and line["certainty"] == "worst_case")
        elif line["certainty"] == "worst_case":
            assert line["nanodollars"] == worst
            assert silence or id in street.crashed
        else:
            assert line["nanodollars"] == street.charged[id]
    for id in set(lines) - set(street.worst):
        # A tool, or the hold of a client that was cancelled just as it was written and could not be released.
        assert id in street.tools or id.startswith("tool:") or lines[id]["certainty"] == "worst_case"


def check_sums(database, lines, silence):
    for meter in rows(database, "meter"):
        of_day = meter["name"] == "tenant/day"
        mine = [line for line in lines.values() if of_day or f"/{line['run']}|" in meter["id"]]
        assert meter["settled"] == sum(line["nanodollars"] for line in mine)
        assert meter["leased"] == 0
        tools = sum(line["nanodollars"] for line in mine if line["kind"] == "tool")
        if not silence:
            assert meter["settled"] <= meter["limit_amount"] + tools
    assert rows(database, "hold") == []
    assert rows(database, "lease") == []
