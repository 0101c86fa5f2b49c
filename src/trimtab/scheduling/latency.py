"""An endpoint's latency as it has been lately: quantiles from counts that fade.

Fixed log-spaced buckets hold the counts; instead of ageing them all, each observation weighs more than those
before it (forward decay, Cormode et al. 2009). Bounded memory, no clock.
"""

import math
from array import array
from bisect import bisect_left
from itertools import accumulate

_LOWEST_SECONDS = 0.001
_RATIO = 1.08
_BUCKETS = 181  # 1 ms to some 1,000 s
_LOG_RATIO = math.log(_RATIO)
_HALF_BUCKET = math.sqrt(_RATIO)
_HALF_LIVES = 40


class Latency:
    """Quantiles of seconds, within 4 % of the observed ones between 1 ms and 1,000 s."""

    __slots__ = ("_counts", "_half_life_seconds", "_origin", "_p50", "_p95", "_total", "_weight")

    def __init__(self, half_life_seconds: float = 300.0) -> None:
        """An observation `half_life_seconds` older than another counts half as much."""
        self._half_life_seconds = half_life_seconds
        self._counts = array("d", bytes(8 * _BUCKETS))
        self._origin: float | None = None
        self._total = 0.0
        self._weight = 1.0
        self._p50: float | None = None
        self._p95: float | None = None

    @property
    def observations(self) -> float:
        """How many observations the counts stand for, faded to the moment of the latest one."""
        return self._total / self._weight

    @property
    def p50_seconds(self) -> float | None:
        """The median, None before the first observation."""
        if self._p50 is None:
            self._p50 = self.quantile(0.5)
        return self._p50

    @property
    def p95_seconds(self) -> float | None:
        """The 95th percentile, None before the first observation."""
        if self._p95 is None:
            self._p95 = self.quantile(0.95)
        return self._p95

    def observe(self, seconds: float, now: float) -> None:
        """Counts one latency seen at `now` (seconds of any one clock)."""
        age = 0.0 if self._origin is None else max(0.0, now - self._origin) / self._half_life_seconds
        if self._origin is None or age > _HALF_LIVES:
            self._rebase(age, now)
            age = 0.0
        weight = 2.0**age
        self._counts[_bucket(seconds)] += weight
        self._total += weight
        self._weight = max(self._weight, weight)
        self._p50 = self._p95 = None

    def quantile(self, share: float) -> float | None:
        """The seconds that `share` (0..1) of the observations stay below, None before the first one."""
        if not self._total:
            return None
        below = list(accumulate(self._counts))
        # Against the sum of the counts, not the running total, which rounds in another order.
        index = bisect_left(below, max(share * below[-1], math.ulp(0.0)))
        return _LOWEST_SECONDS * _RATIO**index / _HALF_BUCKET

    def _rebase(self, age: float, now: float) -> None:
        """Counts weights from `now` on, before they outgrow what a float holds beside the old ones."""
        faded = 2.0**-age
        self._counts = array("d", [count * faded for count in self._counts])
        self._total = sum(self._counts)
        self._origin, self._weight = now, 1.0


def _bucket(seconds: float) -> int:
    if seconds <= _LOWEST_SECONDS:
        return 0
    return min(_BUCKETS - 1, math.ceil(math.log(seconds / _LOWEST_SECONDS) / _LOG_RATIO))
