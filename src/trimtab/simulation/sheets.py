"""What the makers' data sheets say of GPUs: one table for the simulated cluster and for the placement planner."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Precision = Literal["fp16", "fp8", "int8", "int4"]


class GpuSheet(msgspec.Struct, frozen=True):
    """Memory's bandwidth in GB/s, and dense TFLOPS by precision; without fp8 there, it has no fp8 tensor cores. int4
    means weights of 4 bits, which are computed with in 16."""

    bandwidth_gb_per_second: float
    tflops: Mapping[Precision, float]


_AMPERE: Mapping[Precision, float] = {"fp16": 312.0, "int8": 624.0, "int4": 312.0}
_HOPPER: Mapping[Precision, float] = {"fp16": 989.0, "fp8": 1979.0, "int8": 1979.0, "int4": 989.0}
SHEETS: Mapping[str, GpuSheet] = {
    "A100 40GB": GpuSheet(1555, _AMPERE),
    "A100 80GB": GpuSheet(2039, _AMPERE),
    "H100 SXM": GpuSheet(3350, _HOPPER),
    "H200 SXM": GpuSheet(4800, _HOPPER),
    "L40S": GpuSheet(864, {"fp16": 362.0, "fp8": 733.0, "int8": 733.0, "int4": 362.0}),
    "A10G": GpuSheet(600, {"fp16": 70.0, "int8": 140.0, "int4": 70.0}),
}
