"""A placement as an integer program for CP-SAT: how many GPUs get which MIG layout, how many replicas stand on which
kind of place, and which adapter's requests go where.

Counts, not single GPUs, are the variables, so that like GPUs bring no symmetry. A limit may be left out or get a slack,
by which `shortage.py` finds what is in the way.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from trimtab.simulation.placement.cpsat import cp_model
from trimtab.simulation.placement.files import Order
from trimtab.simulation.placement.gpus import MEMORY_SLICES
from trimtab.simulation.placement.layouts import layouts
from trimtab.simulation.placement.machines import room_for
from trimtab.simulation.placement.options import MILLI, Choices, Option

UNITS_PER_USD = 10_000
_MANY = 100_000
Kind = Literal["count", "demand", "budget"]


class Limit(msgspec.Struct, frozen=True, order=True):
    """A limit somebody could change: GPUs of a group, a model's demand, the budget."""

    kind: Kind
    index: int = 0


class Relaxed(msgspec.Struct, frozen=True):
    """Limits that do not hold, and the one whose breach is to be as small as can be."""

    left_out: frozenset[Limit] = frozenset()
    slack: Limit | None = None
    assumed: bool = False


STRICT = Relaxed()


def limits_of(order: Order) -> list[Limit]:
    """All limits."""
    found = [Limit("count", index) for index in range(len(order.pools))]
    found += [Limit("demand", index) for index in range(len(order.models.model))]
    return found + ([Limit("budget")] if order.gpus.max_usd_per_hour is not None else [])


