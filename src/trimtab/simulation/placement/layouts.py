"""The legal ways to cut one GPU with MIG: which profiles may stand side by side, and where each starts.

A way is left out where another one has all its instances and more. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache

import msgspec

from trimtab.simulation.placement.gpus import COMPUTE_SLICES, CUTS, MEMORY_SLICES


class Instance(msgspec.Struct, frozen=True, order=True):
    """A MIG instance: its cut (`3g`) and the memory slice it starts at."""

    start: int
    cut: str


class Layout(msgspec.Struct, frozen=True):
    """One legal way to cut a GPU."""

    instances: tuple[Instance, ...]

    @property
    def counts(self) -> Counter[str]:
        """How many instances of each cut."""
        return Counter(each.cut for each in self.instances)


@cache
def layouts() -> tuple[Layout, ...]:
    """All legal layouts that cannot take a further instance, one for each multiset of cuts."""
    found: dict[tuple[tuple[str, int], ...], Layout] = {}
    for instances in _fillings((), 0, COMPUTE_SLICES):
        layout = Layout(instances)
        found.setdefault(tuple(sorted(layout.counts.items())), layout)
    everything = list(found.values())
    return tuple(each for each in everything if not any(_within(each, other) for other in everything))


def fits(counts: Counter[str]) -> int | None:
    """The number of the first layout that has at least these instances."""
    return _fits(tuple(sorted(counts.items())))


@cache
def _fits(counts: tuple[tuple[str, int], ...]) -> int | None:
    wanted = Counter(dict(counts))
    return next((at for at, each in enumerate(layouts()) if not wanted - each.counts), None)


def _fillings(taken: tuple[Instance, ...], at: int, compute: int) -> Iterator[tuple[Instance, ...]]:
    """Every way to go on from memory slice `at` with so many compute slices left."""
    if at >= MEMORY_SLICES:
        yield taken
        return
    yield from _fillings(taken, at + 1, compute)
    for name, cut in CUTS.items():
        if at in cut.starts and cut.compute <= compute and at + cut.memory <= MEMORY_SLICES:
            yield from _fillings((*taken, Instance(at, name)), at + cut.memory, compute - cut.compute)


def _within(one: Layout, other: Layout) -> bool:
    return one is not other and not one.counts - other.counts
