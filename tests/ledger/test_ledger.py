"""The ledger: holds and entries are durable when their methods return, or nothing has happened."""

import asyncio
import errno
import threading

import pytest

from store.made import leases, meter_row, rows
from trimtab.core import Entry, Hold, Release, Usage
from trimtab.core.errors import BudgetExceeded, LedgerUnavailable, RateLimited
from trimtab.store import journal as journals
from trimtab.store.journal import Position, read_journal

from .bank import RUN_LIMIT, book, rate, who


def written(place):
    return [record for record, _ in read_journal(place.journal.folder, Position())]


def day(place):
    return place.ledger.meters(who(), place.clock.now())[0]


class FullDisk:
    """Makes appends fail, from the time it is switched on; it can let some through first."""

    def __init__(self, monkeypatch, place):
        self.on, self.refuses = False, lambda record: True
        real = place.journal.append

        def append(record):
            if self.on and self.refuses(record):
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(record)

        monkeypatch.setattr(place.journal, "append", append)


async def test_a_hold_and_its_entry_are_in_the_journal_when_their_methods_return(branch):
    place = branch()
    held = await place.hold(100)
    assert written(place) == [held]
    entry = await place.settle(held.id, 70)
    assert written(place) == [held, entry]
    assert (entry.id, entry.nanodollars, entry.certainty) == (held.id, 70, "exact")
    assert {charge.amount for charge in entry.charges} == {70}
    assert {charge.meter for charge in entry.charges} == {charge.meter for charge in held.charges}


async def test_an_entry_says_whose_it_is(branch):
    place = branch()
    caller = who("run-9", workflow="lookup", step="plan", key="k1")
    held = await place.ledger.hold("a", "call-a", caller, (), "main", "small", 5)
    usage = Usage(input_tokens=3, output_tokens=2)
    entry = await place.ledger.settle(held, 4, usage, "estimated", reason="why", upstream_nanodollars=9)
    assert (entry.tenant, entry.run, entry.user, entry.workflow, entry.step, entry.key) == (
        "acme", "run-9", "ada", "lookup", "plan", "k1",
    )  # fmt: skip
    assert (entry.call, entry.endpoint, entry.model, entry.kind) == ("call-a", "main", "small", "model")
    assert (entry.usage, entry.reason, entry.upstream_nanodollars) == (usage, "why", 9)


async def test_settling_twice_is_settling_once(branch, database):
    place = branch()
    held = await place.hold(100)
    for amount in (70, 90):
        await place.ledger.settle(held, amount, Usage(), "exact")
    place.ledger.release(held, "too late")
    await place.writer.flush()
    assert meter_row(database, day(place))[0] == 70
    assert [type(record) for record in written(place)] == [Hold, Entry]


async def test_a_release_gives_the_whole_hold_back(branch, database):
    place = branch()
    held = await place.hold(100)
    free, _ = place.teller.slices.totals()[day(place).id]
    place.release(held.id)
    assert place.teller.slices.totals()[day(place).id] == (free + 100, 0)
    assert place.ledger.open_holds == 0
    await place.writer.flush()
    assert rows(database, "entry") == []
    assert rows(database, "hold") == []


async def test_a_call_without_budgets_needs_no_lease(branch, database):
    place = branch()
    held = await place.ledger.hold("a", "call-a", who(), (), "main", "small", 10**12)
    await place.ledger.settle(held, 10**12, Usage(), "exact")
    assert rows(database, "meter") == []


async def test_a_refused_hold_leaves_nothing(branch):
    place = branch(book(day=50, run=0))
    with pytest.raises(BudgetExceeded):
        await place.hold(51)
    assert written(place) == []
    assert place.ledger.open_holds == 0


async def test_money_is_never_passed_by_concurrent_calls(branch, database):
    place = branch(book(day=10_000, run=0))
    answers = await asyncio.gather(*[place.hold(170) for _ in range(100)], return_exceptions=True)
    held = [each for each in answers if isinstance(each, Hold)]
    assert len(held) == 10_000 // 170
    assert all(isinstance(each, BudgetExceeded) for each in answers if not isinstance(each, Hold))
    for each in held:
        await place.settle(each.id, 170)
    await place.writer.flush()
    settled, leased = meter_row(database, day(place))
    assert settled == 170 * len(held)
    assert settled + leased <= 10_000


