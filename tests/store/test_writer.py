"""The writer: whatever the database does, every record arrives once."""

import asyncio
import contextlib
import random

import pytest

from trimtab.core.errors import StoreUnavailable
from trimtab.store import Writer, bury, processes, url_of
from trimtab.store import journal as journals
from trimtab.store import writer as writers
from trimtab.store.journal import Position

from .made import FlakyDatabase, call, count, entry, hold, leases, meter, meter_row, release, rows
from .test_meters import ask, enter


@pytest.fixture
def flaky(tmp_path, fresh_database):
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    database = FlakyDatabase(url_of("sqlite", tmp_path))
    enter(database, "p1", "p2")
    yield database
    database.close()


@pytest.fixture
def writer(flaky, journal, clock):
    return Writer(flaky, journal("p1"), "p1", clock, apply_seconds=0.005)


async def flushed(writer):
    """Flush until it is through."""
    for _ in range(500):
        try:
            await writer.flush()
        except StoreUnavailable:
            continue
        return
    raise AssertionError("never through")


def work_of(seed, limit, most=60):
    """Random records of one process: (record, closed ids)."""
    made, open_ids = [], []
    rng = random.Random(seed)
    for number in range(most):
        if open_ids and rng.random() < 0.6:
            id = open_ids.pop(rng.randrange(len(open_ids)))
            made.append(entry(id, rng.randrange(100), [limit]) if rng.random() < 0.8 else release(id))
            made.append(call(f"call-{id}"))
        else:
            id = f"{seed}-{number}"
            open_ids.append(id)
            made.append(hold(id, 100, [limit]))
        if rng.random() < 0.1:
            made.append(entry(f"tool-{rng.randrange(5)}", 7, [limit], kind="tool"))
    return made, open_ids


def expected(records):
    """(settled, calls, entries) once all is applied."""
    entries = {r.id: r.nanodollars for r in records if type(r).__name__ == "Entry"}
    return sum(entries.values()), sum(type(r).__name__ == "CallRecord" for r in records), set(entries)


@pytest.mark.parametrize("seed", range(20))
async def test_every_record_arrives_once_over_a_bad_line(writer, flaky, monkeypatch, seed):
    monkeypatch.setattr(journals, "_SEGMENT_BYTES", 4_000)
    monkeypatch.setattr(journals, "_CHUNK_RECORDS", 11)
    monkeypatch.setattr(writers, "_MOST_PENDING", 9)
    monkeypatch.setattr(writers, "_RETRY_SECONDS", 0.001)
    limit = meter(limit=1_000_000)
    ask(flaky, "p1", limit, need=500_000)
    records, still_open = work_of(seed, limit)
    flaky.random.seed(seed)
    flaky.lost, flaky.answers_lost = 0.3, 0.2
    running = asyncio.ensure_future(writer.run())
    rng = random.Random(seed)
    for record in records:
        writer.append(record)
        if rng.random() < 0.2:
            await asyncio.sleep(0.004)
    writer.stop()
    await running
    await flushed(writer)
    flaky.lost = flaky.answers_lost = 0.0
    settled, calls, entries = expected(records)
    tools = sum(r.nanodollars for r in records if type(r).__name__ == "Entry" and r.kind == "tool")
    assert {row["id"] for row in rows(flaky, "entry")} == entries
    assert count(flaky, "call") == calls
    assert {row["id"] for row in rows(flaky, "hold")} == set(still_open)
    assert meter_row(flaky, limit)[0] == settled
    # Repeated tool entries were paid out of the slice too; their money went back.
    assert leases(flaky)["p1", limit.id] == meter_row(flaky, limit)[1]
    assert meter_row(flaky, limit)[1] <= 500_000 - (settled - tools)
    assert writer.applied == writer.journal.position


async def test_rows_follow_within_the_configured_time(writer, flaky):
    running = asyncio.ensure_future(writer.run())
    writer.append(entry("a"))
    for _ in range(400):
        await asyncio.sleep(0.005)
        if count(flaky, "entry"):
            break
    else:
        raise AssertionError("no row came")
    writer.stop()
    await running


