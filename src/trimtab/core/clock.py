"""Time as a thing that is passed in, so that rules stay pure and tests can turn the hands."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for durations; both in seconds."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