async def test_a_call_over_midnight_is_charged_to_the_day_it_began_in(branch, database, clock):
    place = branch(book(day=1_000, run=0))
    clock.at = 1_700_006_399.0  # 2023-11-14T23:59:59Z
    yesterday = day(place)
    over = await place.hold(900)
    clock.at += 2
    today = day(place)
    assert yesterday.id != today.id
    held = await place.hold(800)
    await place.settle(over.id, 600)
    await place.settle(held.id, 300)
    await place.writer.flush()
    assert meter_row(database, yesterday)[0] == 600
    assert meter_row(database, today)[0] == 300
    clock.at += 40
    await place.keeper._beat()
    assert meter_row(database, yesterday) == (600, 0)


# The journal cannot be written.


async def test_a_full_disk_refuses_holds_and_keeps_no_money(branch, monkeypatch):
    place = branch()
    disk = FullDisk(monkeypatch, place)
    disk.on = True
    with pytest.raises(LedgerUnavailable, match="cannot be written") as refused:
        await place.hold(100)
    assert refused.value.retry_after_seconds
    assert all(held == 0 for _, held in place.teller.slices.totals().values())
    assert place.ledger.open_holds == 0


async def test_an_entry_that_cannot_be_written_leaves_its_hold_open(branch, database, monkeypatch):
    """Its money is not given back: when the process ends, the hold is charged as worst case."""
    place = branch(book(day=1_000, run=0))
    disk = FullDisk(monkeypatch, place)
    held = await place.hold(600)
    before = place.teller.slices.totals()
    disk.on = True
    with pytest.raises(LedgerUnavailable):
        await place.ledger.settle(held, 10, Usage(), "exact")
    assert place.teller.slices.totals() == before
    assert place.ledger.open_holds == 1
    disk.on = False
    with pytest.raises(BudgetExceeded):
        await place.hold(500)
    await place.close()
    branch()
    (line,) = rows(database, "entry")
    assert (line["nanodollars"], line["certainty"]) == (600, "worst_case")
    assert meter_row(database, day(place)) == (600, 0)


async def test_a_release_that_cannot_be_written_leaves_its_hold_open(branch, monkeypatch, caplog):
    place = branch()
    disk = FullDisk(monkeypatch, place)
    held = await place.hold(600)
    disk.on = True
    place.ledger.release(held, "refused")
    assert place.ledger.open_holds == 1
    assert "stays open" in caplog.text
    disk.on = False
    place.ledger.release(held, "refused")
    assert place.ledger.open_holds == 0


async def test_a_tool_that_cannot_be_written_is_not_charged(branch, monkeypatch):
    place = branch()
    disk = FullDisk(monkeypatch, place)
    disk.on = True
    with pytest.raises(LedgerUnavailable):
        await place.tool("t1", 30)
    disk.on = False
    totals = place.teller.slices.totals()
    assert all(held == 0 for _, held in totals.values())
    await place.writer.flush()
    assert sum(leases(place.database).values()) == sum(free for free, _ in totals.values())


# Durable on disk.


async def test_concurrent_calls_share_fsyncs(branch, monkeypatch):
    place = branch(book(day=10_000_000, run=0), durability="disk")
    syncs = []
    real = journals.os.fsync
    monkeypatch.setattr(journals.os, "fsync", lambda file: (syncs.append(file), real(file))[1])

    async def call():
        held = await place.hold(100)
        await place.settle(held.id, 70)

    await asyncio.gather(*[call() for _ in range(200)])
    assert 2 <= len(syncs) < 100, "400 records were made durable"
    assert len(written(place)) == 400


