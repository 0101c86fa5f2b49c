"""The teller: grants that are waited for, cancelled, lost or refused; leases that may not be ours any more."""

import asyncio
import threading
from contextlib import contextmanager

import msgspec
import pytest

from store.made import leases, meter_row, rows
from trimtab.core.errors import BudgetExceeded, StoreUnavailable
from trimtab.ledger import teller as tellers
from trimtab.store import bury, processes

from .bank import DAY_LIMIT, LEASE_SECONDS, book, who

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@contextmanager
def refused(why):
    """The caller learns that it is refused; what the store said is the cause."""
    with pytest.raises(Exception, match="while the database is away") as caught:
        yield
    assert why in str(caught.value.__cause__)


def day(place):
    return place.ledger.meters(who(), place.clock.now())[0]


def leased_to(database, place):
    return {
        meter: amount
        for (process, meter), amount in leases(database).items()
        if process == place.name and amount
    }


class Gate:
    """Holds up the database's transactions until it is opened; says when one has come."""

    def __init__(self, database, after=False):
        self.come, self.open = threading.Event(), threading.Event()
        real = database.transact

        def transact(work):
            if after:
                done = real(work)
            self.come.set()
            assert self.open.wait(20)
            return done if after else real(work)

        self._database, self._real = database, real
        database.transact = transact

    def lift(self):
        self._database.transact = self._real
        self.open.set()

    async def reached(self):
        assert await asyncio.to_thread(self.come.wait, 20)


async def test_one_grant_serves_all_who_wait_for_it(branch, database, monkeypatch):
    place = branch(book(day=640_000, run=0))
    asked = []
    real = place.teller._fetch

    def fetch(asks, slices):
        asked.append(asks)
        return real(asks, slices)

    monkeypatch.setattr(place.teller, "_fetch", fetch)
    await asyncio.gather(*[place.hold(100) for _ in range(20)])
    assert len(asked) < 5
    assert leased_to(database, place) == place.wholes()
    assert not place.teller._asking


async def test_a_cancelled_caller_leaves_its_grant_booked(branch, database):
    place = branch(book(run=0))
    gate = Gate(database)
    asking = asyncio.ensure_future(place.hold(100))
    await gate.reached()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    gate.lift()
    while place.teller._grants:
        await asyncio.sleep(0.001)
    assert place.wholes() == leased_to(database, place) != {}
    assert place.ledger.open_holds == 0


async def test_callers_cancelled_in_the_queue_leave_nothing_held(branch, database):
    place = branch(book(run=0))
    gate = Gate(database)
    asking = [asyncio.ensure_future(place.hold(100)) for _ in range(10)]
    await gate.reached()
    for each in asking[1::2]:
        each.cancel()
    gate.lift()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(each, asyncio.CancelledError) for each in answers) == 5
    assert sum(held for _, held in place.teller.slices.totals().values()) == 500
    assert leased_to(database, place) == place.wholes()


async def test_a_grant_whose_answer_is_lost_is_found_again(branch, database):
    place = branch(book(run=0))
    database.answers_lost = 1.0
    with pytest.raises(Exception, match="no money can be set aside"):
        await place.hold(100)
    database.answers_lost = 0.0
    assert leased_to(database, place) != {}
    assert place.wholes() == {}
    await place.keeper._beat()
    assert leased_to(database, place) == {}
    assert meter_row(database, day(place)) == (0, 0)


async def test_a_lost_answer_is_made_good_while_calls_go_on(branch, database):
    place = branch(book(day=640_000, run=0))
    for _ in range(5):
        await place.hold(300)
    database.answers_lost = 1.0
    with pytest.raises(Exception, match="no money can be set aside"):
        await place.hold(60_000)
    database.answers_lost = 0.0
    for id in list(place.open_holds)[:3]:
        await place.settle(id, 200)
    assert sum(leased_to(database, place).values()) > sum(place.wholes().values())
    await place.keeper._beat()
    assert leased_to(database, place) == place.wholes()
    assert meter_row(database, day(place))[0] == 600


async def test_a_grant_that_was_given_up_is_never_made_late(branch, database, monkeypatch):
    """The answer took too long, and the work had not begun: it must not lease anything afterwards."""
    monkeypatch.setattr(tellers, "_GRANT_SECONDS", 0.05)
    place = branch(book(run=0))
    gate = Gate(database)
    with refused("no answer within"):
        await place.hold(100)
    gate.lift()
    await database.run(lambda c: None)
    assert leased_to(database, place) == {}


