"""First fit decreasing, the honest baseline: the largest models first, each replica on the first GPU in use where a
place is left for it, else on a new GPU of the kind that serves it cheapest. Pure.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from trimtab.simulation.placement.files import Order
from trimtab.simulation.placement.layouts import fits
from trimtab.simulation.placement.machines import holds
from trimtab.simulation.placement.options import MILLI, Choices, Option


class Greedy(msgspec.Struct, frozen=True):
    """What a greedy placement costs; `failed` names the model for which no place was left."""

    usd_per_hour: float
    gpus: int
    replicas: int
    failed: str = ""


class Filled(msgspec.Struct, frozen=True):
    """A greedy placement in full: each replica's option, and the instances of each GPU that is cut, with its group."""

    greedy: Greedy
    options: tuple[Option, ...]
    cut: tuple[tuple[int, Counter[str]], ...]


class _Ground:
    """GPUs in use as they fill: which are cut, with which instances, and how many groups of whole ones."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.cut: list[tuple[int, Counter[str]]] = []
        self.groups = [Counter[int]() for _ in order.pools]

    def takes(self, option: Option, at: int) -> bool:
        """Whether GPU number `at` of those cut has a place for it."""
        pool, counts = self.cut[at]
        return pool == option.pool and fits(counts + Counter([option.place.cut])) is not None

    def opens(self, option: Option) -> bool:
        """Whether a new GPU (or group of them) may be taken into use for it."""
        taken = self.groups[option.pool] + Counter([option.place.gpus])
        return holds(self.order.pools[option.pool].group, taken)

    def open(self, option: Option) -> None:
        """Take it."""
        self.groups[option.pool][option.place.gpus] += 1
        if option.place.profile is not None:
            self.cut.append((option.pool, Counter([option.place.cut])))

    @property
    def gpus(self) -> list[int]:
        """GPUs in use, of each group."""
        return [sum(size * count for size, count in each.items()) for each in self.groups]


def first_fit(order: Order, choices: Sequence[Choices], *, cut: bool) -> Filled:
    """Places everything greedily; `cut` False: whole GPUs only. Replicas carry all adapters."""
    ground, taken = _Ground(order), list[Option]()
    for index in sorted(range(len(choices)), key=lambda at: _size(order, choices, at)):
        model = order.models.model[index]
        need = MILLI * (model.requests_per_second + sum(each.requests_per_second for each in model.adapter))
        options = [
            each
            for each in choices[index].options
            if len(each.replica.adapters) == len(model.adapter) and (cut or each.place.profile is None)
        ]
        placed = 0
        while need > 0 or placed < model.min_replicas:
            option = _seat(ground, options, need)
            if option is None:
                return _filled(order, ground, taken, model.name)
            need -= option.milli_rate
            placed += 1
            taken.append(option)
    return _filled(order, ground, taken)


def _size(order: Order, choices: Sequence[Choices], index: int) -> tuple[float, float, int]:
    """Largest first: by the smallest place it can have, then by demand."""
    smallest = min((each.place.share for each in choices[index].options), default=0.0)
    return -smallest, -order.models.model[index].requests_per_second, index


def _seat(ground: _Ground, options: list[Option], need: float) -> Option | None:
    """Takes a place for one more replica."""

    def cost(option: Option) -> tuple[float, float]:
        served = min(option.milli_rate, need) if need > 0 else 1
        return option.usd_per_hour / served, option.usd_per_hour

    ranked = sorted(options, key=cost)
    for at in range(len(ground.cut)):
        for option in ranked:
            if option.place.profile is not None and ground.takes(option, at):
                ground.cut[at][1][option.place.cut] += 1
                return option
    for option in ranked:
        if ground.opens(option):
            ground.open(option)
            return option
    return None


def _filled(order: Order, ground: _Ground, taken: list[Option], failed: str = "") -> Filled:
    usd = sum(n * pool.group.usd_per_hour for n, pool in zip(ground.gpus, order.pools, strict=True))
    return Filled(Greedy(usd, sum(ground.gpus), len(taken), failed), tuple(taken), tuple(ground.cut))
