"""The planner: files in, a placement out beside first fit decreasing, each choice explained; or what is in the way."""

from collections.abc import Sequence

import msgspec

from trimtab.simulation.placement.capacity import Memory
from trimtab.simulation.placement.commands import mig_commands, vllm_commands
from trimtab.simulation.placement.files import Order
from trimtab.simulation.placement.greedy import Greedy, first_fit
from trimtab.simulation.placement.options import Choices, Option, choices_of
from trimtab.simulation.placement.seats import seat
from trimtab.simulation.placement.shortage import Shortage, conflict, homeless
from trimtab.simulation.placement.solve import Solved, Status, cheapest

NOT_MODELLED = (
    "speeds are a roofline of published figures: given, not calibrated; measure before you buy",
    "not modelled: interconnect between machines, attention's own compute, prefix-cache eviction, speculative "
    "decoding, load peaks (max_utilisation leaves room), failure of a machine",
)


class Line(msgspec.Struct, frozen=True):
    """Like replicas of one model on like places, and why so."""

    model: str
    replicas: int
    place: str
    precision: str
    adapters: tuple[str, ...]
    memory: Memory
    kv_gib: float
    at_once: int
    bound_by: str
    requests_per_second: float
    ttft_seconds: float
    tpot_milliseconds: float
    usd_per_hour: float
    why: str


class Placement(msgspec.Struct, frozen=True):
    """A placement, the baselines, and the commands that make it real. Not `repeatable`: the clock ended the search."""

    status: Status
    usd_per_hour: float
    bound_usd_per_hour: float
    gap: float
    seconds: float
    repeatable: bool
    gpus: dict[str, int]
    lines: tuple[Line, ...]
    first_fit: Greedy
    whole_gpus: Greedy
    mig: tuple[str, ...]
    vllm: tuple[str, ...]
    notes: tuple[str, ...] = NOT_MODELLED


def plan(order: Order, seconds: float, seed: int = 0) -> Placement | Shortage:
    """The cheapest placement found in `seconds`. Raises ConfigError where OR-tools is not installed."""
    choices = [choices_of(order, index) for index in range(len(order.models.model))]
    if lacks := homeless(order, choices):
        return Shortage(lacks)
    greedy = first_fit(order, choices, cut=True)
    solved = cheapest(order, choices, seconds, seed, greedy)
    if solved.status == "infeasible":
        return Shortage(conflict(order, choices, seconds, seed))
    if solved.status == "unknown":
        return Shortage((), unknown=True)
    return _placement(order, choices, solved, greedy.greedy)


def _placement(order: Order, choices: Sequence[Choices], solved: Solved, greedy: Greedy) -> Placement:
    seating = seat(order, solved)
    gpus = {pool.group.kind: 0 for pool in order.pools}
    for option, count in solved.replicas:
        if option.place.profile is None:
            gpus[order.pools[option.pool].group.kind] += option.place.gpus * count
    for pool, counts in zip(order.pools, solved.layouts, strict=True):
        gpus[pool.group.kind] += sum(counts)
    return Placement(
        status=solved.status,
        usd_per_hour=solved.usd_per_hour,
        bound_usd_per_hour=solved.bound_usd,
        gap=solved.gap,
        seconds=solved.seconds,
        repeatable=solved.repeatable,
        gpus=gpus,
        lines=tuple(_line(order, choices, option, count) for option, count in solved.replicas),
        first_fit=greedy,
        whole_gpus=first_fit(order, choices, cut=False).greedy,
        mig=tuple(mig_commands(order, seating)),
        vllm=tuple(vllm_commands(order, seating)),
    )


def _line(order: Order, choices: Sequence[Choices], option: Option, count: int) -> Line:
    replica = option.replica
    return Line(
        model=order.models.model[option.model].name,
        replicas=count,
        place=option.place.name,
        precision=replica.precision,
        adapters=replica.adapters,
        memory=replica.memory,
        kv_gib=replica.memory.kv_cache,
        at_once=replica.at_once,
        bound_by=replica.bound_by,
        requests_per_second=replica.rate,
        ttft_seconds=replica.ttft_seconds,
        tpot_milliseconds=1000 * replica.tpot_seconds,
        usd_per_hour=option.usd_per_hour,
        why=_why(order, choices[option.model], option),
    )


def _why(order: Order, choices: Choices, option: Option) -> str:
    """The choice beside the model's other ways, by what a million requests cost there."""
    ranked = sorted(choices.options, key=lambda each: each.usd_per_million)
    place = ranked.index(option) + 1
    said = [
        f"{option.usd_per_million:,.2f} USD a million requests at full use, number {place} of {len(ranked)} ways"
    ]
    if place > 1:
        best = ranked[0]
        said.append(
            f"the cheapest, {best.replica.precision} on {best.place.name} ({best.usd_per_million:,.2f}), "
            "gives way: it needs rates, GPUs or slices that do not come out even"
        )
    elif len(ranked) > 1:
        other = ranked[1]
        said.append(f"next: {other.replica.precision} on {other.place.name} ({other.usd_per_million:,.2f})")
    excluded: dict[str, int] = {}
    for each in choices.rejected:
        excluded[each.why.limit] = excluded.get(each.why.limit, 0) + 1
    if excluded:
        said.append(
            "ruled out: " + ", ".join(f"{count} by {limit}" for limit, count in sorted(excluded.items()))
        )
    return "; ".join(said)
