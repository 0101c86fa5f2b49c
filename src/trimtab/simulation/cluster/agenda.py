"""The events to come, by time: a heap. What it calls is what happens."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Event = Callable[[Any, float], None]
"""Called with what was left with it and the time it is."""


class Agenda:
    """Events at one moment happen in the order they were entered."""

    __slots__ = ("_entered", "_events", "now", "passed")

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Event, Any]] = []
        self._entered = 0
        self.now = 0.0
        self.passed = 0

    def at(self, moment: float, event: Event, about: Any) -> None:  # noqa: ANN401 - the event's own
        """Calls `event(about, moment)` then; at once where the moment is past."""
        self._entered += 1
        heappush(self._events, (moment if moment > self.now else self.now, self._entered, event, about))

    def play(self, over: Callable[[], bool]) -> None:
        """Until nothing is left, or `over` says so (asked every thousand events)."""
        events = self._events
        passed = 0
        while events:
            self.now, _, event, about = heappop(events)
            event(about, self.now)
            passed += 1
            if not passed & 1023 and over():
                break
        self.passed += passed

    @property
    def next_at(self) -> float | None:
        """When the next event is due; None where none is."""
        return self._events[0][0] if self._events else None

    def play_until(self, moment: float) -> None:
        """What is due by then: for whoever plays it by the clock on the wall."""
        events = self._events
        while events and events[0][0] <= moment:
            self.now, _, event, about = heappop(events)
            event(about, self.now)
            self.passed += 1
        self.now = max(self.now, moment)
