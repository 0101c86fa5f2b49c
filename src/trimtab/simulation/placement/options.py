"""Every way a model's replica could stand on the GPUs there are, without those that another one beats. Pure."""

from collections.abc import Iterator
from itertools import combinations

import msgspec

from trimtab.simulation.placement.capacity import Place, Replica, Unfit, capacity
from trimtab.simulation.placement.demand import Adapter, Model
from trimtab.simulation.placement.files import Order, Pool

_MOST_SUBSETS_OF = 3
MILLI = 1000


class Option(msgspec.Struct, frozen=True):
    """A replica of model number `model` on a place of GPU group number `pool`."""

    model: int
    pool: int
    place: Place
    replica: Replica
    usd_per_hour: float

    @property
    def milli_rate(self) -> int:
        """Requests in 1,000 seconds, rounded down."""
        return int(self.replica.rate * MILLI)

    @property
    def usd_per_million(self) -> float:
        """USD for a million requests at that rate, by its share of the GPU."""
        return self.usd_per_hour / (self.replica.rate * 3600) * 1e6


class Rejected(msgspec.Struct, frozen=True):
    """A way that does not work, and why."""

    place: Place
    precision: str
    why: Unfit


class Choices(msgspec.Struct, frozen=True):
    """A model's ways: those to choose from, and those that do not work."""

    options: tuple[Option, ...]
    rejected: tuple[Rejected, ...]


def choices_of(order: Order, index: int) -> Choices:
    """The ways of model number `index`."""
    model = order.models.model[index]
    options: list[Option] = []
    rejected: list[Rejected] = []
    for number, pool in enumerate(order.pools):
        for place in places_of(pool, model.tensor_parallel):
            found, unfit = _on(order, index, number, place)
            options += _best(found)
            rejected += unfit
    return Choices(tuple(options), tuple(rejected))


def places_of(pool: Pool, tensor_parallel: tuple[int, ...]) -> Iterator[Place]:
    """The kinds of places a group of GPUs has: MIG instances, whole GPUs, groups of them in one machine."""
    for profile in pool.kind.profiles:
        if 1 in tensor_parallel:
            yield Place(pool.kind, profile)
    for gpus in sorted(set(tensor_parallel)):
        if gpus <= pool.group.node_size:
            yield Place(pool.kind, None, gpus)


def _on(order: Order, index: int, number: int, place: Place) -> tuple[list[Option], list[Rejected]]:
    model, pool = order.models.model[index], order.pools[number]
    found: list[Option] = []
    unfit: list[Rejected] = []
    for precision in model.precisions:
        for adapters in adapter_sets(model):
            done = capacity(model, place, precision, adapters, order.gpus)
            if isinstance(done, Replica) and done.rate < 1 / MILLI:
                done = Unfit("too slow", 1 / MILLI, done.rate)
            if isinstance(done, Unfit):
                unfit.append(Rejected(place, precision, done))
            else:
                found.append(Option(index, number, place, done, pool.group.usd_per_hour * place.share))
    return found, unfit


def adapter_sets(model: Model) -> Iterator[tuple[Adapter, ...]]:
    """Which adapters a replica may carry: any of up to three, else none, each alone, or all."""
    count = len(model.adapter)
    sizes = range(count + 1) if count <= _MOST_SUBSETS_OF else (0, 1, count)
    for size in sizes:
        yield from combinations(model.adapter, size)


def _best(found: list[Option]) -> list[Option]:
    """On one place: none that another one carries all the adapters of, at no lower rate (the better precision, which
    stands first, wins a tie)."""
    kept: list[Option] = []
    for one in sorted(found, key=lambda each: (-len(each.replica.adapters), -each.milli_rate)):
        carried = set(one.replica.adapters)
        if not any(
            carried <= set(other.replica.adapters) and other.milli_rate >= one.milli_rate for other in kept
        ):
            kept.append(one)
    return kept
