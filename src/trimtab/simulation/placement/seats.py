"""From counts to machines: which GPU of which machine is cut how, and which replica stands where. Pure."""

from collections.abc import Sequence

import msgspec

from trimtab.simulation.placement.files import Order
from trimtab.simulation.placement.layouts import Instance, layouts
from trimtab.simulation.placement.machines import node_sizes
from trimtab.simulation.placement.options import Option
from trimtab.simulation.placement.solve import Solved


class Seat(msgspec.Struct, frozen=True):
    """One replica's place: machine and GPUs of a group (numbers from 0), and its MIG instance if it has one."""

    option: Option
    node: int
    gpus: tuple[int, ...]
    instance: Instance | None = None


class CutGpu(msgspec.Struct, frozen=True):
    """A GPU cut by MIG: its instances, and those of them that no replica uses."""

    pool: int
    node: int
    gpu: int
    instances: tuple[Instance, ...]
    free: tuple[Instance, ...]


class Seating(msgspec.Struct, frozen=True):
    """All replicas in their places."""

    seats: tuple[Seat, ...]
    cut: tuple[CutGpu, ...]


def seat(order: Order, solved: Solved) -> Seating:
    """Puts the replicas of a solved placement on GPUs: groups first, the largest before others, then what is cut."""
    seats: list[Seat] = []
    cut: list[CutGpu] = []
    for number, pool in enumerate(order.pools):
        mine = [(option, count) for option, count in solved.replicas if option.pool == number]
        free = [list(range(size)) for size in node_sizes(pool.group)]
        whole = [option for option, count in mine if option.place.profile is None for _ in range(count)]
        for option in sorted(whole, key=lambda each: -each.place.gpus):
            node, gpus = _take(free, option.place.gpus)
            seats.append(Seat(option, node, gpus))
        waiting = [option for option, count in mine if option.place.profile is not None for _ in range(count)]
        for at, count in enumerate(solved.layouts[number]):
            for _ in range(count):
                node, gpus = _take(free, 1)
                taken, left = _fill(layouts()[at].instances, waiting, node, gpus)
                seats += taken
                cut.append(CutGpu(number, node, gpus[0], layouts()[at].instances, left))
        assert not waiting
    return Seating(tuple(seats), tuple(each for each in cut if each.free != each.instances))


def _take(free: list[list[int]], gpus: int) -> tuple[int, tuple[int, ...]]:
    """The machine with the least room that is enough: sizes divide each other, so this always finds one."""
    node = min((at for at, left in enumerate(free) if len(left) >= gpus), key=lambda at: (len(free[at]), at))
    taken = tuple(free[node][:gpus])
    del free[node][:gpus]
    return node, taken


def _fill(
    instances: Sequence[Instance], waiting: list[Option], node: int, gpus: tuple[int, ...]
) -> tuple[list[Seat], tuple[Instance, ...]]:
    """Seats who waits for such an instance; the instances left over."""
    seats: list[Seat] = []
    left: list[Instance] = []
    for instance in instances:
        found = next((each for each in waiting if each.place.cut == instance.cut), None)
        if found is None:
            left.append(instance)
        else:
            waiting.remove(found)
            seats.append(Seat(found, node, gpus, instance))
    return seats, tuple(left)
