"""GPU kinds that a placement may use: memory, speed, and how MIG (Multi-Instance GPU) may cut them.

Figures are the makers' published ones for dense tensor cores: given, not calibrated. Cutting follows the NVIDIA MIG
User Guide (docs.nvidia.com/datacenter/tesla/mig-user-guide, "Supported MIG Profiles") and what `nvidia-smi mig -lgipp`
prints: eight memory slices, seven compute slices, and the starts at which each profile may be placed.
"""

from collections.abc import Mapping

import msgspec

from trimtab.simulation.sheets import SHEETS, GpuSheet, Precision

PRECISIONS: tuple[Precision, ...] = ("fp16", "fp8", "int8", "int4")
BITS: Mapping[Precision, int] = {"fp16": 16, "fp8": 8, "int8": 8, "int4": 4}
COMPUTE_SLICES, MEMORY_SLICES = 7, 8


class Cut(msgspec.Struct, frozen=True):
    """How much a MIG profile takes of a GPU, whatever its memory: slices, and the memory slices it may start at."""

    compute: int
    memory: int
    starts: tuple[int, ...]


CUTS: Mapping[str, Cut] = {
    "1g": Cut(1, 1, (0, 1, 2, 3, 4, 5, 6)),
    "1g+": Cut(1, 2, (0, 2, 4, 6)),
    "2g": Cut(2, 2, (0, 2, 4)),
    "3g": Cut(3, 4, (0, 4)),
    "4g": Cut(4, 4, (0,)),
}


class Profile(msgspec.Struct, frozen=True):
    """A MIG profile of one GPU kind: the name `nvidia-smi` knows it by, usable GiB, its share of the SMs."""

    name: str
    cut: str
    memory_gib: float
    compute_share: float

    @property
    def memory_share(self) -> float:
        """Its share of the memory's bandwidth."""
        return CUTS[self.cut].memory / MEMORY_SLICES


class GpuKind(msgspec.Struct, frozen=True):
    """One kind of GPU. `tflops` by precision (dense); without fp8 there, it has no fp8 tensor cores.

    int4 means weights of 4 bits, which are computed with in 16.
    """

    name: str
    memory_gib: float
    bandwidth_gb_per_second: float
    tflops: Mapping[Precision, float]
    profiles: tuple[Profile, ...] = ()


def _profiles(names: str, gib: tuple[float, ...], sms: tuple[int, ...], all_sms: int) -> tuple[Profile, ...]:
    rows = zip(names.split(), CUTS, gib, sms, strict=True)
    return tuple(Profile(name, cut, memory, count / all_sms) for name, cut, memory, count in rows)


def _kind(name: str, gib: float, sheet: GpuSheet, profiles: tuple[Profile, ...] = ()) -> GpuKind:
    return GpuKind(name, gib, sheet.bandwidth_gb_per_second, sheet.tflops, profiles)


_A100_SMS, _H100_SMS = (14, 14, 28, 42, 56), (16, 16, 32, 60, 64)
_NAMES_80 = "1g.10gb 1g.20gb 2g.20gb 3g.40gb 4g.40gb"
_GIB_80 = (9.5, 19.5, 19.5, 39.25, 39.25)

# Usable memory is what `nvidia-smi mig -lgip` was seen to print, the lowest where sources differ. The H200's was not
# read off a card: a careful share of the whole.
KINDS: Mapping[str, GpuKind] = {
    kind.name: kind
    for kind in (
        _kind(
            "a100-40",
            39.5,
            SHEETS["A100 40GB"],
            _profiles(
                "1g.5gb 1g.10gb 2g.10gb 3g.20gb 4g.20gb", (4.75, 9.75, 9.75, 19.5, 19.5), _A100_SMS, 108
            ),
        ),
        _kind("a100-80", 79.0, SHEETS["A100 80GB"], _profiles(_NAMES_80, _GIB_80, _A100_SMS, 108)),
        _kind("h100-80", 79.0, SHEETS["H100 SXM"], _profiles(_NAMES_80, _GIB_80, _H100_SMS, 132)),
        _kind(
            "h200-141",
            139.0,
            SHEETS["H200 SXM"],
            _profiles(
                "1g.18gb 1g.35gb 2g.35gb 3g.71gb 4g.71gb", (16.0, 32.5, 32.5, 69.0, 69.0), _H100_SMS, 132
            ),
        ),
        _kind("l40s-48", 44.5, SHEETS["L40S"]),
        _kind("a10g-24", 22.0, SHEETS["A10G"]),
    )
}
