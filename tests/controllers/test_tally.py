"""Counts: none lost, whoever counts and whatever the database does."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from trimtab.controllers import WHOLE, Answer, Decided, Host, Tally
from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, migrate, tallies, url_of

from .tiny import Hesitant, manifest


@pytest.fixture
def database(tmp_path, fresh_database):
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    opened = Database(url_of("sqlite", tmp_path))
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def host():
    with ThreadPoolExecutor(1) as pool:
        yield Host(manifest("classify"), lambda questions: [], pool)


YES = Decided(Answer("", "", "classify", "yes", 0.995, False), "inputs", "said")


def total(database):
    rows = database.read(tallies.everything)
    return sum(row.decided for row in rows if row.option == WHOLE), sum(row.judged for row in rows)


async def test_many_threads_count_while_it_is_flushed(database, host, monkeypatch):
    monkeypatch.setattr("trimtab.controllers.tally.Counter", Hesitant)
    tally = Tally(database)
    begun = threading.Barrier(5)

    def count():
        begun.wait(5)
        for _ in range(500):
            tally.judged(host, "served", "yes", tally.decided(host, "served", YES), agreed=True)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for each in threads:
        each.start()
    await asyncio.to_thread(begun.wait, 5)
    while any(each.is_alive() for each in threads):
        await tally.flush()
    await tally.flush()
    assert total(database) == (2_000, 2_000)


async def test_what_could_not_be_written_is_kept(database, host, monkeypatch):
    tally = Tally(database)
    tally.decided(host, "served", YES)

    async def away(work, seconds=0.0):
        tally.decided(host, "served", YES)
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(database, "run", away)
        with pytest.raises(StoreUnavailable):
            await tally.flush()
    await tally.flush()
    assert total(database)[0] == 2


async def test_a_flush_that_is_cut_off_loses_nothing(database, host, monkeypatch):
    tally = Tally(database)
    tally.decided(host, "served", YES)

    async def hangs(work, seconds=0.0):
        await asyncio.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(database, "run", hangs)
        flush = asyncio.ensure_future(tally.flush())
        await asyncio.sleep(0)
        flush.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flush
    await tally.flush()
    assert total(database)[0] == 1


async def test_what_was_never_decided_is_no_abstention(database, host):
    tally = Tally(database)
    tally.decided(host, "served", host.pass_over("it rests"))
    await tally.flush()
    assert total(database) == (0, 0)
