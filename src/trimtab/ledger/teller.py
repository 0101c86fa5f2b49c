"""Fetches slices from the store and gives unused ones back, so that processes share limits without overspending.

One grant a meter is under way at a time; callers wait in order. A call that only open holds stand in the way
of waits for them to settle, for a bounded time, before it is refused.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial

from sqlalchemy import Connection

from trimtab.core import Clock, Meter
from trimtab.core.errors import BudgetExceeded, StoreUnavailable
from trimtab.core.money import usd_text
from trimtab.ledger.slices import Slice, Slices
from trimtab.store import Ask, Database, Fenced, Grant, Writer, processes
from trimtab.store import meters as stored

_GRANT_SECONDS = 3.0
_POLL_SECONDS = 0.05


class Teller:
    """`sharers` is how many processes live; the ledger's keeper renews it with every heartbeat.

    What is leased may be spent for `lease_seconds` after a heartbeat got through. Then others may think this
    process dead and spend it themselves, so it is not touched before the store has heard of us again.
    """

    def __init__(
        self, database: Database, process: str, clock: Clock, wait_seconds: float, lease_seconds: float
    ) -> None:
        self._database, self._process, self._clock = database, process, clock
        self._wait_seconds, self._lease_seconds = wait_seconds, lease_seconds
        self._grants: set[asyncio.Task[list[Grant]]] = set()
        self._asking: Counter[str] = Counter()
        self._unsure: dict[str, Meter] = {}
        self._until = 0.0
        self.slices = Slices()
        self.sharers = 1

    def renew(self, heard_at: float) -> None:
        """The store has heard of this process, at `heard_at` (monotonic) or later."""
        self._until = heard_at + self._lease_seconds

    @property
    def stands(self) -> bool:
        """Whether what is leased is surely still ours."""
        return self._clock.monotonic() < self._until

    def forget(self) -> None:
        """Our leases were taken away: begin with none."""
        self.slices = Slices()
        self._unsure.clear()

    async def take(self, slices: Slices, meter: Meter, amount: int) -> None:
        """Move `amount` from the meter to held. Raises BudgetExceeded or StoreUnavailable."""
        slice = slices.of(meter, self._clock.now())
        began, failures = self._clock.monotonic(), slice.failures
        async with slice.lock:
            await self._stand_up(slice, failures)
            while not slices.take((meter,), amount, self._clock.now()):
                grant = await self._lease(slices, slice, amount)
                left = began + self._wait_seconds - self._clock.monotonic()
                if grant.amount and left > -_GRANT_SECONDS:
                    continue
                if left <= 0 or slice.settled + amount > meter.limit:
                    raise _refusal(meter, slice.settled, amount)
                await _wait(slices.changed, min(left, _POLL_SECONDS))

    async def require(self, meters: Sequence[Meter], least: int) -> None:
        """See that each has `least` left after what is spent. Raises BudgetExceeded, StoreUnavailable."""
        ids = [meter.id for meter in meters]
        spent = await self._database.run(lambda c: stored.settled(c, ids), _GRANT_SECONDS) if ids else {}
        for meter in meters:
            if spent.get(meter.id, 0) + least > meter.limit:
                raise _refusal(meter, spent.get(meter.id, 0), least, "a run of this workflow")

    async def take_rate(self, slices: Slices, meter: Meter, amount: int) -> bool:
        """Like `take` for requests and tokens, without waiting; False when used up."""
        now = self._clock.now()
        slice = slices.of(meter, now)
        failures = slice.failures
        if slices.take((meter,), amount, now):
            return True
        async with slice.lock:
            if slices.take((meter,), amount, now):
                return True
            try:
                if slice.failures == failures:
                    await self._lease(slices, slice, amount)
            except StoreUnavailable:
                self._lease_blind(slice)
            return slices.take((meter,), amount, now)

    async def force(self, slices: Slices, meter: Meter, amount: int) -> None:
        """Like `take`, past the limit if it must be. Raises StoreUnavailable."""
        slice = slices.of(meter, self._clock.now())
        failures = slice.failures
        async with slice.lock:
            await self._stand_up(slice, failures)
            while slice.free < amount:
                lacking = amount - slice.free
                # By its meter: the limit may have been lowered since, and what is leased under the old one goes back.
                await self._ask([Ask(slice.meter, lacking, lacking, force=True)], slices)
            slices.force(meter.id, amount)

    async def top_up(self, seconds: float, wanted: Container[str]) -> None:
        """Lease ahead for slices that are used fast, so that hardly a call waits and an outage can be ridden out.

        `wanted` are meters that others lack money of; `seconds` since the last time. Raises StoreUnavailable.
        """
        short = self.slices.short(self._clock.now(), seconds, wanted)
        asks = [
            Ask(slice.meter, max(0, -slice.free), lacking, force=slice.free < 0) for slice, lacking in short
        ]
        if asks:
            await self._ask(asks, self.slices)

    def doubt(self, meters: Iterable[Meter]) -> None:
        """The store may have leased more of these to us than we know."""
        self._unsure |= {meter.id: meter for meter in meters if meter.unit == "nanodollars"}

    async def level(self, writer: Writer) -> None:
        """Bring the store's leases in line with ours where an answer was lost. Raises StoreUnavailable."""
        for meter in list(self._unsure.values()):
            slices = self.slices
            async with slices.of(meter, self._clock.now()).lock:
                if self._asking[meter.id] or slices is not self.slices:
                    continue
                if await writer.apply_with(partial(self._levelling, meter.id)):
                    self._unsure.pop(meter.id, None)

    def _levelling(self, meter_id: str) -> Callable[[Connection], None]:
        whole = {meter_id: self.slices.whole(meter_id)}
        return partial(stored.level, process=self._process, amounts=whole)

    async def _lease(self, slices: Slices, slice: Slice, amount: int) -> Grant:
        slice.need = amount
        need = amount - slice.free
        return (await self._ask([Ask(slice.meter, need, max(need, slice.target))], slices))[0]

    async def _stand_up(self, slice: Slice, failures: int) -> None:
        """Make sure that the leases are ours. Who waited while the store failed another does not try it himself."""
        if slice.failures != failures:
            raise StoreUnavailable("the database did not answer")
        if self.stands:
            return
        heard_at = self._clock.monotonic()
        try:
            await self._database.run(self._beat, _GRANT_SECONDS)
        except (Fenced, StoreUnavailable) as error:
            slice.failures += 1
            raise StoreUnavailable(f"the database has not heard of this process for long: {error}") from error
        self.renew(heard_at)

    def _beat(self, connection: Connection) -> None:
        processes.beat(connection, self._process, self._clock.now())

    async def _ask(self, asks: list[Ask], slices: Slices) -> list[Grant]:
        """A lease is booked even when the caller is cancelled meanwhile."""
        task = asyncio.ensure_future(self._fetch(asks, slices))
        self._grants.add(task)
        task.add_done_callback(self._grants.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_know_failure)
            raise

    async def _fetch(self, asks: list[Ask], slices: Slices) -> list[Grant]:
        now = self._clock.now()

        def work(connection: Connection) -> list[Grant]:
            # In this order: nobody can bury us from here to the commit, so slices that are ours now stay so.
            processes.require_live(connection, self._process)
            if slices is not self.slices:
                raise Fenced(self._process)
            return stored.grant(connection, self._process, asks, self.sharers, now)

        ids = [ask.meter.id for ask in asks]
        self._asking.update(ids)
        try:
            grants = await self._database.run(work, _GRANT_SECONDS)
        except Fenced as error:
            raise StoreUnavailable("this process was given up for dead and begins anew") from error
        except StoreUnavailable:
            self.doubt(ask.meter for ask in asks)
            slices.note_failure(ids)
            raise
        finally:
            self._asking -= Counter(ids)
        for ask, grant in zip(asks, grants, strict=True):
            slices.grant(ask.meter, grant.amount, grant.free, grant.settled)
        return grants

    def _lease_blind(self, slice: Slice) -> None:
        """Rates are no money: while the store is away each process admits its equal share of a window, once."""
        if not slice.blind and slice.beyond == slice.meter.limit:
            slice.blind = True
            slice.free += slice.meter.limit // max(1, self.sharers)


def _know_failure(task: "asyncio.Task[list[Grant]]") -> None:
    """Nobody waits for this lease any more; that it failed has been noted on its slices."""
    if not task.cancelled():
        task.exception()


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return


def _refusal(meter: Meter, settled: int, need: int, whose: str = "this call") -> BudgetExceeded:
    until = "never" if meter.resets_at is None else f"at {meter.resets_at:.0f} (epoch seconds)"
    return BudgetExceeded(
        f"budget {meter.name} is exhausted ({meter.id}): limit ${usd_text(meter.limit)}, "
        f"spent ${usd_text(settled)}, {whose} may need ${usd_text(need)}; it resets {until}",
        budget=meter.id,
        limit=meter.limit,
        spent=settled,
        resets_at=meter.resets_at,
    )
