"""Which adapter or model stays loaded at an endpoint: a load happens only where it saves more than it costs. Pure.

One rule for LoRA adapters and for whole models that sleep and wake. What is expected to save least leaves first, and
what has just come stays for a while, so that nothing goes to and fro.
"""

from collections.abc import Iterable

import msgspec

_HALF_LIFE_SECONDS = 300.0
_LN2 = 0.6931471805599453


class Reuse(msgspec.Struct, frozen=True, gc=False):
    """How often something is asked for: a count that fades by half in five minutes, and when it was last asked for."""

    weight: float = 0.0
    at: float = float("-inf")

    def used(self, now: float) -> "Reuse":
        """After one more use."""
        return Reuse(1.0 + self._faded(now), now)

    def per_second(self, now: float) -> float:
        """Uses a second to expect."""
        return self._faded(now) * _LN2 / _HALF_LIFE_SECONDS

    def _faded(self, now: float) -> float:
        if not self.weight:
            return 0.0
        return float(self.weight * 2.0 ** (-max(0.0, now - self.at) / _HALF_LIFE_SECONDS))


class Resident(msgspec.Struct, frozen=True):
    """What is loaded since `since`: seconds that having it saves a call, that a load takes; calls that use it now."""

    name: str
    reuse: Reuse
    saved_seconds: float
    load_seconds: float
    since: float
    busy: int = 0


class Wish(msgspec.Struct, frozen=True):
    """What a call asks for and is not loaded here. `nowhere`: nobody else can serve the call."""

    name: str
    reuse: Reuse
    saved_seconds: float
    load_seconds: float
    nowhere: bool = False


class Move(msgspec.Struct, frozen=True):
    """What to load, and what to unload before, empty where there is a free place."""

    load: str
    unload: str = ""


class ResidencyRules(msgspec.Struct, frozen=True):
    """Places at the endpoint; how far ahead savings count; a resident stays at least `patience` times its load."""

    slots: int = 1
    horizon_seconds: float = 60.0
    patience: float = 9.0


def move(wish: Wish, residents: Iterable[Resident], now: float, rules: ResidencyRules) -> Move | None:
    """What to do for a wish; None where it is not worth it, or nobody may leave yet."""
    here = list(residents)
    if any(one.name == wish.name for one in here):
        return None
    gain = wish.reuse.per_second(now) * rules.horizon_seconds * wish.saved_seconds
    if len(here) < rules.slots:
        return Move(wish.name) if wish.nowhere or gain > wish.load_seconds else None
    free = [one for one in here if _free_in(one, now, rules) <= 0.0]
    if not free:
        return None
    least = min(free, key=lambda one: (_worth(one, now, rules), one.reuse.at, one.name))
    if wish.nowhere or gain > wish.load_seconds + _worth(least, now, rules):
        return Move(wish.name, least.name)
    return None


def free_in(residents: Iterable[Resident], now: float, rules: ResidencyRules) -> float:
    """Seconds until somebody may leave, as far as is known; infinite where all are in use."""
    return min((_free_in(one, now, rules) for one in residents), default=0.0)


def _free_in(one: Resident, now: float, rules: ResidencyRules) -> float:
    if one.busy:
        return float("inf")
    return max(0.0, one.since + rules.patience * one.load_seconds - now)


def _worth(one: Resident, now: float, rules: ResidencyRules) -> float:
    return one.reuse.per_second(now) * rules.horizon_seconds * one.saved_seconds
