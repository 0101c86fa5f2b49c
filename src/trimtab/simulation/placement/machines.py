"""How many tensor-parallel groups the machines of a GPU group can hold. Sizes are powers of two. Pure."""

from collections.abc import Mapping

from trimtab.simulation.placement.demand import GpuGroup


def node_sizes(group: GpuGroup) -> list[int]:
    """GPUs of each machine; the last one may have fewer."""
    full, rest = divmod(group.count, group.node_size)
    return [group.node_size] * full + ([rest] if rest else [])


def room_for(group: GpuGroup, gpus: int) -> int:
    """Groups of so many GPUs that fit, none over two machines."""
    full, rest = divmod(group.count, group.node_size)
    return full * (group.node_size // gpus) + rest // gpus


def holds(group: GpuGroup, groups: Mapping[int, int]) -> bool:
    """Whether so many groups of each size (1: single GPUs) fit. For sizes that divide each other, this is exact."""
    return (
        all(
            sum(count * (size // gpus) for size, count in groups.items() if size >= gpus)
            <= room_for(group, gpus)
            for gpus in groups
        )
        and sum(size * count for size, count in groups.items()) <= group.count
    )
