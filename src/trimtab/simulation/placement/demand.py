"""What is to be placed: models with their size, demand and service-level objectives; and the GPUs there are."""

from typing import Annotated

import msgspec
from msgspec import Meta

from trimtab.simulation.sheets import Precision

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Positive = Annotated[float, Meta(gt=0, le=1e9)]
Rate = Annotated[float, Meta(ge=0, le=1e6)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Adapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A LoRA adapter of a model, with requests of its own."""

    name: Name
    gib: Positive = 0.2
    rank: Annotated[int, Meta(ge=1, le=512)] = 16
    requests_per_second: Rate = 0.0
    path: str = ""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model. `precisions` is its quality floor: what its tasks tolerate, the best first.

    `kv_bytes_per_token` = 2 x layers x KV heads x head size x bytes of an element. TTFT: seconds to the first token;
    TPOT: milliseconds for each further one. `cached_share`: of the prompt, found in the prefix cache.
    `active_billion`: parameters that compute one token, where not all do.
    """

    name: Name
    parameters_billion: Positive
    kv_bytes_per_token: Annotated[int, Meta(ge=1, le=100_000_000)]
    requests_per_second: Rate
    input_tokens: Annotated[int, Meta(ge=1, le=10_000_000)]
    output_tokens: Annotated[int, Meta(ge=1, le=1_000_000)]
    precisions: Annotated[tuple[Precision, ...], Meta(min_length=1)] = ("fp16",)
    cached_share: Share = 0.0
    max_context_tokens: Annotated[int, Meta(ge=1, le=100_000_000)] = 8192
    ttft_seconds: Positive = 5.0
    tpot_milliseconds: Positive = 100.0
    tensor_parallel: Annotated[tuple[Annotated[int, Meta(ge=1, le=64)], ...], Meta(min_length=1)] = (1,)
    min_replicas: Annotated[int, Meta(ge=1, le=10_000)] = 1
    active_billion: Positive | None = None
    weights_gib: dict[Precision, Positive] = {}
    checkpoint: dict[Precision, Name] = {}
    adapter: tuple[Adapter, ...] = ()


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A models.toml."""

    model: Annotated[tuple[Model, ...], Meta(min_length=1)]


class GpuGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """GPUs of one kind in machines of `node_size` (a tensor-parallel group never leaves its machine).

    The figures of a kind that is not known by name are given here; those of a known one may be corrected.
    """

    kind: Name
    count: Count
    usd_per_hour: Positive
    node_size: Annotated[int, Meta(ge=1, le=64)] = 8
    mig: bool = True
    memory_gib: Positive | None = None
    bandwidth_gb_per_second: Positive | None = None
    tflops: dict[Precision, Positive] = {}
    mig_memory_gib: dict[str, Positive] = {}


class GpuFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A gpus.toml. `max_usd_per_hour` bounds what may be used of it; `max_utilisation` of a replica's top rate."""

    gpu: Annotated[tuple[GpuGroup, ...], Meta(min_length=1)]
    max_usd_per_hour: Positive | None = None
    max_utilisation: Annotated[float, Meta(gt=0, le=1)] = 0.7
    memory_share: Annotated[float, Meta(gt=0, le=1)] = 0.9
