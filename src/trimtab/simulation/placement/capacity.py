"""What one replica of a model can do on one place (a MIG instance, a GPU, a tensor-parallel group), or why it cannot.

A roofline: prefill is bound by compute, decode by reading weights and KV cache once a step. Its figures are given,
not calibrated: they rank places well, and are no promise of latency. Pure.
"""

from typing import Literal

import msgspec

from trimtab.simulation.placement.demand import Adapter, GpuFile, Model
from trimtab.simulation.placement.gpus import BITS, GpuKind, Profile
from trimtab.simulation.sheets import Precision

GIB = float(1 << 30)
# Shares of published peak speed that serving engines reach, and what tensor parallelism leaves of it.
_COMPUTE_REACHED, _BANDWIDTH_REACHED = 0.5, 0.7
_PARALLEL_LEAVES = {1: 1.0, 2: 0.9, 4: 0.8, 8: 0.7}
_STEP_SECONDS = 0.003
_OVERHEAD_GIB = 1.0
_MOST_AT_ONCE = 256

Limit = Literal["precision", "memory", "tpot_milliseconds", "ttft_seconds", "too slow"]


class Place(msgspec.Struct, frozen=True):
    """Where a replica may stand: `gpus` whole ones of a kind, or one MIG instance of a profile."""

    kind: GpuKind
    profile: Profile | None = None
    gpus: int = 1

    @property
    def cut(self) -> str:
        """The profile's cut; empty for whole GPUs."""
        return self.profile.cut if self.profile else ""

    @property
    def memory_gib(self) -> float:
        """All of its memory."""
        return (self.profile.memory_gib if self.profile else self.kind.memory_gib) * self.gpus

    @property
    def share(self) -> float:
        """How much of a GPU it takes, by memory; above 1 for groups."""
        return self.profile.memory_share if self.profile else float(self.gpus)

    @property
    def name(self) -> str:
        """As people say it."""
        if self.profile is not None:
            return f"{self.kind.name} {self.profile.name}"
        return f"{self.gpus} x {self.kind.name}" if self.gpus > 1 else self.kind.name


class Memory(msgspec.Struct, frozen=True):
    """How a replica's memory is used, in GiB; the KV cache has what the rest leaves."""

    usable: float
    weights: float
    adapters: float
    overhead: float

    @property
    def kv_cache(self) -> float:
        """GiB left for the KV cache; below 0 where the rest does not fit."""
        return self.usable - self.weights - self.adapters - self.overhead


class Replica(msgspec.Struct, frozen=True):
    """What a replica can do: requests at once, requests per second, seconds to first token and for each further."""

    precision: Precision
    adapters: tuple[str, ...]
    memory: Memory
    kv_tokens: int
    at_once: int
    bound_by: Literal["KV cache", "TPOT", "batch"]
    rate: float
    ttft_seconds: float
    tpot_seconds: float


class Unfit(msgspec.Struct, frozen=True):
    """Why a replica cannot stand there: the limit that forbids it, and what it would have needed or reached."""

    limit: Limit
    needed: float
    there: float


class _Speed(msgspec.Struct, frozen=True):
    """Seconds of one request's prefill, of a decode step's fixed part, and of what each request adds to a step."""

    prefill: float
    step: float
    each: float


def capacity(
    model: Model, place: Place, precision: Precision, adapters: tuple[Adapter, ...], terms: GpuFile
) -> Replica | Unfit:
    """What a replica of this precision with these adapters does there."""
    tflops = place.kind.tflops.get(precision)
    if tflops is None:
        return Unfit("precision", 0, 0)
    memory = _memory(model, place, precision, adapters, terms.memory_share)
    kv_tokens = int(max(0.0, memory.kv_cache) * GIB // model.kv_bytes_per_token)
    if kv_tokens < model.max_context_tokens:
        kv = model.max_context_tokens * model.kv_bytes_per_token / GIB
        return Unfit("memory", memory.usable - memory.kv_cache + kv, memory.usable)
    speed = _speed(model, place, tflops, memory.weights)
    most = _MOST_AT_ONCE
    by_kv = kv_tokens // (model.input_tokens + model.output_tokens)
    by_tpot = _at_once_within(speed, model)
    at_once = min(most, by_kv, by_tpot)
    if at_once < 1:
        return Unfit("tpot_milliseconds", 1000 * _tpot(speed, model, 1), model.tpot_milliseconds)
    tpot = _tpot(speed, model, at_once)
    rate = terms.max_utilisation * at_once / (model.output_tokens * tpot)
    ttft = speed.prefill / max(1e-9, 1.0 - min(1.0, rate * speed.prefill)) + tpot
    if ttft > model.ttft_seconds:
        return Unfit("ttft_seconds", ttft, model.ttft_seconds)
    bound: Literal["KV cache", "TPOT", "batch"] = (
        "batch" if at_once == most else ("KV cache" if at_once == by_kv else "TPOT")
    )
    names = tuple(each.name for each in adapters)
    return Replica(precision, names, memory, kv_tokens, at_once, bound, rate, ttft, tpot)


def weights_gib(model: Model, precision: Precision) -> float:
    """GiB of the weights: as given, else by parameters and bits with 2 % more for scales."""
    given = model.weights_gib.get(precision)
    return given if given is not None else model.parameters_billion * 1e9 * BITS[precision] / 8 * 1.02 / GIB


def _memory(
    model: Model, place: Place, precision: Precision, adapters: tuple[Adapter, ...], share: float
) -> Memory:
    loaded = sum(each.gib for each in adapters)
    return Memory(place.memory_gib * share, weights_gib(model, precision), loaded, _OVERHEAD_GIB * place.gpus)


def _speed(model: Model, place: Place, tflops: float, weights: float) -> _Speed:
    leaves = _PARALLEL_LEAVES.get(place.gpus, 0.6) * place.gpus
    compute_share, memory_share = 1.0, 1.0
    if place.profile is not None:
        compute_share, memory_share = place.profile.compute_share, place.profile.memory_share
    flops = tflops * 1e12 * compute_share * leaves * _COMPUTE_REACHED
    bandwidth = place.kind.bandwidth_gb_per_second * 1e9 * memory_share * leaves * _BANDWIDTH_REACHED
    a_token = 2e9 * (model.active_billion or model.parameters_billion)
    context = model.input_tokens + model.output_tokens / 2
    return _Speed(
        prefill=a_token * model.input_tokens * (1 - model.cached_share) / flops,
        step=_STEP_SECONDS + weights * GIB / bandwidth,
        each=context * model.kv_bytes_per_token / bandwidth + a_token / flops,
    )


def _tpot(speed: _Speed, model: Model, at_once: int) -> float:
    """Seconds a token with so many at once: the step, and the prefills of others that come between (Little's law)."""
    return speed.step + at_once * (speed.each + speed.prefill / model.output_tokens)


def _at_once_within(speed: _Speed, model: Model) -> int:
    left = model.tpot_milliseconds / 1000 - speed.step
    return int(max(0.0, left) // (speed.each + speed.prefill / model.output_tokens))