class Program:
    """The model with its variables. `x`: replicas of each option; `y`: GPUs of each group with each layout."""

    def __init__(self, order: Order, choices: Sequence[Choices], relaxed: Relaxed = STRICT) -> None:
        self.order, self.relaxed = order, relaxed
        self.options: tuple[Option, ...] = tuple(each for some in choices for each in some.options)
        self.model: Any = cp_model().CpModel()
        self.assumed: dict[int, Limit] = {}
        self.slack: Any = self.model.new_int_var(0, 10**9, "slack")
        self.x = [self.model.new_int_var(0, self._most(each), f"x{i}") for i, each in enumerate(self.options)]
        self.y = [
            [self.model.new_int_var(0, self._gpus(g), f"y{g}.{at}") for at in range(len(layouts()))]
            if pool.kind.profiles
            else []
            for g, pool in enumerate(order.pools)
        ]
        for g in range(len(order.pools)):
            self._supply(g)
        for m in range(len(order.models.model)):
            self._demand(m)
        self._budget()

    @property
    def cost(self) -> Any:  # noqa: ANN401 - an expression of OR-tools
        """What the GPUs in use cost an hour, in units."""
        price = [round(pool.group.usd_per_hour * UNITS_PER_USD) for pool in self.order.pools]
        return sum(price[g] * self._used(g) for g in range(len(price)))

    @property
    def taste(self) -> Any:  # noqa: ANN401 - as above
        """Among placements of the same cost: few replicas, then the better precision, then the smaller place."""
        precisions = [self.order.models.model[each.model].precisions for each in self.options]
        ranks = [each.index(o.replica.precision) for each, o in zip(precisions, self.options, strict=True)]
        sizes = [round(each.place.share * MEMORY_SLICES) for each in self.options]
        weights = (10_000 + 100 * rank + size for rank, size in zip(ranks, sizes, strict=True))
        return sum(weight * x for weight, x in zip(weights, self.x, strict=True))

    def _gpus(self, g: int) -> int:
        free = Limit("count", g)
        loose = self.relaxed.assumed or free in self.relaxed.left_out or free == self.relaxed.slack
        return _MANY if loose else self.order.pools[g].group.count

    def _most(self, option: Option) -> int:
        model = self.order.models.model[option.model]
        rate = model.requests_per_second + sum(each.requests_per_second for each in model.adapter)
        enough = int(rate * MILLI / option.milli_rate) + 2 + len(model.adapter) + model.min_replicas
        return min(enough, self._gpus(option.pool) * (7 if option.place.profile else 1))

    def _whole(self, g: int, gpus: int = 0) -> list[tuple[int, Any]]:
        """GPUs and count of every option on whole GPUs of a group (or on groups of at least so many)."""
        pairs = zip(self.options, self.x, strict=True)
        return [
            (each.place.gpus, x)
            for each, x in pairs
            if each.pool == g and each.place.profile is None and each.place.gpus >= gpus
        ]

    def _used(self, g: int) -> Any:  # noqa: ANN401 - as above
        return sum(self.y[g]) + sum(gpus * x for gpus, x in self._whole(g))

    def _enforce(self, limit: Limit, constraint: Any) -> None:  # noqa: ANN401 - as above
        if not self.relaxed.assumed:
            return
        known = next((at for at, each in self.assumed.items() if each == limit), None)
        literal = self.model.new_bool_var(f"{limit.kind}{limit.index}") if known is None else None
        if literal is not None:
            self.assumed[literal.index] = limit
            self.model.add_assumption(literal)
        else:
            literal = self.model.get_bool_var_from_proto_index(known)
        constraint.only_enforce_if(literal)

    def _supply(self, g: int) -> None:
        pool, limit = self.order.pools[g], Limit("count", g)
        for cut in dict.fromkeys(profile.cut for profile in pool.kind.profiles):
            pairs = zip(self.options, self.x, strict=True)
            wanted = sum(x for each, x in pairs if each.pool == g and each.place.cut == cut)
            there = sum(each.counts[cut] * y for each, y in zip(layouts(), self.y[g], strict=True))
            self.model.add(wanted <= there)
        if limit in self.relaxed.left_out:
            return
        extra = self.slack if limit == self.relaxed.slack else 0
        self._enforce(limit, self.model.add(self._used(g) <= pool.group.count + extra))
        for gpus in sorted({size for size, _ in self._whole(g) if size > 1}):
            groups = sum((size // gpus) * x for size, x in self._whole(g, gpus))
            more: Any = 0
            if limit == self.relaxed.slack:
                more = self.model.new_int_var(0, _MANY, f"more{g}.{gpus}")
                self.model.add(gpus * more <= self.slack)
            self._enforce(limit, self.model.add(groups <= room_for(pool.group, gpus) + more))

    def _demand(self, m: int) -> None:
        limit, model = Limit("demand", m), self.order.models.model[m]
        if limit in self.relaxed.left_out:
            return
        pairs = zip(self.options, self.x, strict=True)
        mine = [(each, x) for each, x in pairs if each.model == m]
        self._enforce(limit, self.model.add(sum(x for _, x in mine) >= model.min_replicas))
        lacking = self.slack if limit == self.relaxed.slack else 0
        if not model.adapter:
            served = sum(each.milli_rate * x for each, x in mine)
            self._enforce(limit, self.model.add(served + lacking >= _milli(model.requests_per_second)))
            return
        self._flows(limit, m, mine, lacking)

    def _flows(self, limit: Limit, m: int, mine: list[tuple[Option, Any]], lacking: Any) -> None:  # noqa: ANN401
        """Requests of the model itself may go to any replica, an adapter's only to those that carry it."""
        model = self.order.models.model[m]
        wanted = {"": model.requests_per_second}
        wanted |= {each.name: each.requests_per_second for each in model.adapter}
        sent: list[list[Any]] = [[] for _ in mine]
        missing = []
        for name, rate in wanted.items():
            to = [at for at, (each, _) in enumerate(mine) if not name or name in each.replica.adapters]
            flows = [self.model.new_int_var(0, _milli(rate), f"f{m}.{name}.{at}") for at in to]
            for at, flow in zip(to, flows, strict=True):
                sent[at].append(flow)
            unserved = self.model.new_int_var(0, _milli(rate) if limit == self.relaxed.slack else 0, "")
            missing.append(unserved)
            self._enforce(limit, self.model.add(sum(flows) + unserved >= _milli(rate)))
            if name:
                self._enforce(limit, self.model.add(sum(mine[at][1] for at in to) >= 1))
        for (each, x), flows in zip(mine, sent, strict=True):
            self.model.add(sum(flows) <= each.milli_rate * x)
        if limit == self.relaxed.slack:
            self.model.add(sum(missing) <= lacking)

    def _budget(self) -> None:
        limit, most = Limit("budget"), self.order.gpus.max_usd_per_hour
        if most is None or limit in self.relaxed.left_out:
            return
        extra = self.slack if limit == self.relaxed.slack else 0
        self._enforce(limit, self.model.add(self.cost <= round(most * UNITS_PER_USD) + extra))


def _milli(rate: float) -> int:
    """Requests in 1,000 seconds, rounded up."""
    return -int(-rate * MILLI // 1)