async def test_a_hold_is_on_disk_before_it_is_told(branch, monkeypatch):
    place = branch(durability="disk")
    gate = threading.Event()
    real = journals.os.fsync
    monkeypatch.setattr(journals.os, "fsync", lambda file: (gate.wait(10), real(file))[1])
    holding = asyncio.ensure_future(place.hold(100))
    while not written(place):
        await asyncio.sleep(0.01)
    assert not holding.done()
    gate.set()
    await holding


async def test_a_client_that_leaves_while_its_hold_goes_to_disk_is_charged_nothing(
    branch, database, monkeypatch
):
    place = branch(durability="disk")
    gate = threading.Event()
    real = journals.os.fsync
    monkeypatch.setattr(journals.os, "fsync", lambda file: (gate.wait(10), real(file))[1])
    holding = asyncio.ensure_future(place.hold(100))
    while not written(place):
        await asyncio.sleep(0.01)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    gate.set()
    assert place.ledger.open_holds == 0
    assert all(held == 0 for _, held in place.teller.slices.totals().values())
    assert [type(record) for record in written(place)] == [Hold, Release]
    await place.close()
    assert rows(database, "entry") == []


async def test_a_disk_that_fails_to_sync_refuses_holds(branch, database, monkeypatch):
    place = branch(durability="disk")

    def fail(file):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(journals.os, "fsync", fail)
    with pytest.raises(LedgerUnavailable):
        await place.hold(100)
    assert place.ledger.open_holds == 0
    await place.writer.flush()
    assert rows(database, "hold") == []


# Tools and compute.


async def test_a_tool_is_charged_to_the_slice_and_past_the_limit_if_it_must_be(branch, database):
    place = branch(book(day=100, run=0))
    await place.tool("t1", 40)
    await place.tool("t2", 90)
    await place.writer.flush()
    settled, leased = meter_row(database, day(place))
    assert settled == 130
    assert leased == sum(place.wholes().values())
    with pytest.raises(BudgetExceeded):
        await place.hold(1)


async def test_a_tool_counts_before_the_calls_that_follow(branch):
    place = branch(book(day=100, run=0))
    await place.hold(1)
    await place.tool("t1", 60)
    with pytest.raises(BudgetExceeded):
        await place.hold(50)


async def test_a_repeated_tool_costs_nothing(branch, database):
    first, second = branch(book(day=1_000, run=0)), branch(book(day=1_000, run=0))
    for place in (first, second, first):
        await place.tool("t1", 40)
        await place.writer.flush()
    assert meter_row(database, day(first))[0] == 40
    for place in (first, second):
        mine = {
            meter: amount
            for (name, meter), amount in leases(database).items()
            if name == place.name and amount
        }
        assert mine == place.wholes()
    await first.hold(900)


async def test_concurrent_tools_and_calls_leave_no_debt_in_memory(branch, database):
    place = branch(book(day=2_000, run=0))
    work = [place.tool(f"t{number}", 30) for number in range(30)] + [place.hold(50) for _ in range(30)]
    await asyncio.gather(*work, return_exceptions=True)
    assert all(free >= 0 for free, _ in place.teller.slices.totals().values())
    await place.writer.flush()
    settled, leased = meter_row(database, day(place))
    assert settled == 900
    assert settled + leased <= 2_000


async def test_a_tool_waits_for_no_database_that_is_away(branch, database):
    place = branch(book(day=1_000, run=0))
    database.lost = 1.0
    with pytest.raises(LedgerUnavailable):
        await place.tool("t1", 40)
    assert all(held == 0 for _, held in place.teller.slices.totals().values())
    assert written(place) == []


async def test_what_costs_nothing_asks_nobody(branch, database):
    place = branch(book(day=1_000, run=0))
    database.lost = 1.0
    entry = await place.tool("t1", 0)
    assert entry.nanodollars == 0


# Rates.


async def test_requests_above_the_rate_are_refused_until_the_minute_is_over(branch, clock):
    place = branch(book(run=0, rates=[rate(requests=3)]))
    for _ in range(3):
        await place.ledger.admit_rates(who(), 10)
    with pytest.raises(RateLimited) as refused:
        await place.ledger.admit_rates(who(), 10)
    assert 1 <= refused.value.retry_after_seconds <= 60
    clock.at += refused.value.retry_after_seconds
    await place.ledger.admit_rates(who(), 10)


