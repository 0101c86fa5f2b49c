"""What is still to come: output tokens of a call, service left in a run; learned online from what has ended.

A prediction rests on earlier sessions only: a run teaches when it is over. True lengths are known to `Truth` alone,
which only the policy named `oracle` uses, in simulation.
"""

import math
from collections.abc import Sequence
from typing import Any

_FADE = 0.02
_FEW = 3
_EXACT_STEPS = 8
_MOST_KINDS = 20_000


class RemainingService:
    """The mean of what was left at the same step of earlier runs of a workflow, else at as many steps, else of any."""

    __slots__ = ("_all", "_by_step", "_default")

    def __init__(self, default_seconds: float = 5.0) -> None:
        self._by_step: dict[tuple[str, str, int], list[float]] = {}
        self._all = [0.0, 0.0]
        self._default = default_seconds

    def left_seconds(self, workflow: str, step: str, steps_done: int) -> float:
        """Mean service left in a run that is about to make `step`; the default before anything is known."""
        reached = step_class(steps_done)
        for kind in ((workflow, step, reached), (workflow, "", reached)):
            seen = self._by_step.get(kind)
            if seen is not None and seen[1] >= _FEW:
                return seen[0] / seen[1]
        return self._all[0] / self._all[1] if self._all[1] >= _FEW else self._default

    def learn(self, workflow: str, services: Sequence[tuple[str, float]]) -> None:
        """A run is over; its steps and the seconds of service each had, in the order they ended."""
        left = 0.0
        for steps in range(len(services) - 1, -1, -1):
            step, seconds = services[steps]
            left += seconds
            reached = step_class(steps)
            for kind in ((workflow, step, reached), (workflow, "", reached)):
                seen = self._by_step.get(kind)
                if seen is None:
                    _make_room(self._by_step)
                    seen = self._by_step[kind] = [0.0, 0.0]
                seen[0] += left
                seen[1] += 1.0
        self._all[0] += left
        self._all[1] += 1.0


class MeanOf:
    """A fading mean by (workflow, step), of the workflow where the step is new: output tokens, seconds of service."""

    __slots__ = ("_default", "_means")

    def __init__(self, default: float) -> None:
        self._means: dict[tuple[str, str], float] = {}
        self._default = default

    def expected(self, workflow: str, step: str) -> float:
        """What to expect of a call of that step."""
        means = self._means
        found = means.get((workflow, step))
        return found if found is not None else means.get((workflow, ""), self._default)

    def learn(self, workflow: str, step: str, seen: float) -> None:
        """A call of that step has ended."""
        means = self._means
        for kind in ((workflow, step), (workflow, "")):
            old = means.get(kind)
            if old is None:
                _make_room(means)
            means[kind] = seen if old is None else old + _FADE * (seen - old)


def _make_room(known: dict[Any, Any]) -> None:
    """Names come from outside: the oldest is forgotten where there are too many."""
    if len(known) >= _MOST_KINDS:
        del known[next(iter(known))]


def step_class(steps_done: int) -> int:
    """Steps that are taken as one: each of the first eight, then half octaves."""
    if steps_done < _EXACT_STEPS:
        return steps_done
    return _EXACT_STEPS + int(math.log2(steps_done / _EXACT_STEPS) * 2)
