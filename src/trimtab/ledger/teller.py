"""Fetches slices from the store and gives unused ones back, so that processes share limits safely.

One grant a meter is under way at a time; callers wait in order. A call that only open holds stand in the way
of waits for them to settle, for a bounded time, before it is refused.
"""

import asyncio

from sqlalchemy import Connection

from trimtab.core import Clock, Meter
from trimtab.core.errors import BudgetExceeded, StoreUnavailable
from trimtab.core.money import usd_text
from trimtab.ledger.slices import Slice, Slices
from trimtab.store import Ask, Database, Grant
from trimtab.store import meters as stored

_SLICE_SHARE = 64
_SLICE_NEEDS = 32
_POLL_SECONDS = 0.05


class Teller:
    """`sharers` is how many processes live; the ledger's keeper renews it with every heartbeat."""

    def __init__(self, database: Database, process: str, clock: Clock, wait_seconds: float) -> None:
        self._database, self._process, self._clock = database, process, clock
        self._wait_seconds = wait_seconds
        self._grants: set[asyncio.Task[Grant]] = set()
        self.slices = Slices()
        self.sharers = 1

    def forget(self) -> None:
        """Our leases were taken away: begin with none."""
        self.slices = Slices()

    async def take(self, meter: Meter, amount: int) -> None:
        """Move `amount` from the meter to held. Raises BudgetExceeded or StoreUnavailable."""
        slices = self.slices
        slice = slices.of(meter, self._clock.now())
        deadline = self._clock.monotonic() + self._wait_seconds
        async with slice.lock:
            while not slices.take((meter,), amount, self._clock.now()):
                grant = await self._lease(meter, slice, amount)
                if grant.amount:
                    continue
                left = deadline - self._clock.monotonic()
                if left <= 0 or slice.settled + amount > meter.limit:
                    raise _refusal(meter, slice.settled, amount)
                await _wait(slices.changed, min(left, _POLL_SECONDS))

    async def take_rate(self, meter: Meter, amount: int) -> bool:
        """Like `take` for requests and tokens, without waiting; False when used up."""
        now = self._clock.now()
        slice = self.slices.of(meter, now)
        if self.slices.take((meter,), amount, now):
            return True
        async with slice.lock:
            if self.slices.take((meter,), amount, now):
                return True
            try:
                await self._lease(meter, slice, amount)
            except StoreUnavailable:
                self._lease_blind(meter, slice)
            return self.slices.take((meter,), amount, now)

    async def force(self, meter: Meter, amount: int) -> None:
        """Spend `amount` that was not held, past the limit if it must be. Raises StoreUnavailable."""
        now = self._clock.now()
        slice = self.slices.of(meter, now)
        if slice.free < amount:
            await self._ask(Ask(meter, amount, amount, force=True))
        slice.free -= amount
        slice.settled += amount

    async def _lease(self, meter: Meter, slice: Slice, amount: int) -> Grant:
        need = amount - slice.free
        want = max(need, min(meter.limit // _SLICE_SHARE, amount * _SLICE_NEEDS))
        return await self._ask(Ask(meter, need, want))

    async def _ask(self, ask: Ask) -> Grant:
        """A lease is booked even when the caller is cancelled meanwhile."""
        task = asyncio.ensure_future(self._fetch(ask, self.slices))
        self._grants.add(task)
        task.add_done_callback(self._grants.discard)
        return await asyncio.shield(task)

    async def _fetch(self, ask: Ask, slices: Slices) -> Grant:
        now = self._clock.now()

        def work(connection: Connection) -> Grant:
            return stored.grant(connection, self._process, [ask], self.sharers, now)[0]

        grant = await self._database.run(work)
        slices.grant(ask.meter, grant.amount, grant.free, grant.settled, now)
        return grant

    def _lease_blind(self, meter: Meter, slice: Slice) -> None:
        """Rates are no money: while the store is away each process admits its share of a window, once."""
        if slice.beyond == meter.limit:
            slice.beyond = 0
            slice.free += meter.limit // max(1, self.sharers)


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return


def _refusal(meter: Meter, settled: int, need: int) -> BudgetExceeded:
    until = "never" if meter.resets_at is None else f"at {meter.resets_at:.0f} (epoch seconds)"
    return BudgetExceeded(
        f"budget {meter.name} is exhausted ({meter.id}): limit ${usd_text(meter.limit)}, "
        f"spent ${usd_text(settled)}, this call may need ${usd_text(need)}; it resets {until}",
        budget=meter.id,
        limit=meter.limit,
        spent=settled,
        resets_at=meter.resets_at,
    )
