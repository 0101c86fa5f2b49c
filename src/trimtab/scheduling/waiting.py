"""The waiting room: calls held here, endpoint by endpoint, in the policy's order, until there is room. Pure state.

Late binding: a call that may go is offered again to all, and an endpoint with nothing left to do takes the next call
of the one most behind. The live pool and the simulator tell it what arrived and who has room; it says who goes where.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

import msgspec

from trimtab.core.errors import QueueFull
from trimtab.scheduling.choosers import Chooser
from trimtab.scheduling.demand import Demand
from trimtab.scheduling.eligibility import Roll
from trimtab.scheduling.orders import Key, place
from trimtab.scheduling.prefixes import PrefixBook
from trimtab.scheduling.standing import Standing

_MOST_GONE = 64
_MOST_LINES = 4
_Place = tuple[float, float, str, int]


class _Held(msgspec.Struct, eq=False):
    """A call in a line (`standing`'s, None where nobody may serve it); `gone` once it was taken out of its middle."""

    demand: Demand
    standing: Standing | None
    seconds: float = 0.0
    gone: bool = False


class WaitingRoom:
    """Bounded lines, one an endpoint, and one for calls that nobody who is up may serve."""

    __slots__ = ("_book", "_chooser", "_key", "_gone", "_limit", "_lines", "_nowhere", "_places", "_roll")

    def __init__(
        self,
        roll: Roll,
        book: PrefixBook,
        chooser: Chooser,
        key: Key,
        limit: int = 100_000,
    ) -> None:
        """At most `limit` calls wait in all."""
        self._roll, self._book, self._chooser, self._key, self._limit = roll, book, chooser, key, limit
        self._lines: dict[int, list[tuple[_Place, _Held]]] = {}
        self._nowhere: list[tuple[_Place, _Held]] = []
        self._places: dict[int, _Held] = {}
        self._gone = 0

    def __len__(self) -> int:
        return len(self._places)

    def pick(self, demand: Demand) -> Standing | None:
        """The policy's choice at this moment, None where nobody who is up may serve the call."""
        return self._chooser.choose(demand, self._roll.eligible(demand), self._book.hits(demand.marks))

    def arrive(self, demand: Demand) -> Standing | None:
        """Where to send the call now; None: it waits here. Raises `QueueFull` where as many wait as may."""
        chosen = self.pick(demand)
        if chosen is not None and chosen.room:
            return chosen
        if len(self._places) >= self._limit:
            raise QueueFull(f"{self._limit} calls wait already; raise the bound, or add endpoints")
        self._hold(demand, chosen)
        return None

    def freed(self, standing: Standing) -> Iterator[tuple[Demand, Standing]]:
        """Calls that go now that `standing` may have room, each with its endpoint. Send each before the next.

        First of its own line, each offered again to all; then the head of the line most behind, if it prefers to.
        """
        while self._places and standing.room:
            held = self._pop(self._lines.get(standing.index))
            if held is not None:
                best = self.pick(held.demand)
                yield held.demand, best if best is not None and best.room else standing
                continue
            held = self._lure(standing)
            if held is None:
                return
            yield held.demand, standing

    def reoffer(self) -> Iterator[tuple[Demand, Standing]]:
        """After endpoints came, went, rose or fell: all that waits is offered anew, in order."""
        lines = [self._nowhere, *self._lines.values()]
        self._nowhere, self._lines = [], {}
        for _, held in sorted((entry for line in lines for entry in line), key=_first):
            if held.gone:
                continue
            self._let_go(held)
            chosen = self.pick(held.demand)
            if chosen is not None and chosen.room:
                yield held.demand, chosen
            else:
                self._hold(held.demand, chosen)

    def remove(self, demand: Demand) -> bool:
        """Takes out a call whose client went away; False where it does not wait."""
        held = self._places.get(demand.turn)
        if held is None:
            return False
        held.gone = True
        self._let_go(held)
        self._gone += 1
        if self._gone > _MOST_GONE + len(self._places):
            self._sweep()
        return True

    def _sweep(self) -> None:
        """Forget those that went away, wherever they stand."""
        self._gone = 0
        for line in (self._nowhere, *self._lines.values()):
            line[:] = [entry for entry in line if not entry[1].gone]
            heapify(line)

    def _hold(self, demand: Demand, standing: Standing | None) -> None:
        held = _Held(demand, standing)
        self._places[demand.turn] = held
        line = self._nowhere
        if standing is not None:
            hit = self._book.hit(standing.index, demand.marks)
            held.seconds = standing.prompt_seconds(max(1, demand.input_tokens - hit), hit)
            standing.held(held.seconds)
            line = self._lines.setdefault(standing.index, [])
        heappush(line, (place(demand, held.seconds, self._key), held))

    def _let_go(self, held: _Held) -> None:
        del self._places[held.demand.turn]
        if held.standing is not None:
            held.standing.let_go(held.seconds)

    def _pop(self, line: list[tuple[_Place, _Held]] | None) -> _Held | None:
        while line:
            _, held = heappop(line)
            if not held.gone:
                self._let_go(held)
                return held
        return None

    def _lure(self, standing: Standing) -> _Held | None:
        """The head of one of the lines most behind, where it would now rather go to `standing`."""
        behind = [one for one in self._roll.standings if one.waiting and one is not standing]
        behind.sort(key=lambda one: (-one.backlog_seconds, one.name))
        for one in behind[:_MOST_LINES]:
            held = self._pop(self._lines.get(one.index))
            if held is None:
                continue
            if self.pick(held.demand) is standing:
                return held
            self._hold(held.demand, one)
        return None


def _first(entry: tuple[_Place, _Held]) -> _Place:
    return entry[0]
