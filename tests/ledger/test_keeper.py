"""The keeper: beats, burials, sweeps; nothing stops its heart."""

import asyncio

import pytest

from store.made import count, entry, leases, rows
from trimtab.ledger import keeper as keepers
from trimtab.store import Journal, bury, processes

from .bank import LEASE_SECONDS, book


async def beats(places, clock, seconds):
    for _ in range(int(seconds * 2)):
        clock.at += 0.5
        for place in places:
            await place.keeper._beat()


async def test_a_beat_renews_the_lease_and_counts_the_living(branch, clock):
    first, _second = branch(), branch()
    clock.at += LEASE_SECONDS + 1
    assert not first.teller.stands
    await first.keeper._beat()
    assert first.teller.stands
    assert first.teller.sharers == 2


async def test_a_silent_process_is_settled_and_its_slice_comes_back(branch, database, clock):
    silent, other = branch(book(day=1_000, run=0)), branch(book(day=1_000, run=0))
    held = await silent.hold(300)
    await silent.writer.flush()
    await beats([other], clock, LEASE_SECONDS + 2)
    (line,) = rows(database, "entry")
    assert (line["id"], line["nanodollars"], line["certainty"]) == (held.id, 300, "worst_case")
    assert leases(database) == {}
    await other.hold(700)


async def test_a_process_that_beats_is_never_buried(branch, database, clock):
    places = [branch(), branch()]
    await beats(places, clock, 5 * LEASE_SECONDS)
    assert {row["state"] for row in rows(database, "process")} == {"live"}


async def test_a_process_whose_clock_is_wrong_is_left_alone(branch, database, clock):
    """Another machine's clock is an hour behind: its beats change, so it lives."""
    here, there = branch(), branch()
    for number in range(int(4 * LEASE_SECONDS)):
        clock.at += 0.5
        await here.keeper._beat()
        late = clock.at - 3_600 + number
        database.transact(lambda c, late=late: processes.beat(c, there.name, late))
    assert {row["state"] for row in rows(database, "process")} == {"live"}


async def test_a_fenced_beat_begins_anew(branch, database, clock):
    place = branch()
    database.transact(lambda c: bury(c, place.name, 1.0))
    before = place.teller.slices
    await place.keeper._beat()
    assert place.teller.slices is not before
    await place.keeper._beat()
    assert {row["state"] for row in rows(database, "process")} == {"live"}


async def test_unused_slices_go_back_after_a_while(branch, database, clock):
    place = branch()
    held = await place.hold(10)
    await place.settle(held.id, 5)
    await place.writer.flush()
    await beats([place], clock, 29)
    assert leases(database) != {}
    await beats([place], clock, 3)
    assert leases(database) == {}
    assert all(row["leased"] == 0 for row in rows(database, "meter"))


async def test_a_sweep_takes_up_what_the_dead_left(branch, database, tmp_path):
    place = branch()
    database.transact(lambda c: processes.enter(c, "gone", "host", 1, 1.0))
    j = Journal(tmp_path / "journal" / "gone")
    j.append(entry("a"))
    j.close()
    await place.keeper._sweep()
    assert count(database, "entry") == 1


async def test_no_failure_stops_the_heart(branch, database, monkeypatch, caplog):
    monkeypatch.setattr(keepers, "_BEAT_SECONDS", 0.005)
    place = branch()
    real, times = database.transact, []

    def transact(work):
        times.append(1)
        if len(times) in (1, 3):
            raise ValueError("something nobody thought of")
        return real(work)

    monkeypatch.setattr(database, "transact", transact)
    running = asyncio.ensure_future(place.keeper.run())
    while len(times) < 8:
        assert not running.done()
        await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "background work failed" in caplog.text


async def test_a_sweep_that_takes_long_does_not_hold_up_the_beats(branch, monkeypatch):
    import threading

    monkeypatch.setattr(keepers, "_BEAT_SECONDS", 0.01)
    monkeypatch.setattr(keepers, "_SWEEP_SECONDS", 0.01)
    gate, swept = threading.Event(), threading.Event()

    def slow(*_):
        swept.set()
        gate.wait(20)

    monkeypatch.setattr(keepers, "recover_journals", slow)
    place = branch()
    renewed = []
    monkeypatch.setattr(place.teller, "renew", lambda at: renewed.append(at))
    running = asyncio.ensure_future(place.keeper.run())
    assert await asyncio.to_thread(swept.wait, 10)
    before = len(renewed)
    for _ in range(500):
        await asyncio.sleep(0.01)
        if len(renewed) > before + 5:
            break
    else:
        pytest.fail("no beat while the sweep ran")
    gate.set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
