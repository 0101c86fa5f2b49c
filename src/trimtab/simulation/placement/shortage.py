"""Why there is no placement: a model that no place can hold, or a smallest set of limits that exclude each other; and
for each limit what would have to change.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from trimtab.config import Key, Source
from trimtab.simulation.placement.demand import Model
from trimtab.simulation.placement.files import Order
from trimtab.simulation.placement.gpus import PRECISIONS
from trimtab.simulation.placement.options import MILLI, Choices, choices_of
from trimtab.simulation.placement.program import UNITS_PER_USD, Limit, Relaxed, limits_of
from trimtab.simulation.placement.solve import relaxed

_GROUPS_TRIED = (1, 2, 4, 8)
_MOST_BUMPS = 8
# Many solves make one answer; each has this part of the time.
_PARTS = 10


class Lack(msgspec.Struct, frozen=True):
    """One limit in the way: whose, where it stands, what is wrong, what to change."""

    subject: str
    file: str
    line: int
    key: str
    message: str
    remedy: str


class Shortage(msgspec.Struct, frozen=True):
    """No placement. `unknown`: none was found in time, and none was excluded."""

    lacks: tuple[Lack, ...]
    unknown: bool = False


def homeless(order: Order, choices: Sequence[Choices]) -> tuple[Lack, ...]:
    """The models that fit no place of any GPU group, with every single key whose change would give them one."""
    return tuple(
        lack for index, some in enumerate(choices) if not some.options for lack in _unfit(order, index, some)
    )


def conflict(order: Order, choices: Sequence[Choices], seconds: float, seed: int) -> tuple[Lack, ...]:
    """A smallest set of limits that cannot hold together (leave any one out and the rest can)."""
    seconds /= _PARTS
    core = set(relaxed(order, choices, Relaxed(assumed=True), seconds, seed).core) or set(limits_of(order))
    everything = frozenset(limits_of(order))
    for limit in sorted(core, key=lambda each: (each.kind != "demand", each.index)):
        without = everything - frozenset(core - {limit})
        if relaxed(order, choices, Relaxed(without), seconds, seed).status == "infeasible":
            core.discard(limit)
    return tuple(_lack(order, choices, limit, seconds, seed) for limit in sorted(core))


def _lack(order: Order, choices: Sequence[Choices], limit: Limit, seconds: float, seed: int) -> Lack:
    found = relaxed(order, choices, Relaxed(slack=limit), seconds, seed)
    enough = found.status in ("optimal", "feasible")
    if limit.kind == "count":
        return _count_lack(order, choices, limit, found.slack if enough else None, seconds, seed)
    if limit.kind == "budget":
        most = order.gpus.max_usd_per_hour or 0.0
        needed = most + found.slack / UNITS_PER_USD
        remedy = f"raise it to {needed:.2f}" if enough else "raising it alone is not enough"
        return _at(
            order.gpus_source, ("max_usd_per_hour",), "the budget", f"{most:g} USD/h is too little", remedy
        )
    model = order.models.model[limit.index]
    asked = model.requests_per_second + sum(each.requests_per_second for each in model.adapter)
    served = max(0.0, asked - found.slack / MILLI)
    remedy = (
        f"at most {served:.2f}/s can be served beside the rest"
        if enough
        else "lowering it alone is not enough"
    )
    key: Key = ("model", limit.index, "requests_per_second")
    return _at(order.models_source, key, model.name, f"{asked:g} requests/s cannot be served", remedy)


def _count_lack(
    order: Order, choices: Sequence[Choices], limit: Limit, slack: int | None, seconds: float, seed: int
) -> Lack:
    group = order.pools[limit.index].group
    remedy = "more of them alone are not enough"
    if slack is not None:
        remedy = f"raise it to about {group.count + slack}"
        for bump in range(_MOST_BUMPS):
            enlarged = _with_count(order, limit.index, group.count + slack + bump)
            if relaxed(enlarged, choices, Relaxed(), seconds, seed).status in ("optimal", "feasible"):
                remedy = f"raise it to {group.count + slack + bump}"
                break
    message = f"{group.count} of them {'is' if group.count == 1 else 'are'} too few"
    return _at(order.gpus_source, ("gpu", limit.index, "count"), group.kind, message, remedy)


def _with_count(order: Order, index: int, count: int) -> Order:
    pool = order.pools[index]
    group = msgspec.structs.replace(pool.group, count=count)
    pools = list(order.pools)
    pools[index] = msgspec.structs.replace(pool, group=group)
    return msgspec.structs.replace(order, pools=tuple(pools))


def _unfit(order: Order, index: int, choices: Choices) -> Iterator[Lack]:
    model = order.models.model[index]
    found = False
    for field, changed, remedy in _changes(model, choices):
        models = list(order.models.model)
        models[index] = changed
        tried = msgspec.structs.replace(
            order, models=msgspec.structs.replace(order.models, model=tuple(models))
        )
        if choices_of(tried, index).options:
            found = True
            message = f"no place of any GPU group here can hold a replica ({_reasons(choices)})"
            yield _at(order.models_source, ("model", index, field), model.name, message, remedy(changed))
    if not found:
        message = f"no place of any GPU group here can hold a replica ({_reasons(choices)})"
        remedy_text = (
            "no single key helps: add larger GPUs to gpus.toml, or allow fewer bits and larger groups"
        )
        yield _at(order.models_source, ("model", index), model.name, message, remedy_text)


def _changes(model: Model, choices: Choices) -> Iterator[tuple[str, Model, Callable[[Model], str]]]:
    """One key changed at a time, as far as it may help."""
    replace = msgspec.structs.replace
    groups = tuple(sorted({*_GROUPS_TRIED, *model.tensor_parallel}))
    yield (
        "tensor_parallel",
        replace(model, tensor_parallel=groups),
        lambda changed: "allow larger groups, as [1, 2, 4, 8]",
    )
    every = tuple(each for each in PRECISIONS if each in model.precisions) + tuple(
        each for each in PRECISIONS if each not in model.precisions
    )
    yield (
        "precisions",
        replace(model, precisions=every),
        lambda changed: "allow fewer bits: fp8, int8 or int4",
    )
    shortest = model.input_tokens + model.output_tokens
    if shortest < model.max_context_tokens:
        shorter = replace(model, max_context_tokens=shortest)
        yield "max_context_tokens", shorter, lambda changed: f"lower it (its requests need {shortest:,})"
    for field in ("ttft_seconds", "tpot_milliseconds"):
        reached = [each.why.needed for each in choices.rejected if each.why.limit == field]
        if reached:
            least = min(reached) * 1.001
            yield (
                field,
                replace(model, **{field: least}),
                lambda changed, least=least: f"allow {least:.3g}, the least that a place here reaches",  # type: ignore[misc]
            )


def _reasons(choices: Choices) -> str:
    """The nearest miss of each kind."""
    said = []
    memory = [each for each in choices.rejected if each.why.limit == "memory"]
    if memory:
        near = min(memory, key=lambda each: each.why.needed - each.why.there)
        said.append(
            f"memory: {near.precision} on {near.place.name} needs {near.why.needed:.1f} GiB "
            f"with one full context, {near.why.there:.1f} are there"
        )
    for limit, unit in (("ttft_seconds", "s"), ("tpot_milliseconds", "ms")):
        missed = [each for each in choices.rejected if each.why.limit == limit]
        if missed:
            near = min(missed, key=lambda each: each.why.needed)
            name = "TTFT" if unit == "s" else "TPOT"
            said.append(f"{name}: {near.why.needed:.3g} {unit} on {near.place.name}")
    if any(each.why.limit == "precision" for each in choices.rejected):
        kinds = sorted({each.place.kind.name for each in choices.rejected if each.why.limit == "precision"})
        said.append(f"precision: not on {', '.join(kinds)}")
    return "; ".join(said) or "nothing it may use is there"


def _at(source: Source, key: Key, subject: str, message: str, remedy: str) -> Lack:
    error = source.error(key, message)
    return Lack(subject, error.file, error.line, error.key, message, remedy)
