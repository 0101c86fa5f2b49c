"""How many replicas there should be: by queue delay and deadline slack, with a cool-down, aware of cold starts. Pure.

The simulator tests it and the gateway publishes what it says; nothing here starts a server.
"""

import math

import msgspec


class ScaleRules(msgspec.Struct, frozen=True):
    """`wait_seconds`: queue delay that is still good. `late_share`: of open runs, how many may lack slack.

    Down by one at a time, when calls would fit on one fewer with `calls_each` a replica, `cool_down_seconds` after
    the last change. Up at once, but what is already starting (`cold_start_seconds`) is counted first.
    """

    least: int = 1
    most: int = 64
    wait_seconds: float = 2.0
    late_share: float = 0.1
    calls_each: float = 12.0
    cool_down_seconds: float = 180.0
    cold_start_seconds: float = 120.0


class PoolLoad(msgspec.Struct, frozen=True):
    """A pool as it is: replicas `ready` and `starting`, predicted queue delay (seconds), calls outstanding or waiting,
    the share of open runs whose slack is below 0.
    """

    ready: int
    starting: int
    queue_seconds: float
    calls: int
    late_share: float = 0.0


class Scale(msgspec.Struct, frozen=True):
    """What was last asked for, and when it last changed."""

    replicas: int
    changed_at: float = float("-inf")


def rescale(scale: Scale, load: PoolLoad, now: float, rules: ScaleRules) -> Scale:
    """What to ask for now.

    Up: in proportion to how far queue delay is beyond what is good, at most double; a replica that starts will take
    its part of the queue, so the delay is spread over those too. Never below `least` or above `most`.
    """
    present = max(1, load.ready + load.starting)
    delay = load.queue_seconds * load.ready / present
    needed = scale.replicas
    if delay > rules.wait_seconds:
        needed = max(needed, min(2 * present, math.ceil(present * math.sqrt(delay / rules.wait_seconds))))
    elif load.late_share > rules.late_share and not load.starting:
        needed = max(needed, present + 1)
    elif _idle(load, rules) and now - scale.changed_at >= rules.cool_down_seconds:
        needed = min(needed, load.ready - 1)
    needed = min(rules.most, max(rules.least, needed))
    return scale if needed == scale.replicas else Scale(needed, now)


def _idle(load: PoolLoad, rules: ScaleRules) -> bool:
    """One fewer would do, and a new one, should that be wrong, comes only after a cold start: so with some margin."""
    fits = load.calls <= (load.ready - 1) * rules.calls_each
    slow_to_come_back = rules.cold_start_seconds > rules.cool_down_seconds
    calm = load.queue_seconds < 0.5 * rules.wait_seconds and load.late_share <= rules.late_share
    return not load.starting and calm and fits and not (slow_to_come_back and load.late_share > 0)
