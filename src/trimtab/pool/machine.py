"""The cost of a self-hosted machine, shared out among the calls it serves at once by token-time.

While calls with weights w1..wn (their tokens) run, each pays its part w/(w1+..+wn) of every second, so the
parts of a busy second add up to that second's price exactly. Idle time is nobody's.
"""

from decimal import Decimal

_HOUR_SECONDS = 3600


class MachineCost:
    """An integral over time kept per unit of weight; O(1) a call. Times are monotonic seconds."""

    def __init__(self, hour_usd: float) -> None:
        self.second_nanodollars = float(Decimal(str(hour_usd)) * 1_000_000_000 / _HOUR_SECONDS)
        self._per_weight = 0.0
        self._weights = 0
        self._at = 0.0

    def begin(self, weight: int, now: float) -> float:
        """A call of `weight` tokens begins; the mark returned is handed to `end`."""
        self._advance(now)
        self._weights += max(1, weight)
        return self._per_weight

    def end(self, weight: int, mark: float, now: float) -> int:
        """The call ends; its part in nanodollars, rounded up."""
        self._advance(now)
        self._weights -= max(1, weight)
        part = (self._per_weight - mark) * max(1, weight)
        return int(part) + (part > int(part))

    def _advance(self, now: float) -> None:
        if self._weights:
            self._per_weight += (now - self._at) * self.second_nanodollars / self._weights
        self._at = now
