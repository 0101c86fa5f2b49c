"""The door from the event loop to a model."""

import asyncio
import threading
import time

import pytest

from trimtab.engines import Batcher


async def test_asked_together_is_answered_together():
    batches = []

    def work(items):
        batches.append(list(items))
        return [item * 2 for item in items]

    batcher = Batcher(work, most=8, wait_seconds=0.02)
    answers = await asyncio.gather(*(batcher.ask(each, 5.0) for each in range(5)))
    batcher.close()
    assert answers == [0, 2, 4, 6, 8]
    assert batches == [[0, 1, 2, 3, 4]]


async def test_a_full_batch_does_not_wait():
    batcher = Batcher(lambda items: list(items), most=2, wait_seconds=30.0)
    assert await asyncio.gather(batcher.ask("a", 600.0), batcher.ask("b", 600.0)) == ["a", "b"]
    batcher.close()


async def test_waiting_takes_no_more_than_a_tenth_of_the_budget():
    batcher = Batcher(lambda items: list(items), most=100, wait_seconds=30.0)
    assert await batcher.ask("alone", 0.5) == "alone"
    batcher.close()


async def test_a_caller_that_gave_up_takes_its_item_along():
    seen, gate = [], threading.Event()

    def work(items):
        seen.extend(items)
        gate.wait(5)
        return list(items)

    batcher = Batcher(work, most=1, wait_seconds=0.0)
    first = asyncio.ensure_future(batcher.ask("first", 5.0))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(batcher.ask("second", 5.0))
    await asyncio.sleep(0)
    second.cancel()
    third = asyncio.ensure_future(batcher.ask("third", 5.0))
    await asyncio.sleep(0)
    gate.set()
    assert await first == "first"
    assert await third == "third"
    assert seen == ["first", "third"]
    batcher.close()


async def test_a_slow_model_is_not_waited_for_beyond_the_budget():
    gate = threading.Event()
    batcher = Batcher(lambda items: [gate.wait(5) for _ in items], wait_seconds=0.0)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        await batcher.ask("x", 0.05)
    assert time.monotonic() - begun < 2
    gate.set()
    batcher.close()


async def test_an_error_reaches_every_caller_and_the_next_batch_runs():
    def work(items):
        if "bad" in items:
            raise ValueError("bad batch")
        return list(items)

    batcher = Batcher(work, most=2, wait_seconds=0.01)
    both = await asyncio.gather(batcher.ask("bad", 5.0), batcher.ask("good", 5.0), return_exceptions=True)
    assert [type(each) for each in both] == [ValueError, ValueError]
    assert await batcher.ask("good", 5.0) == "good"
    batcher.close()


async def test_a_crowd_is_turned_away_at_once():
    gate = threading.Event()
    batcher = Batcher(lambda items: [gate.wait(5) for _ in items], most=1, wait_seconds=0.0, most_waiting=1)
    running = [asyncio.ensure_future(batcher.ask(each, 5.0)) for each in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError, match="too many"):
        await batcher.ask("one more", 5.0)
    gate.set()
    await asyncio.gather(*running)
    batcher.close()
