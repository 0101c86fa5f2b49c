"""The scheduling policies by name: who is chosen, in what order calls wait, and whether they wait here. A registry.

A name is one of `POLICIES`, or CHOOSER+ORDER (`eta+srpt`).
"""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from trimtab.core.errors import ConfigError
from trimtab.scheduling.choosers import Chooser, Eta, LeastLoaded, PrefixLoad, RoundRobin
from trimtab.scheduling.orders import ORDERS, Key

CHOOSERS: Mapping[str, Callable[[], Chooser]] = {
    "round_robin": RoundRobin,
    "least_loaded": LeastLoaded,
    "prefix_load": PrefixLoad,
    "eta": Eta,
}


class SchedulingPolicy(msgspec.Struct, frozen=True):
    """`holds`: calls wait in our own bounded queue and are bound late; otherwise they go at once, into the engine's.

    `knows`: what predictions rest on; `truth` only in simulation, in the row named oracle.
    """

    name: str
    chooser: Chooser
    key: Key
    holds: bool = True
    knows: Literal["history", "truth"] = "history"
    graph: bool = False


def scheduling_policy(name: str) -> SchedulingPolicy:
    """The policy of that name. Raises `ConfigError` naming what there is."""
    told = NAMED.get(name, name)
    chooser, _, order = told.partition("+")
    order = order or "fcfs"
    if chooser not in CHOOSERS or order not in ORDERS:
        raise ConfigError(
            f"{name!r} is no scheduling policy; there are {', '.join(NAMED)}, or CHOOSER+ORDER of "
            f"{', '.join(CHOOSERS)} and {', '.join(ORDERS)}",
            key="policy",
        )
    return SchedulingPolicy(
        name,
        CHOOSERS[chooser](),
        ORDERS[order],
        holds=chooser == "eta" or order != "fcfs",
        knows="truth" if name == "oracle" else "history",
        graph=order == "critical_path",
    )


NAMED: Mapping[str, str] = {
    "round_robin": "round_robin+fcfs",
    "least_loaded": "least_loaded+fcfs",
    "prefix_load": "prefix_load+fcfs",
    "default": "eta+combined",
    "graph": "eta+critical_path",
    "oracle": "eta+srpt",
}
