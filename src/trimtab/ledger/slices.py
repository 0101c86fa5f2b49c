"""What this process may still spend of each meter: slices leased from the store, counted in memory.

Touched only on the event loop; no I/O. The ledger asks the store for more when a slice runs short.
"""

import asyncio
from collections.abc import Container, Iterable, Mapping

from trimtab.core import Charge, Meter

_SLICE_SHARE = 64
_SLICE_NEEDS = 32
_SLICE_SECONDS = 120.0
_ACTIVE_SECONDS = 5.0
_CALM_SECONDS = 30.0
_MOST_TOPPED_UP = 16


class Slice:
    """`free` may be given to holds, `held` is. `beyond` is what the store had left for others when last asked.

    `pace` is what is spent a second, `failures` how often the store failed us. A `blind` slice was
    not leased: the store was away. `recalled` was leased under a higher limit, and goes back to the store
    unspent; of what is held, `stale` was leased so too.
    """

    __slots__ = (
        "beyond", "blind", "failures", "free", "held", "lock", "meter", "need", "pace", "recalled", "settled",
        "spent", "stale", "used_at",
    )  # fmt: skip

    def __init__(self, meter: Meter, now: float) -> None:
        self.meter = meter
        self.free = 0
        self.held = 0
        self.recalled = 0
        self.stale = 0
        self.beyond = meter.limit
        self.settled = 0
        self.used_at = now
        self.need = 0
        self.spent = 0
        self.pace = 0.0
        self.blind = False
        self.failures = 0
        self.lock = asyncio.Lock()

    @property
    def target(self) -> int:
        """What is good to have free: two minutes' spending, or many calls, but a small share of the limit."""
        return min(
            self.meter.limit // _SLICE_SHARE, max(self.need * _SLICE_NEEDS, int(self.pace * _SLICE_SECONDS))
        )

    def relimit(self, meter: Meter) -> None:
        """The limit is another one. Under a lower one is leased anew: what is free was leased under the old."""
        self.beyond += meter.limit - self.meter.limit
        if meter.limit < self.meter.limit and not self.blind:
            back = max(0, self.free)
            self.stale, self.recalled, self.free = self.held, self.recalled + back, self.free - back
            self.beyond += back
        self.meter = meter

    def end(self, held: int, spent: int) -> None:
        """A hold is over: what was not spent of it is free again, or goes back."""
        self.held -= held
        left, stale = held - spent, min(held, self.stale)
        self.stale -= stale
        back = max(0, min(left, stale))
        self.recalled += back
        self.free += left - back
        self.settled += spent
        self.spent += spent

    def note_pace(self, seconds: float) -> None:
        """Take over what was spent in the last `seconds`: a rise at once, a fall slowly."""
        now, self.spent = self.spent / seconds, 0
        self.pace = max(now, self.pace + (now - self.pace) * min(1.0, seconds / _CALM_SECONDS))


class Slices:
    """All slices of a process by meter id."""

    def __init__(self) -> None:
        self._slices: dict[str, Slice] = {}
        self.changed = asyncio.Event()

    def of(self, meter: Meter, now: float) -> Slice:
        """The slice of a meter, empty at first."""
        found = self._slices.get(meter.id)
        if found is None:
            found = self._slices[meter.id] = Slice(meter, now)
        elif found.meter.limit != meter.limit:
            found.relimit(meter)
        found.used_at = now
        return found

    def known(self, meter_id: str) -> Slice | None:
        """The slice, if there is one."""
        return self._slices.get(meter_id)

    def take(self, meters: Iterable[Meter], amount: int, now: float) -> bool:
        """Move `amount` from free to held on every meter, or on none."""
        slices = [self.of(meter, now) for meter in meters]
        for slice in slices:
            if slice.free < amount:
                return False
        for slice in slices:
            slice.free -= amount
            slice.held += amount
            slice.need = amount
        return True

    def force(self, meter_id: str, amount: int) -> None:
        """Move `amount` from free to held, whatever is free."""
        slice = self._slices[meter_id]
        slice.free -= amount
        slice.held += amount

    def give(self, charges: Iterable[Charge], spent: int = 0) -> None:
        """End holds: `charges` go back to free, less what was `spent` on each."""
        for charge in charges:
            slice = self._slices.get(charge.meter)
            if slice is None:
                continue
            slice.end(charge.amount, spent)
        self._wake()

    def grant(self, meter: Meter, amount: int, beyond: int, settled: int) -> None:
        """Book what the store leased to us, and what it knows."""
        slice = self._slices.get(meter.id) or self.of(meter, 0.0)
        if meter.limit > slice.meter.limit:
            slice.recalled += amount  # asked for before the limit was lowered
        else:
            slice.free += amount
        slice.beyond, slice.settled = beyond, settled

    def note_failure(self, meter_ids: Iterable[str]) -> None:
        """The store did not answer for these meters."""
        for meter_id in meter_ids:
            slice = self._slices.get(meter_id)
            if slice is not None:
                slice.failures += 1

    def idle(self, before: float, wanted: Iterable[str]) -> list[tuple[Meter, int]]:
        """Take out what can be given back: all free money of wanted meters, and slices long unused."""
        back: list[tuple[Meter, int]] = []
        for meter_id in wanted:
            slice = self._slices.get(meter_id)
            if slice is not None and slice.free > 0 and not slice.blind:
                back.append((slice.meter, slice.free))
                slice.free = 0
        for meter_id, slice in list(self._slices.items()):
            if slice.recalled:
                back.append((slice.meter, slice.recalled))
                slice.recalled = 0
            if slice.held == 0 and slice.used_at < before and not slice.lock.locked():
                if slice.free and not slice.blind:
                    back.append((slice.meter, slice.free))
                del self._slices[meter_id]
        return back

    def short(self, now: float, seconds: float, wanted: Container[str]) -> list[tuple[Slice, int]]:
        """Slices in use that should be topped up, each with what it lacks. `seconds`: since this was last asked.

        Slices of limits so small that they hold but a few calls are left to be leased call by call. A slice
        below zero (a call cost more than its worst case) always is among them.
        """
        lacking: list[tuple[Slice, int]] = []
        for meter_id, slice in self._slices.items():
            if slice.meter.unit != "nanodollars":
                continue
            if slice.free < 0:
                lacking.append((slice, -slice.free))
            elif slice.used_at >= now - _ACTIVE_SECONDS:
                slice.note_pace(seconds)
                target = slice.target
                if slice.free < target * 3 // 4 and target >= 4 * slice.need and meter_id not in wanted:
                    lacking.append((slice, target - slice.free))
        lacking.sort(key=lambda each: (each[0].free < 0, each[0].pace), reverse=True)
        return lacking[:_MOST_TOPPED_UP]

    def whole(self, meter_id: str) -> int:
        """Free, held and recalled together: what the store should have leased to us of a meter, once all is applied."""
        slice = self._slices.get(meter_id)
        return 0 if slice is None else slice.free + slice.held + slice.recalled

    def remaining(self, meter: Meter) -> int:
        """Best local knowledge of what is left of a meter for everybody."""
        slice = self._slices.get(meter.id)
        return meter.limit if slice is None else max(0, slice.free + slice.beyond)

    def totals(self) -> Mapping[str, tuple[int, int]]:
        """(free, held) by meter, for tests and metrics."""
        return {meter_id: (slice.free, slice.held) for meter_id, slice in self._slices.items()}

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()
