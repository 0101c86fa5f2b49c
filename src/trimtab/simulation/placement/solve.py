"""Solves the program within a bounded time: the cheapest placement, then among those the one with the fewest replicas.

One worker, a fixed seed and a limit in CP-SAT's own deterministic time: the same files give the same placement on every
machine, unless it is so slow that the clock runs out first, which is told.
"""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from trimtab.simulation.placement.cpsat import cp_model
from trimtab.simulation.placement.files import Order
from trimtab.simulation.placement.greedy import Filled
from trimtab.simulation.placement.layouts import fits
from trimtab.simulation.placement.options import Choices, Option
from trimtab.simulation.placement.program import UNITS_PER_USD, Limit, Program, Relaxed

# Of a second of the clock; about a third was seen on a busy core.
_DETERMINISTIC = 0.1
_COST_SHARE, _TASTE_SHARE = 0.8, 0.2

Status = Literal["optimal", "feasible", "infeasible", "unknown"]


class Solved(msgspec.Struct, frozen=True):
    """What CP-SAT found. `bound_usd`: no placement can be cheaper; `layouts[g][l]`: GPUs of group g with layout l."""

    status: Status
    usd_per_hour: float = 0.0
    bound_usd: float = 0.0
    seconds: float = 0.0
    replicas: tuple[tuple[Option, int], ...] = ()
    layouts: tuple[tuple[int, ...], ...] = ()
    slack: int = 0
    core: frozenset[Limit] = frozenset()
    repeatable: bool = True

    @property
    def gap(self) -> float:
        """How far above the bound the cost may be, as a share of the cost."""
        return max(0.0, 1 - self.bound_usd / self.usd_per_hour) if self.usd_per_hour else 0.0


def cheapest(order: Order, choices: Sequence[Choices], seconds: float, seed: int, start: Filled) -> Solved:
    """The cheapest placement found in `seconds`, beginning from a greedy one. Raises ConfigError without OR-tools."""
    began = time.perf_counter()
    program = Program(order, choices)
    program.model.minimize(program.cost)
    if not start.greedy.failed:
        _hint(program, start)
    solver, status = _run(program, seconds * _COST_SHARE, seed)
    in_time = solver.wall_time < seconds * _COST_SHARE
    if status not in ("optimal", "feasible"):
        return Solved(status, seconds=time.perf_counter() - began)
    cost, bound = round(solver.objective_value), solver.best_objective_bound
    best = _solved(program, solver, status, cost / UNITS_PER_USD, min(bound, cost) / UNITS_PER_USD)
    program.model.clear_hints()
    for variable in (*program.x, *(each for some in program.y for each in some)):
        program.model.add_hint(variable, solver.value(variable))
    program.model.add(program.cost <= cost)
    program.model.minimize(program.taste)
    solver, again = _run(program, seconds * _TASTE_SHARE, seed)
    if again in ("optimal", "feasible"):
        best = _solved(program, solver, status, cost / UNITS_PER_USD, best.bound_usd)
    in_time = in_time and solver.wall_time < seconds * _TASTE_SHARE
    return msgspec.structs.replace(best, seconds=time.perf_counter() - began, repeatable=in_time)


def relaxed(order: Order, choices: Sequence[Choices], how: Relaxed, seconds: float, seed: int) -> Solved:
    """Solved with limits left out or with a slack, which is made as small as can be."""
    program = Program(order, choices, how)
    if how.slack is not None:
        program.model.minimize(program.slack)
    solver, status = _run(program, seconds, seed)
    if status == "infeasible" and how.assumed:
        core = solver.sufficient_assumptions_for_infeasibility()
        return Solved(status, core=frozenset(program.assumed[at] for at in core))
    slack = solver.value(program.slack) if how.slack is not None and status in ("optimal", "feasible") else 0
    return Solved(status, slack=slack)


def _hint(program: Program, start: Filled) -> None:
    """Where to begin: as many replicas and cut GPUs as the greedy placement has."""
    replicas = Counter(id(each) for each in start.options)
    for option, x in zip(program.options, program.x, strict=True):
        program.model.add_hint(x, replicas[id(option)])
    cut = Counter((pool, fits(counts)) for pool, counts in start.cut)
    for g, some in enumerate(program.y):
        for at, y in enumerate(some):
            program.model.add_hint(y, cut[g, at])


def _run(program: Program, seconds: float, seed: int) -> tuple[Any, Status]:
    module = cp_model()
    solver = module.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    # The relaxation as a linear program is what proves: without it the same placements take minutes.
    solver.parameters.linearization_level = 2
    solver.parameters.max_deterministic_time = seconds * _DETERMINISTIC
    solver.parameters.max_time_in_seconds = seconds
    found = solver.solve(program.model)
    names: dict[Any, Status] = {
        module.OPTIMAL: "optimal",
        module.FEASIBLE: "feasible",
        module.INFEASIBLE: "infeasible",
    }
    return solver, names.get(found, "unknown")


def _solved(program: Program, solver: Any, status: Status, usd: float, bound: float) -> Solved:  # noqa: ANN401
    pairs = ((each, solver.value(x)) for each, x in zip(program.options, program.x, strict=True))
    layouts = tuple(tuple(solver.value(y) for y in some) for some in program.y)
    return Solved(status, usd, bound, replicas=tuple((o, n) for o, n in pairs if n), layouts=layouts)
