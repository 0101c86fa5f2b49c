"""Deadlines behave as asyncio's own do."""

import asyncio

import pytest

from trimtab.pool import Patience, patience


@pytest.fixture(params=[0.0, 10.0], ids=["looked at together", "with a timer of its own"])
def keeper(request, monkeypatch):
    monkeypatch.setattr(patience, "_SHORT_SECONDS", request.param)
    monkeypatch.setattr(patience, "_TICK_SECONDS", 0.01)
    return Patience()


async def test_what_takes_too_long_times_out(keeper):
    with pytest.raises(TimeoutError), keeper.within(0.02):
        await asyncio.sleep(5)
    assert asyncio.current_task().cancelling() == 0


async def test_what_is_in_time_is_left_alone(keeper):
    with keeper.within(0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)


async def test_a_cancellation_from_outside_stays_one(keeper):
    async def wait():
        with keeper.within(5):
            await asyncio.sleep(5)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_inner_of_two_deadlines_strikes_alone(keeper):
    with keeper.within(5):
        with pytest.raises(TimeoutError), keeper.within(0.02):
            await asyncio.sleep(5)
        await asyncio.sleep(0.03)


async def test_errors_pass_through(keeper):
    with pytest.raises(ValueError, match="mine"), keeper.within(5):
        raise ValueError("mine")


async def test_many_deadlines_share_one_timer_and_leave_none_behind():
    keeper = Patience()

    async def wait():
        with keeper.within(60):
            await asyncio.sleep(0.01)

    await asyncio.gather(*[wait() for _ in range(100)])
    assert not keeper._watched
