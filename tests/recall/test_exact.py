"""The exact cache: the same request of the same tenant, for a while, from memory or from the store."""

import asyncio
import errno
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.made import FlakyDatabase, Hands, rows
from trimtab.recall import ExactRecall, exact
from trimtab.store import Journal, Writer, processes, recalls, url_of


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def database(tmp_path, fresh_database):
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    opened = FlakyDatabase(url_of("sqlite", tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def recall(tmp_path, database, clock):
    """Makes caches, each of a process of its own."""
    writers = []

    def make():
        name = f"p{len(writers)}"
        database.transact(lambda c: processes.enter(c, name, "host", 1, 1.0))
        writers.append(Writer(database, Journal(tmp_path / "journal" / name), name, clock, 0.1))
        return ExactRecall(database, writers[-1], clock)

    yield make
    for writer in writers:
        writer.journal.close()


async def test_what_is_kept_is_found_until_its_time_is_over(recall, clock):
    cache = recall()
    cache.keep("acme", "d1", "small", b"{}", 10)
    found = await cache.find("acme", "d1")
    assert (found.reply, found.model) == (b"{}", "small")
    clock.at += 10
    assert await cache.find("acme", "d1") is None


async def test_tenants_do_not_see_each_others_replies(recall):
    cache = recall()
    cache.keep("acme", "d1", "small", b"{}", 10)
    assert await cache.find("beta", "d1") is None


async def test_another_process_finds_it_in_the_store(recall, database):
    first, second = recall(), recall()
    first.keep("acme", "d1", "small", b"{}", 10)
    await first._writer.flush()
    assert (await second.find("acme", "d1")).reply == b"{}"
    database.lost = 1.0
    assert (await second.find("acme", "d1")).reply == b"{}", "now it is in memory too"


async def test_a_newer_reply_of_another_process_is_found_when_ones_own_is_too_old(recall, clock):
    first, second = recall(), recall()
    first.keep("acme", "d1", "small", b"old", 10)
    clock.at += 11
    second.keep("acme", "d1", "small", b"new", 10)
    await second._writer.flush()
    assert (await first.find("acme", "d1")).reply == b"new"


async def test_a_database_that_is_away_or_hangs_is_a_miss(recall, database, monkeypatch):
    cache = recall()
    database.lost = 1.0
    assert await cache.find("acme", "d1") is None
    database.lost = 0.0
    monkeypatch.setattr(exact, "_FIND_SECONDS", 0.01)
    gate, real = threading.Event(), database.transact
    database.transact = lambda work: (gate.wait(10), real(work))[1]
    assert await asyncio.wait_for(cache.find("acme", "d1"), 5) is None
    gate.set()


async def test_a_reply_that_cannot_be_written_is_not_kept(recall, monkeypatch, caplog):
    cache = recall()

    def full(record):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache._writer.journal, "append", full)
    cache.keep("acme", "d1", "small", b"{}", 10)
    assert await cache.find("acme", "d1") is None
    assert "not kept" in caplog.text


async def test_memory_is_bounded_in_number_and_in_bytes(recall, monkeypatch):
    monkeypatch.setattr(exact, "_MOST_KEPT", 5)
    monkeypatch.setattr(exact, "_MOST_BYTES", 100)
    cache = recall()
    for number in range(20):
        cache.keep("acme", f"d{number}", "small", b"x" * 10, 10)
    assert list(digest for _, digest in cache._kept) == [f"d{number}" for number in range(15, 20)]
    cache.keep("acme", "big", "small", b"x" * 80, 10)
    assert cache._bytes == sum(len(record.reply) for record in cache._kept.values()) <= 100
    cache.keep("acme", "huge", "small", b"x" * 101, 10)
    assert cache._bytes <= 100


async def test_replies_past_their_time_are_deleted_from_the_store(recall, database, clock):
    cache = recall()
    cache.keep("acme", "d1", "small", b"{}", 10)
    cache.keep("acme", "d2", "small", b"{}", 100)
    await cache._writer.flush()
    database.transact(lambda c: recalls.drop_expired(c, clock.now() + 50))
    assert [row["digest"] for row in rows(database, "recall")] == ["d2"]


def digest(body, surface="chat"):
    return ExactRecall(None, None, None).digest(surface, body)


def test_the_same_request_written_otherwise_is_the_same():
    assert digest(b'{"model": "a", "messages": []}') == digest(b'{"messages":[],"model":"a"}')


def test_surfaces_do_not_share_replies():
    assert digest(b'{"model":"a"}') != digest(b'{"model":"a"}', "messages")


BODIES = st.dictionaries(st.sampled_from(["model", "temperature", "top_p"]), st.integers(0, 3))


@given(BODIES, BODIES)
def test_whatever_differs_in_the_request_makes_another(first, second):
    assert (digest(json.dumps(first).encode()) == digest(json.dumps(second).encode())) == (first == second)
