"""The waiting room: who is served next, fairly between tenants. A bounded structure without clock or tasks.

Order: start-time fair queueing between tenants (Goyal, Vin, Cheng 1996) by weight, higher priority first
within a tenant, first come first served within a priority. A tenant that sends only high priority gains
nothing on others.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

_IDLE_TENANTS = 4096


class _Line(Generic[T]):
    """One tenant's waiting items, the next one last. `turn` is its place among tenants: (start, order,
    tenant).
    """

    __slots__ = ("turn", "waiting", "weight")

    def __init__(self, turn: tuple[float, int, str]) -> None:
        self.turn = turn
        self.weight = 1.0
        self.waiting: list[tuple[int, int, T, float]] = []

    def next(self, runnable: Callable[[T], bool] | None) -> int | None:
        """Where the first item that may run waits, None where none may."""
        last = len(self.waiting) - 1
        if runnable is None:
            return last
        return next((at for at in range(last, -1, -1) if runnable(self.waiting[at][2])), None)


class FairQueue(Generic[T]):
    """Items waiting by tenant. Each change costs O(log n) comparisons, plus the items `runnable` refuses."""

    def __init__(self, tenant_limit: int, total_limit: int) -> None:
        """At most `tenant_limit` items wait for one tenant, at most `total_limit` in all."""
        self._tenant_limit = tenant_limit
        self._total_limit = total_limit
        self._lines: dict[str, _Line[T]] = {}
        self._turns: list[tuple[float, int, str]] = []
        self._places: dict[T, tuple[str, int, int]] = {}
        self._finished: dict[str, float] = {}
        self._virtual = 0.0
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, item: object) -> bool:
        return item in self._places

    def queued(self, tenant: str) -> int:
        """How many items wait for `tenant`."""
        line = self._lines.get(tenant)
        return len(line.waiting) if line else 0

    def push(self, item: T, tenant: str, weight: float, priority: int, cost: float = 1.0) -> bool:
        """Lets `item` wait; False where the tenant's or the total bound is reached.

        `weight` is the tenant's share and holds from its next pop on; `cost` is what serving the item counts
        against it (1 for shares of calls, its tokens for shares of tokens). Raises `ValueError` for a weight
        or cost that is not above 0 and for an item that is already waiting.
        """
        if not (weight > 0 and cost > 0):
            raise ValueError(f"weight and cost must be above 0, got {weight} and {cost}")
        if item in self._places:
            raise ValueError(f"{item!r} is already waiting")
        if len(self._places) >= self._total_limit or self.queued(tenant) >= self._tenant_limit:
            return False
        self._arrivals += 1
        line = self._lines.get(tenant) or self._enter(tenant)
        line.weight = weight
        insort(line.waiting, (priority, -self._arrivals, item, cost))
        self._places[item] = (tenant, priority, -self._arrivals)
        return True

    def pop(self, runnable: Callable[[T], bool] | None = None) -> T | None:
        """Takes out the next item, or the next that `runnable` accepts; None where there is none.

        A tenant none of whose items may run keeps its place but earns no credit for the turns it missed, so
        that it cannot crowd out the others afterwards.
        """
        for place, turn in enumerate(self._turns):
            line = self._lines[turn[2]]
            at = line.next(runnable)
            if at is not None:
                return self._serve(place, line, at)
        return None

    def remove(self, item: T) -> bool:
        """Takes out `item` wherever it waits (its client went away); False where it does not wait."""
        found = self._places.pop(item, None)
        if found is None:
            return False
        tenant, priority, arrival = found
        line = self._lines[tenant]
        del line.waiting[bisect_left(line.waiting, (priority, arrival), key=lambda entry: entry[:2])]
        if not line.waiting:
            del self._turns[bisect_left(self._turns, line.turn)]
            self._leave(tenant, line.turn[0])
        return True

    def _serve(self, place: int, line: _Line[T], at: int) -> T:
        _, _, item, cost = line.waiting.pop(at)
        del self._places[item]
        start, _, tenant = line.turn
        self._virtual = max(self._virtual, start)
        passed_over = self._turns[:place]
        del self._turns[: place + 1]
        for turn in passed_over:
            self._take_turn(self._lines[turn[2]], (max(turn[0], self._virtual), turn[1], turn[2]))
        finish = start + cost / line.weight
        if line.waiting:
            self._arrivals += 1
            self._take_turn(line, (finish, self._arrivals, tenant))
        else:
            self._leave(tenant, finish)
        return item

    def _enter(self, tenant: str) -> _Line[T]:
        start = max(self._virtual, self._finished.pop(tenant, 0.0))
        line = self._lines[tenant] = _Line((start, self._arrivals, tenant))
        insort(self._turns, line.turn)
        return line

    def _take_turn(self, line: _Line[T], turn: tuple[float, int, str]) -> None:
        line.turn = turn
        insort(self._turns, turn)

    def _leave(self, tenant: str, finish: float) -> None:
        """Remembers how far ahead a tenant that waits no more has been served, while others still wait."""
        del self._lines[tenant]
        if not self._lines:
            self._virtual = 0.0
            self._finished.clear()
            return
        if finish > self._virtual:
            self._finished[tenant] = finish
        if len(self._finished) > _IDLE_TENANTS:
            del self._finished[next(iter(self._finished))]