async def test_records_wait_in_the_file_while_the_database_is_away(writer, flaky, monkeypatch):
    monkeypatch.setattr(writers, "_MOST_PENDING", 50)
    flaky.lost = 1.0
    for number in range(200):
        writer.append(entry(f"e{number}"))
        if number == 10:
            with pytest.raises(StoreUnavailable):
                await writer.flush()
    assert len(writer._pending) < 50
    flaky.lost = 0.0
    await writer.flush()
    assert count(flaky, "entry") == 200
    assert writer._behind is False


async def test_a_full_memory_goes_over_to_the_file(writer, flaky, monkeypatch):
    monkeypatch.setattr(writers, "_MOST_PENDING", 20)
    for number in range(50):
        writer.append(entry(f"e{number}"))
    assert writer._pending == []
    await writer.flush()
    writer.append(entry("last"))
    await writer.flush()
    assert count(flaky, "entry") == 51


async def test_catching_up_ends_at_a_fresh_segment(writer, flaky, monkeypatch):
    """A rotation with nothing behind it must not look like something still to come."""
    monkeypatch.setattr(journals, "_SEGMENT_BYTES", 1)
    flaky.lost = 1.0
    writer.append(entry("a"))
    with pytest.raises(StoreUnavailable):
        await writer.flush()
    flaky.lost = 0.0
    await asyncio.wait_for(writer.flush(), 10)
    assert writer.applied == writer.journal.position == Position(2, 0)


async def test_a_flush_does_not_run_after_what_comes_later(writer, flaky):
    """Under load it ends; it is not kept up by others' appends."""
    stop = asyncio.Event()

    async def others():
        number = 0
        while not stop.is_set():
            writer.append(entry(f"o{number}"))
            number += 1
            await asyncio.sleep(0)

    busy = asyncio.ensure_future(others())
    writer.append(entry("mine"))
    await asyncio.wait_for(writer.flush(), 10)
    stop.set()
    await busy
    assert "mine" in {row["id"] for row in rows(flaky, "entry")}


async def test_applied_segments_are_deleted(writer, flaky, monkeypatch):
    monkeypatch.setattr(journals, "_SEGMENT_BYTES", 1_000)
    for number in range(50):
        writer.append(entry(f"e{number}"))
    await writer.flush()
    assert len(list(writer.journal.folder.glob("*.log"))) == 1


async def test_an_unexpected_failure_is_tried_again_and_kills_nothing(writer, flaky, monkeypatch, caplog):
    monkeypatch.setattr(writers, "_RETRY_SECONDS", 0.005)
    real, failures = flaky.transact, []

    def transact(work):
        if len(failures) < 3:
            failures.append(1)
            raise ValueError("a poisoned row")
        return real(work)

    monkeypatch.setattr(flaky, "transact", transact)
    running = asyncio.ensure_future(writer.run())
    writer.append(entry("a"))
    for _ in range(400):
        await asyncio.sleep(0.005)
        if writer.applied == writer.journal.position:
            break
    assert not running.done()
    writer.stop()
    await running
    assert count(flaky, "entry") == 1
    assert "cannot be applied" in caplog.text