async def test_who_waits_behind_a_database_that_hangs_is_told_with_the_first(branch, database, monkeypatch):
    """A hundred callers do not wait for their own timeout one after another."""
    monkeypatch.setattr(tellers, "_GRANT_SECONDS", 0.2)
    place = branch(book(run=0))
    gate = Gate(database)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await asyncio.gather(*[place.hold(100) for _ in range(100)], return_exceptions=True)
    assert loop.time() - began < 5
    assert all("database" in str(answer) for answer in answers)
    gate.lift()


async def test_a_call_waits_for_open_holds_to_settle(branch, database):
    place = branch(book(day=1_000, run=0), wait_seconds=30.0)
    first = await place.hold(900)
    waiting = asyncio.ensure_future(place.hold(600))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await place.settle(first.id, 100)
    assert (await waiting).nanodollars == 600


async def test_a_call_that_can_never_fit_is_refused_at_once(branch):
    place = branch(book(day=1_000, run=0), wait_seconds=1e9)
    first = await place.hold(900)
    await place.settle(first.id, 900)
    await place.writer.flush()
    with pytest.raises(BudgetExceeded) as refused:
        await place.hold(200)
    assert refused.value.spent == 900
    assert refused.value.limit == 1_000
    with pytest.raises(BudgetExceeded):
        await branch(book(day=1_000, run=0), wait_seconds=1e9).hold(1_001)


async def test_a_refusal_gives_back_what_other_meters_had_given(branch):
    place = branch(book(day=10_000, run=500))
    with pytest.raises(BudgetExceeded, match="run/run"):
        await place.hold(600)
    assert all(held == 0 for _, held in place.teller.slices.totals().values())


async def test_one_that_holds_money_gives_it_to_one_that_lacks_it(branch, database):
    rich, poor = branch(book(day=64_000, run=0)), branch(book(day=64_000, run=0))
    held = await rich.hold(10_000)
    await rich.settle(held.id, 10)
    assert rich.teller.slices.totals()[day(rich).id][0] > 0
    with pytest.raises(BudgetExceeded):
        await poor.hold(63_000)
    await rich.keeper._beat()
    await poor.hold(63_000)
    await rich.writer.flush()
    assert meter_row(database, day(rich))[0] + meter_row(database, day(rich))[1] <= 64_000


async def test_a_debt_is_made_up_for_at_the_next_beat(branch, database):
    """A call that cost more than its worst case: the others must see at once that the money is gone."""
    place = branch(book(day=1_000, run=0))
    held = await place.hold(500)
    await place.settle(held.id, 620)
    await place.writer.flush()
    assert meter_row(database, day(place)) == (620, -120)
    await place.keeper._beat()
    assert meter_row(database, day(place)) == (620, 0)
    assert leased_to(database, place) == place.wholes() == {}


async def test_slices_are_topped_up_ahead_of_need(branch, database, clock):
    place = branch(book(day=6_400_000, run=0))
    for _ in range(40):
        for _ in range(10):
            held = await place.hold(100)
            await place.settle(held.id, 100)
        clock.at += 0.5
        await place.keeper._beat()
    free, _ = place.teller.slices.totals()[day(place).id]
    assert free > 10 * 2_000, "half a minute's spending is there before the database goes away"
    database.lost = 1.0
    for _ in range(150):
        held = await place.hold(100)
        await place.settle(held.id, 100)


# Leases that may have gone to others.


async def test_nothing_is_spent_after_a_silence_before_the_store_has_heard_of_us(branch, database, clock):
    place = branch(book(run=0))
    await place.hold(10)
    clock.at += LEASE_SECONDS + 0.1
    database.lost = 1.0
    with refused("has not heard of this process"):
        await place.hold(10)
    database.lost = 0.0
    await place.hold(10)
    assert place.teller.stands


async def test_within_its_lease_a_process_serves_without_the_store(branch, database, clock):
    place = branch(book(day=64_000, run=0))
    await place.hold(10)
    database.lost = 1.0
    clock.at += LEASE_SECONDS - 0.1
    await place.hold(10)