async def test_the_estimate_of_tokens_is_replaced_by_what_was_used(branch):
    place = branch(book(run=0, rates=[rate(tokens=1_000)]))
    taken = await place.ledger.admit_rates(who(), 900)
    with pytest.raises(RateLimited):
        await place.ledger.admit_rates(who(), 200)
    place.ledger.finish_rates(taken, 100)
    await place.ledger.admit_rates(who(), 900)


async def test_a_request_is_one_request_whatever_it_used(branch):
    place = branch(book(run=0, rates=[rate(requests=2, tokens=10_000)]))
    for _ in range(2):
        place.ledger.finish_rates(await place.ledger.admit_rates(who(), 10), 5_000)
    with pytest.raises(RateLimited, match="requests"):
        await place.ledger.admit_rates(who(), 10)


async def test_a_refused_rate_takes_nothing_from_the_others(branch):
    place = branch(book(run=0, rates=[rate(requests=100, tokens=50)]))
    await place.ledger.admit_rates(who(), 40)
    with pytest.raises(RateLimited):
        await place.ledger.admit_rates(who(), 40)
    held = {meter.split("|")[0]: held for meter, (_, held) in place.teller.slices.totals().items()}
    assert held == {"tenant/requests": 1, "tenant/tokens": 40}


async def test_rates_go_on_while_the_database_is_away_and_lease_nothing_that_is_not_there(
    branch, database, clock
):
    place = branch(book(run=0, rates=[rate(requests=10)]))
    place.teller.sharers = 2
    database.lost = 1.0
    for _ in range(5):
        await place.ledger.admit_rates(who(), 1)
    with pytest.raises(RateLimited):
        await place.ledger.admit_rates(who(), 1)
    database.lost = 0.0
    clock.at += 50
    for _ in range(4):
        clock.at += 0.5
        await place.keeper._beat()
    assert all(row["leased"] >= 0 for row in rows(database, "meter"))


async def test_rates_taken_before_a_new_beginning_are_not_given_to_the_new_slices(branch):
    place = branch(book(run=0, rates=[rate(requests=10, tokens=1_000)]))
    taken = await place.ledger.admit_rates(who(), 100)
    place.teller.forget()
    await place.ledger.admit_rates(who(), 10)
    place.ledger.finish_rates(taken, 50)
    assert all(held >= 0 for _, held in place.teller.slices.totals().values())
    assert place.teller.slices.totals() != {}


async def test_what_remains_is_the_least_of_all_meters(branch):
    place = branch(book(day=10_000, run=3_000))
    meters = place.ledger.meters(who(), place.clock.now())
    assert place.ledger.remaining(()) is None
    assert place.ledger.remaining(meters) == 3_000
    held = await place.hold(500)
    await place.settle(held.id, 400)
    assert place.ledger.remaining(meters) == 2_600


async def test_what_a_run_needs_is_required_of_every_budget_and_set_aside_nowhere(branch):
    place = branch()
    assert await place.ledger.require(who(), RUN_LIMIT) is None
    with pytest.raises(
        BudgetExceeded, match=r"budget run/run is exhausted .* a run of this workflow may need"
    ):
        await place.ledger.require(who(), RUN_LIMIT + 1)
    await place.hold(400, id="one")
    await place.settle("one", 400)
    await place.writer.flush()
    assert await place.ledger.require(who(), RUN_LIMIT - 400) is None
    with pytest.raises(BudgetExceeded) as refused:
        await place.ledger.require(who(), RUN_LIMIT - 399)
    assert (refused.value.limit, refused.value.spent) == (RUN_LIMIT, 400)
    assert await place.ledger.require(who("another"), RUN_LIMIT) is None
    assert sum(amount for _, amount in place.teller.slices.totals().values()) == 0


async def test_what_a_run_needs_cannot_be_seen_while_the_store_is_away(branch, database):
    place = branch()
    database.lost = 1.0
    with pytest.raises(LedgerUnavailable, match="while the database is away"):
        await place.ledger.require(who(), 1)
