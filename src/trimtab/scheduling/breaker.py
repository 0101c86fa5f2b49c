"""A circuit breaker for one endpoint as a value: what it is now, and what it is after an event.

Closed: calls pass. Open: none pass until the cooldown is over. Half open: one probe at a time decides. Source
of the pattern: M. Nygard, Release It! (2007). The caller keeps one `Breaker` an endpoint and passes the time.
"""

from typing import Annotated, Literal

import msgspec

Event = Literal["sent", "succeeded", "failed", "abandoned"]
"""An attempt's: `sent` after `admits` said yes; `abandoned` where it ended without saying anything of the
endpoint.
"""


_Seconds = Annotated[float, msgspec.Meta(gt=0)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class BreakerRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When to open: after `consecutive_failures`, or `failure_ratio` of at least `min_calls` in the window.

    The cooldown doubles with each probe that fails, up to its cap. A probe that has not ended after
    `probe_seconds` counts as lost and the next one may go.
    """

    consecutive_failures: _Count = 5
    failure_ratio: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    min_calls: _Count = 20
    window_seconds: _Seconds = 30.0
    cooldown_seconds: _Seconds = 5.0
    cooldown_cap_seconds: _Seconds = 120.0
    probe_seconds: _Seconds = 60.0


class Breaker(msgspec.Struct, frozen=True, gc=False):
    """One endpoint's state; times in seconds of the caller's clock, all of one kind.

    Calls are counted in the running half window (`calls`, `failures`) and the one before it (`past_...`), so
    that the ratio always covers between half a window and a whole one. `until`: end of the cooldown, or of
    the probe.
    """

    state: Literal["closed", "open", "half_open"] = "closed"
    in_a_row: int = 0
    half_began: float = 0.0
    calls: int = 0
    failures: int = 0
    past_calls: int = 0
    past_failures: int = 0
    until: float = 0.0
    trips: int = 0


def admits(breaker: Breaker, now: float) -> bool:
    """Whether an attempt may be sent now. Where it is, tell the breaker: `after(breaker, "sent", now,
    rules)`.
    """
    return breaker.state == "closed" or now >= breaker.until


def after(breaker: Breaker, event: Event, now: float, rules: BreakerRules) -> Breaker:
    """The breaker after `event`.

    While it is open, ends of attempts sent earlier change nothing; half open, any end counts as the probe's.
    """
    if breaker.state == "closed":
        return _closed_after(breaker, event, now, rules)
    if event == "sent":
        return _probing(breaker, now, rules) if admits(breaker, now) else breaker
    if breaker.state == "open":
        return breaker
    if event == "succeeded":
        return Breaker(half_began=now)
    if event == "failed":
        return _opened(breaker.trips, now, rules)
    return msgspec.structs.replace(breaker, until=now)


def _closed_after(breaker: Breaker, event: Event, now: float, rules: BreakerRules) -> Breaker:
    if event not in ("succeeded", "failed"):
        return breaker
    counted = _counted(breaker, event == "failed", now, rules.window_seconds / 2)
    calls, failures = counted.calls + counted.past_calls, counted.failures + counted.past_failures
    too_many = calls >= rules.min_calls and failures >= rules.failure_ratio * calls
    if event == "failed" and (counted.in_a_row >= rules.consecutive_failures or too_many):
        return _opened(0, now, rules)
    return counted


def _counted(breaker: Breaker, failed: bool, now: float, half_seconds: float) -> Breaker:
    calls, failures = breaker.calls, breaker.failures
    past_calls, past_failures, began = breaker.past_calls, breaker.past_failures, breaker.half_began
    halves = int((now - began) / half_seconds)
    if halves > 0:
        past_calls, past_failures = (calls, failures) if halves == 1 else (0, 0)
        calls, failures, began = 0, 0, now if halves > 1 else began + half_seconds
    return Breaker(
        in_a_row=breaker.in_a_row + 1 if failed else 0,
        half_began=began,
        calls=calls + 1,
        failures=failures + failed,
        past_calls=past_calls,
        past_failures=past_failures,
    )


def _probing(breaker: Breaker, now: float, rules: BreakerRules) -> Breaker:
    return msgspec.structs.replace(breaker, state="half_open", until=now + rules.probe_seconds)


def _opened(trips: int, now: float, rules: BreakerRules) -> Breaker:
    cooldown = min(rules.cooldown_cap_seconds, rules.cooldown_seconds * 2.0 ** min(trips, 30))
    return Breaker(state="open", until=now + cooldown, trips=trips + 1)