async def test_a_buried_process_spends_nothing_of_what_it_had(branch, database, clock):
    sleeper, other = branch(book(day=1_000, run=0)), branch(book(day=1_000, run=0))
    held = await sleeper.hold(15)
    await sleeper.settle(held.id, 5)
    await sleeper.writer.flush()
    clock.at += LEASE_SECONDS + 1
    database.transact(lambda c: bury(c, sleeper.name, 1.0))
    await other.hold(995)
    with refused("has not heard of this process"):
        await sleeper.hold(10)
    await sleeper.keeper._beat()
    await sleeper.keeper._beat()
    with pytest.raises(BudgetExceeded):
        await sleeper.hold(10)
    assert meter_row(database, day(other)) == (5, 995)


async def test_a_buried_process_is_leased_nothing(branch, database):
    place = branch(book(run=0))
    database.transact(lambda c: bury(c, place.name, 1.0))
    with refused("given up for dead"):
        await place.hold(10)
    assert leases(database) == {}


async def test_a_burial_while_a_grant_is_under_way_takes_it_back(branch, database):
    """The grant got through, then came the burial, then the answer: what it brought is void."""
    place = branch(book(run=0))
    await place.hold(10)
    gate = Gate(database, after=True)
    asking = asyncio.ensure_future(place.hold(5_000))
    await gate.reached()
    gate._real(lambda c: bury(c, place.name, 1.0))
    database.transact = gate._real
    await place.writer.rejoin()
    gate.lift()
    with refused("given up for dead"):
        await asking
    assert place.wholes() == {}
    assert leased_to(database, place) == {}
    await place.hold(10)
    assert place.wholes() == leased_to(database, place)


async def test_a_grant_that_comes_through_after_a_new_beginning_leases_nothing(branch, database):
    """It was asked for by the old slices; the process has new ones now."""
    place = branch(book(run=0))
    await place.hold(10)
    gate = Gate(database)
    asking = asyncio.ensure_future(place.hold(5_000))
    await gate.reached()
    gate._real(lambda c: bury(c, place.name, 1.0))
    database.transact = gate._real
    await place.writer.rejoin()
    assert database.transact(lambda c: processes.state_of(c, place.name)).state == "live"
    gate.lift()
    with refused("given up for dead"):
        await asking
    assert leased_to(database, place) == place.wholes() == {}


async def test_open_holds_of_a_buried_process_are_charged_once(branch, database):
    place = branch(book(run=0))
    first, second = await place.hold(100), await place.hold(60)
    await place.writer.flush()
    database.transact(lambda c: bury(c, place.name, 1.0))
    await place.writer.rejoin()
    third = await place.hold(30)
    await place.settle(first.id, 70)
    place.release(second.id)
    await place.settle(third.id, 20)
    await place.writer.flush()
    lines = {row["id"]: row["nanodollars"] for row in rows(database, "entry")}
    assert lines == {first.id: 100, second.id: 60, third.id: 20}
    assert meter_row(database, day(place))[0] == 180
    assert leased_to(database, place) == place.wholes()


async def test_a_process_is_not_given_up_while_the_database_is_away_from_all(branch, database, clock):
    places = [branch(book(run=0)) for _ in range(3)]
    for _ in range(20):
        clock.at += 0.5
        for place in places:
            await place.keeper._beat()
    database.lost = 1.0
    for _ in range(60):
        clock.at += 0.5
        for place in places:
            with pytest.raises(StoreUnavailable):
                await place.keeper._beat()
    database.lost = 0.0
    for _ in range(int(LEASE_SECONDS)):
        clock.at += 0.5
        for place in places[:2]:
            await place.keeper._beat()
    await places[2].keeper._beat()
    assert {row["state"] for row in rows(database, "process")} == {"live"}
    assert DAY_LIMIT > 0


async def test_a_tool_is_charged_once_though_its_limit_is_lowered_meanwhile(branch, database, monkeypatch):
    place = branch(book(day=640_000, run=0))
    asked = []
    real = place.teller._fetch

    def fetch(asks, slices):
        asked.append(asks)
        lower = msgspec.structs.replace(asks[0].meter, limit=100)
        slices.of(lower, place.clock.now())
        return real(asks, slices)

    monkeypatch.setattr(place.teller, "_fetch", fetch)
    async with asyncio.timeout(5):
        await place.tool("t1", 500)
    # What was asked for under the old limit goes back; under the new one the tool is charged past it.
    assert [ask.meter.limit for (ask,) in asked] == [640_000, 100]
    assert leased_to(database, place) == {day(place).id: 1_000}
    await place.keeper._beat()
    await place.writer.flush()
    assert leased_to(database, place) == {}
