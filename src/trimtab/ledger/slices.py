"""What this process may still spend of each meter: slices leased from the store, counted in memory.

Touched only on the event loop; no I/O. The ledger asks the store for more when a slice runs short.
"""

import asyncio
from collections.abc import Iterable, Mapping

from trimtab.core import Charge, Meter


class Slice:
    """`free` may be given to holds, `held` is. `beyond` is what the store had left when last asked."""

    __slots__ = ("beyond", "free", "held", "lock", "meter", "settled", "used_at")

    def __init__(self, meter: Meter, now: float) -> None:
        self.meter = meter
        self.free = 0
        self.held = 0
        self.beyond = meter.limit
        self.settled = 0
        self.used_at = now
        self.lock = asyncio.Lock()


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
            found.meter = meter
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
        return True

    def give(self, charges: Iterable[Charge], spent: int = 0) -> None:
        """End holds: `charges` go back to free, less what was `spent` on each."""
        for charge in charges:
            slice = self._slices.get(charge.meter)
            if slice is None:
                continue
            slice.held -= charge.amount
            slice.free += charge.amount - spent
            slice.settled += spent
        self._wake()

    def grant(self, meter: Meter, amount: int, beyond: int, settled: int, now: float) -> None:
        """Book what the store leased to us, and what it knows."""
        slice = self.of(meter, now)
        slice.free += amount
        slice.beyond, slice.settled = beyond, settled

    def idle(self, before: float, wanted: Iterable[str]) -> dict[str, int]:
        """Take out what can be given back: all free money of wanted meters, and slices long unused."""
        back: dict[str, int] = {}
        for meter_id in wanted:
            slice = self._slices.get(meter_id)
            if slice is not None and slice.free > 0:
                back[meter_id], slice.free = slice.free, 0
        for meter_id, slice in list(self._slices.items()):
            if slice.held == 0 and slice.used_at < before and not slice.lock.locked():
                back[meter_id] = back.get(meter_id, 0) + slice.free
                del self._slices[meter_id]
        return {meter_id: amount for meter_id, amount in back.items() if amount}

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
