"""Figures of GPUs and models, and the speed of a server made of them: measured profiles where there are any.

Where no profile was measured, the speed is worked out from data sheets and marked 'given, not calibrated'.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from trimtab.scheduling import Speed
from trimtab.simulation.sheets import SHEETS, GpuSheet

Precision = Literal["fp16", "fp8", "int4"]

_BYTES: Mapping[Precision, float] = {"fp16": 2.0, "fp8": 1.0, "int4": 0.5}
_BITS: Mapping[Precision, int] = {"fp16": 16, "fp8": 8, "int4": 4}
# What the profiles of Vidur reach of the data sheets: weights read at 0.70 of the bandwidth (0.66 to 0.77), prompts
# computed at 0.64 of the dense rate (0.63 to 0.73).
_BANDWIDTH_SHARE = 0.70
_COMPUTE_SHARE = 0.64
_ATTENTION_SHARE = 0.40
_MEMORY_SHARE = 0.90
GIVEN = "given, not calibrated"


class Gpu(msgspec.Struct, frozen=True):
    """A kind of GPU: memory in GB, its data sheet, an assumed price an hour in USD."""

    memory_gb: float
    sheet: GpuSheet
    hour_usd: float

    def tflops(self, precision: Precision) -> float:
        """Where a precision has no tensor cores, it is computed with in fp16."""
        return self.sheet.tflops.get(precision, self.sheet.tflops["fp16"])


# Prices are assumed round figures for rented GPUs; set `hour_usd` to yours.
GPUS: Mapping[str, Gpu] = {
    "H100": Gpu(80, SHEETS["H100 SXM"], 2.5),
    "H200": Gpu(141, SHEETS["H200 SXM"], 3.5),
    "A100": Gpu(80, SHEETS["A100 80GB"], 1.5),
    "L40S": Gpu(48, SHEETS["L40S"], 0.9),
    "A10G": Gpu(24, SHEETS["A10G"], 0.6),
}


class Architecture(msgspec.Struct, frozen=True):
    """A dense decoder: parameters in billions, layers, attention's key-value heads, all heads, a head's size."""

    billions: float
    layers: int
    kv_heads: int
    heads: int
    head_size: int = 128

    def kv_bytes(self, precision: Precision) -> float:
        """Of one token's keys and values; kept in fp8 where weights are, else in fp16."""
        return 2.0 * self.layers * self.kv_heads * self.head_size * (1.0 if precision == "fp8" else 2.0)


MODELS: Mapping[str, Architecture] = {
    "llama-70b": Architecture(70.0, 80, 8, 64),
    "llama-8b": Architecture(8.0, 32, 8, 32),
    "llama-7b": Architecture(6.7, 32, 32, 32),
}


class _Measured(msgspec.Struct, frozen=True):
    base_ms: float
    call_ms: float
    prefill_tokens_a_second: float


# Fitted to the medians of the operators' profiles in microsoft/vidur (MIT), data/profiling/compute/*/mlp.csv: base and
# call over 1 to 128 tokens, prefill over 1,024 tokens and more. Attention and network come from data sheets.
_PROFILES: Mapping[tuple[str, str, Precision, int], _Measured] = {
    ("H100", "llama-70b", "fp16", 2): _Measured(25.82, 0.0217, 9515),
    ("H100", "llama-70b", "fp16", 4): _Measured(14.77, 0.0130, 17967),
    ("H100", "llama-70b", "fp16", 8): _Measured(8.55, 0.0155, 33501),
    ("H100", "llama-7b", "fp16", 1): _Measured(5.61, 0.0109, 47638),
    ("A100", "llama-70b", "fp16", 4): _Measured(24.63, 0.0696, 6465),
    ("A100", "llama-7b", "fp16", 1): _Measured(8.80, 0.0293, 15457),
    ("A100", "llama-8b", "fp16", 1): _Measured(9.77, 0.0294, 15039),
}


class Profile(msgspec.Struct, frozen=True):
    """What a server of some GPUs does with one model. `source`: a measured profile, or `GIVEN`."""

    speed: Speed
    kv_tokens: int
    precision_bits: int
    hour_usd: float
    source: str


def profile(gpu: str, model: str, precision: Precision, gpus: int) -> Profile:
    """The figures of one server. Raises `KeyError` for a GPU or model that is not in the tables.

    `kv_tokens` is below 1 where the weights leave no room.
    """
    kind, shape = GPUS[gpu], MODELS[model]
    measured = _PROFILES.get((gpu, model, precision, gpus))
    rate = gpus * kind.sheet.bandwidth_gb_per_second * 1e9 * _BANDWIDTH_SHARE
    flops = gpus * 1e12 * kind.tflops(precision)
    weights = shape.billions * 1e9 * _BYTES[precision]
    attention = 4.0 * shape.layers * shape.heads * shape.head_size
    told = measured or _Measured(
        1e3 * weights / rate, 0.013, _COMPUTE_SHARE * flops / (2.0 * shape.billions * 1e9)
    )
    return Profile(
        Speed(
            base_seconds=told.base_ms / 1e3,
            prefill_seconds=1.0 / told.prefill_tokens_a_second,
            call_seconds=told.call_ms / 1e3,
            context_seconds=shape.kv_bytes(precision) / rate,
            attention_seconds=attention / (_ATTENTION_SHARE * gpus * kind.tflops("fp16") * 1e12),
        ),
        int((gpus * kind.memory_gb * 1e9 * _MEMORY_SHARE - weights) / shape.kv_bytes(precision)),
        _BITS[precision],
        gpus * kind.hour_usd,
        "operator profiles of Vidur" if measured else GIVEN,
    )
