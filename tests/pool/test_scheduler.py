"""The live scheduler alone: who may wait where while endpoints go and come."""

import asyncio

import pytest

from trimtab.config import load_text, prices_of
from trimtab.core import Attribution, Call
from trimtab.core.errors import QueueFull
from trimtab.pool import Ask, Pool, Scheduler

TEXT = """
[scheduling]
policy = "least_loaded"
[[endpoint]]
name = "busy"
url = "http://127.0.0.1:1/v1"
models = ["m"]
concurrency = 1
max_queued = 2
[[endpoint]]
name = "rested"
url = "http://127.0.0.1:2/v1"
models = ["m"]
concurrency = 1
max_queued = 9
breaker = { failures = 1, cooldown_seconds = 5.0 }
"""


def ask(*among):
    call = Call("c", 0.0, "chat", "m", Attribution("t", "r"), 40, 10)
    return Ask(call, "m", b"{}", among)


@pytest.fixture
async def room(clock):
    """A pool with its scheduler, and a function that begins to wait for a seat."""
    settings = load_text(TEXT, "t.toml", {}).settings
    pool = Pool(settings, {}, prices_of(settings), clock)
    scheduler = Scheduler(settings.scheduling, pool, clock)
    begun = []

    async def wait(*among):
        begun.append(asyncio.ensure_future(scheduler.seat(ask(*among), 60)))
        await asyncio.sleep(0)
        return begun[-1]

    yield pool, scheduler, wait
    for one in begun:
        one.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


async def test_the_line_of_an_endpoint_on_trial_takes_nothing_off_that_of_another(room, clock):
    pool, scheduler, wait = room
    rested = pool.endpoints["rested"]
    old = await scheduler.seat(ask("rested"), 60)
    await scheduler.seat(ask("busy"), 60)
    line = [await wait("rested") for _ in range(3)]
    rested.note("failed")
    clock.ahead += 6
    await wait("busy", "rested")
    old.leave()
    trial = await line[0]
    trial.sent()
    rested.note("sent")
    assert (rested.available, scheduler.waiting) == (False, {"busy": 1, "rested": 2})
    last = await wait("busy", "rested")
    assert not last.done()
    with pytest.raises(QueueFull, match="2 calls wait for busy already"):
        await scheduler.seat(ask("busy", "rested"), 60)