async def test_a_cancelled_apply_loses_nothing(writer, flaky):
    writer.append(entry("a"))
    flushing = asyncio.ensure_future(writer.flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    flushing.cancel()
    await asyncio.gather(flushing, return_exceptions=True)
    writer.append(entry("b"))
    await flushed(writer)
    assert {row["id"] for row in rows(flaky, "entry")} == {"a", "b"}
    assert count(flaky, "entry") == 2


async def test_work_of_others_sees_everything_appended_before_it(writer, flaky):
    seen = []
    writer.append(entry("a"))

    def look():
        at = writer.journal.position
        return lambda connection: seen.append((at, processes.state_of(connection, "p1").applied))

    assert await writer.apply_with(look)
    assert seen[0][0] == seen[0][1]
    assert await writer.apply_with(look)


async def test_work_of_others_has_its_chance_after_a_failure_of_its_own(writer, flaky):
    """Nothing was appended meanwhile, so nothing is there to catch up with."""
    flaky.lost = 1.0
    with pytest.raises(StoreUnavailable):
        await writer.apply_with(lambda: lambda connection: None)
    flaky.lost = 0.0
    assert await writer.apply_with(lambda: lambda connection: None)


# Given up for dead, and back again.


def bury_p1(flaky):
    flaky.transact(lambda c: bury(c, "p1", 5.0))


async def test_a_buried_process_begins_anew_with_nothing_leased(writer, flaky):
    limit = meter(limit=1_000)
    ask(flaky, "p1", limit, need=500)
    told = []
    writer.on_fenced = lambda: told.append(writer.journal.position)
    writer.append(hold("a", 100, [limit]))
    await writer.flush()
    bury_p1(flaky)
    assert meter_row(flaky, limit) == (100, 0)
    writer.append(entry("a", 70, [limit]))
    writer.append(hold("b", 60, [limit]))
    writer.append(entry("b", 10, [limit]))
    writer.append(hold("c", 50, [limit]))
    await writer.flush()
    assert len(told) == 1
    assert leases(flaky) == {}
    assert {row["id"]: row["nanodollars"] for row in rows(flaky, "entry")} == {"a": 100, "b": 10}
    assert meter_row(flaky, limit) == (110, 0)
    ask(flaky, "p1", limit, need=200)
    writer.append(entry("c", 5, [limit]))
    writer.append(hold("d", 40, [limit]))
    writer.append(entry("d", 30, [limit]))
    await writer.flush()
    assert meter_row(flaky, limit) == (145, 170)
    assert leases(flaky) == {("p1", limit.id): 170}
    assert count(flaky, "hold") == 0


async def test_an_idle_process_is_taken_up_again_by_its_beat(writer, flaky):
    bury_p1(flaky)
    await writer.rejoin()
    flaky.transact(lambda c: processes.beat(c, "p1", 6.0))
    told = []
    writer.on_fenced = lambda: told.append(1)
    await writer.rejoin()
    assert told == [], "a live process has nothing to begin anew"


@pytest.mark.parametrize("seed", range(20))
async def test_burials_over_a_bad_line_charge_everything_once(writer, flaky, monkeypatch, seed):
    """Buried again and again, with many records not yet applied: sums stay right and no lease is touched twice."""
    monkeypatch.setattr(journals, "_SEGMENT_BYTES", 4_000)
    monkeypatch.setattr(journals, "_CHUNK_RECORDS", 7)
    limit = meter(limit=10_000_000)
    ask(flaky, "p2", limit, need=1)
    records, still_open = work_of(seed, limit, most=120)
    rng = random.Random(seed)
    anew = []
    writer.on_fenced = lambda: anew.append(1)
    for number, record in enumerate(records):
        writer.append(record)
        if rng.random() < 0.15:
            flaky.lost, flaky.answers_lost = 0.2, 0.2
            with contextlib.suppress(StoreUnavailable):
                await writer.flush()
            flaky.lost = flaky.answers_lost = 0.0
        if number % 40 == 20:
            bury_p1(flaky)
    flaky.lost, flaky.answers_lost = 0.2, 0.2
    await flushed(writer)
    flaky.lost = flaky.answers_lost = 0.0
    assert len(anew) >= 2
    lines = {row["id"]: row for row in rows(flaky, "entry")}
    told = {r.id: r.nanodollars for r in records if type(r).__name__ == "Entry"}
    held = {r.id for r in records if type(r).__name__ == "Hold"}
    assert set(told) <= set(lines)
    for id, line in lines.items():
        if line["certainty"] == "worst_case":
            assert id in held
        else:
            assert line["nanodollars"] == told[id]
    settled, leased = meter_row(flaky, limit)
    assert settled == sum(line["nanodollars"] for line in lines.values())
    assert count(flaky, "call") == sum(type(r).__name__ == "CallRecord" for r in records)
    assert {row["id"] for row in rows(flaky, "hold")} <= set(still_open)
    # This writer leased nothing; what its entries took from leases is what came after the last burial.
    assert -leased <= sum(told.values())


async def test_a_process_buried_far_behind_takes_nothing_from_its_new_leases(writer, flaky, monkeypatch):
    """More than a chunk was not applied when it was buried; all of that had been leased before."""
    monkeypatch.setattr(journals, "_CHUNK_RECORDS", 5)
    limit = meter(limit=1_000_000)
    ask(flaky, "p1", limit, need=100_000)
    flaky.lost = 1.0
    for number in range(40):
        writer.append(hold(f"h{number}", 100, [limit]))
        writer.append(entry(f"h{number}", 70, [limit]))
    with pytest.raises(StoreUnavailable):
        await writer.flush()
    flaky.lost = 0.0
    bury_p1(flaky)
    assert meter_row(flaky, limit) == (0, 0)
    await writer._apply()
    ask(flaky, "p1", limit, need=1_000)
    for number in range(5):
        writer.append(hold(f"n{number}", 100, [limit]))
        writer.append(entry(f"n{number}", 50, [limit]))
    await writer.flush()
    assert meter_row(flaky, limit) == (40 * 70 + 5 * 50, 1_000 - 250)
    assert leases(flaky) == {("p1", limit.id): 750}


async def test_a_rejoin_whose_answer_is_lost_is_not_done_twice(writer, flaky, monkeypatch):
    limit = meter(limit=1_000)
    told = []
    writer.on_fenced = lambda: told.append(1)
    writer.append(hold("a", 100, [limit]))
    await writer.flush()
    bury_p1(flaky)
    writer.append(entry("a", 70, [limit]))
    real, calls = flaky.transact, []

    def transact(work):
        done = real(work)
        calls.append(1)
        if len(calls) == 1:
            raise StoreUnavailable("the line broke before the answer came")
        return done

    monkeypatch.setattr(flaky, "transact", transact)
    with pytest.raises(StoreUnavailable):
        await writer.flush()
    await writer.flush()
    assert told == [1]
    assert rows(flaky, "process")[0]["state"] == "live"
    assert count(flaky, "entry") == 1


async def test_a_process_that_crashes_after_it_began_anew_is_recovered(writer, flaky, journal, tmp_path):
    """Its successor does not know of the fence: nothing it finds is taken from a lease."""
    from trimtab.store import recover_journals

    limit = meter(limit=10_000)
    ask(flaky, "p1", limit, need=5_000)
    writer.append(hold("a", 100, [limit]))
    await writer.flush()
    writer.append(hold("b", 60, [limit]))
    bury_p1(flaky)
    await writer.flush()
    ask(flaky, "p1", limit, need=1_000)
    writer.append(entry("a", 70, [limit]))
    writer.append(entry("b", 10, [limit]))
    writer.append(hold("c", 50, [limit]))
    writer.journal.close()
    recover_journals(flaky, tmp_path / "journal", 9.0)
    assert {row["id"]: row["nanodollars"] for row in rows(flaky, "entry")} == {"a": 100, "b": 10, "c": 50}
    assert meter_row(flaky, limit) == (160, 0)
    assert leases(flaky) == {}


async def test_a_journal_that_is_too_long_for_memory_is_read_in_parts(writer, flaky, monkeypatch):
    monkeypatch.setattr(journals, "_CHUNK_BYTES", 2_000)
    sizes = []
    real = writers.read_chunk

    def read(*args):
        records, upto = real(*args)
        sizes.append(len(records))
        return records, upto

    monkeypatch.setattr(writers, "read_chunk", read)
    flaky.lost = 1.0
    writer.append(entry("first"))
    with pytest.raises(StoreUnavailable):
        await writer.flush()
    for number in range(60):
        writer.append(entry(f"e{number}"))
    flaky.lost = 0.0
    await writer.flush()
    assert count(flaky, "entry") == 61
    assert max(sizes) < 20
