"""cluster.toml -> what is simulated: servers, others' APIs, faults, scaling, terms of service. Errors name the key."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trimtab.core.errors import ConfigError
from trimtab.simulation.cluster.gpus import GPUS, MODELS, Precision, Profile, profile

_Positive = Annotated[float, Meta(gt=0)]
_Count = Annotated[int, Meta(ge=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Amount = Annotated[float, Meta(ge=0)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file."""


class ServerSettings(_Table, frozen=True):
    """`[[server]]`: `count` servers of `gpus` GPUs each. `quality` in 0..1; `hour_usd` of one, if not the table's."""

    gpu: str
    name: str = ""
    gpus: _Count = 1
    precision: Precision = "fp16"
    model: str = "llama-70b"
    count: _Count = 1
    quality: _Share = 1.0
    most_calls: Annotated[int, Meta(ge=1, le=4096)] = 128
    role: Literal["interactive", "batch", "any"] = "any"
    hour_usd: _Amount | None = None


class ExternalSettings(_Table, frozen=True):
    """`[[external]]`: somebody else's API; prices in USD per million tokens."""

    name: str
    input_usd: _Amount
    output_usd: _Amount
    first_token_seconds: _Positive = 0.8
    tokens_a_second: _Positive = 60.0
    quality: _Share = 1.0


class FaultSettings(_Table, frozen=True):
    """`[faults]`: each server fails by chance once in `hours_between`, for `repair_seconds`; its calls begin anew
    after `notice_seconds`. A share of calls straggles.
    """

    hours_between: _Amount = 0.0
    repair_seconds: _Positive = 120.0
    notice_seconds: _Positive = 2.0
    straggler_share: _Share = 0.0
    straggler_factor: Annotated[float, Meta(ge=1)] = 4.0


class ScalingSettings(_Table, frozen=True):
    """`[autoscale]`: replicas of the first `[[server]]`, which begins with its `count`."""

    least: _Count = 1
    most: _Count = 64
    wait_seconds: _Positive = 2.0
    late_share: _Share = 0.1
    calls_each: _Positive = 12.0
    cool_down_seconds: _Positive = 180.0
    cold_start_seconds: _Positive = 120.0
    every_seconds: _Positive = 10.0


class WorkloadSettings(_Table, frozen=True):
    """`[workload]`: sessions a second at load 1 (left out: the knee), for how long, what of it is measured, what a
    run is allowed: `slo_factor` times the 90th percentile of its workflow alone on an idle server, at least
    `slo_floor_seconds`. `spill_usd`: what a run may spend on external APIs.
    """

    sessions_a_second: _Positive | None = None
    seconds: _Positive = 600.0
    warm_share: Annotated[float, Meta(ge=0, lt=1)] = 0.2
    slo_factor: _Positive = 2.0
    slo_floor_seconds: _Positive = 5.0
    strict_quality: _Share = 0.0
    spill_usd: _Amount = 0.0
    most_input_tokens: _Count = 200_000
    most_steps: _Count = 150


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    server: Annotated[tuple[ServerSettings, ...], Meta(min_length=1)]
    external: tuple[ExternalSettings, ...] = ()
    faults: FaultSettings = FaultSettings()
    autoscale: ScalingSettings | None = None
    workload: WorkloadSettings = WorkloadSettings()

    def profiles(self) -> tuple[Profile, ...]:
        """One for each `[[server]]`."""
        return tuple(profile(one.gpu, one.model, one.precision, one.gpus) for one in self.server)

    def given(self) -> list[str]:
        """The servers whose figures were not measured, in words."""
        return [
            f"{one.gpus} x {one.gpu}, {one.model} {one.precision}: {found.source}"
            for one, found in zip(self.server, self.profiles(), strict=True)
        ]


def read_cluster(path: Path) -> Cluster:
    """Raises `ConfigError`."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        cluster = msgspec.convert(raw, Cluster)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is no TOML: {error}", file=str(path)) from None
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$.")
        raise ConfigError(said, file=str(path), key=where.rstrip("`")) from None
    for index, one in enumerate(cluster.server):
        _check(one, f"server[{index}]", path)
    return cluster


def _check(server: ServerSettings, key: str, path: Path) -> None:
    for name, value, known in (("gpu", server.gpu, GPUS), ("model", server.model, MODELS)):
        if value not in known:
            raise ConfigError(
                f"{value!r} is unknown; there are {', '.join(known)}", file=str(path), key=f"{key}.{name}"
            )
    found = profile(server.gpu, server.model, server.precision, server.gpus)
    if found.kv_tokens < 1:
        raise ConfigError(
            f"{server.model} in {server.precision} does not fit on {server.gpus} x {server.gpu}; more gpus, or a "
            "lower precision",
            file=str(path),
            key=f"{key}.gpus",
        )
