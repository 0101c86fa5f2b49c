"""What CP-SAT saves beside first fit decreasing, on synthetic demands of growing size.

    python -m bench.placement [--sizes 10,50,200] [--seeds 3] [--seconds 30]

Synthetic throughout: models of six sizes drawn with a seed, each on A100, H100 and H200 as many as it wants. `memory`:
replicas are given, and only their memory counts. `demand`: requests a second and objectives are given, and the planner
chooses precision and replicas too. One core. Prints Markdown.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator, Sequence

from trimtab.simulation.placement import (
    KINDS,
    GpuFile,
    GpuGroup,
    Model,
    ModelFile,
    Order,
    Placement,
    Pool,
    plan,
)

# Billions of parameters, KV bytes a token, GiB of KV cache wanted, how often drawn.
CATALOGUE = (
    (70.6, 327_680, 25.0, 1),
    (34.0, 245_760, 16.0, 2),
    (14.0, 163_840, 10.0, 4),
    (8.0, 131_072, 8.0, 8),
    (3.0, 114_688, 4.0, 5),
    (0.6, 28_672, 0.5, 3),
)
USD = {"a100-80": 1.5, "h100-80": 2.5, "h200-141": 3.5}
GIB = 1 << 30


def memory_models(count: int, dice: random.Random) -> Iterator[Model]:
    """Replicas as given, for which only memory counts."""
    for index in range(count):
        size, kv, wanted, _ = dice.choices(CATALOGUE, [each[3] for each in CATALOGUE])[0]
        precisions = dice.choice([("fp16",), ("fp8",), ("int4",), ("fp16", "fp8", "int4")])
        context = int(wanted * dice.choice([0.7, 1, 1.6]) * GIB / kv)
        replicas = dice.choice([1, 1, 1, 2, 3])
        yield Model(
            name=f"m{index}",
            parameters_billion=size,
            kv_bytes_per_token=kv,
            requests_per_second=0.0,
            input_tokens=100,
            output_tokens=10,
            precisions=precisions,  # type: ignore[arg-type]
            max_context_tokens=context,
            ttft_seconds=1e6,
            tpot_milliseconds=1e6,
            tensor_parallel=(1, 2),
            min_replicas=replicas,
        )


def demand_models(count: int, dice: random.Random) -> Iterator[Model]:
    """Requests a second and objectives, from which replicas follow."""
    for index in range(count):
        size, kv, _, _ = dice.choices(CATALOGUE, [each[3] for each in CATALOGUE])[0]
        yield Model(
            name=f"m{index}",
            parameters_billion=size,
            kv_bytes_per_token=kv,
            requests_per_second=round(dice.lognormvariate(0.5, 1.0), 2),
            input_tokens=dice.choice([500, 2000, 6000]),
            output_tokens=dice.choice([50, 200, 500]),
            precisions=dice.choice([("fp16",), ("fp16", "fp8"), ("fp16", "fp8", "int4")]),  # type: ignore[arg-type]
            cached_share=dice.choice([0.0, 0.5, 0.8]),
            max_context_tokens=8192,
            ttft_seconds=3.0,
            tpot_milliseconds=dice.choice([40.0, 80.0, 150.0]),
            tensor_parallel=(1, 2, 4),
        )


def order_of(models: Sequence[Model]) -> Order:
    """On as many GPUs of each kind as may be wanted."""
    pools = tuple(Pool(GpuGroup(kind, 8 * len(models), usd), KINDS[kind]) for kind, usd in USD.items())
    return Order(ModelFile(tuple(models)), GpuFile(tuple(pool.group for pool in pools)), pools)


def main() -> None:
    """Solve each size and seed; print a row each and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10,50,200", help="models, by commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0)
    wanted = parser.parse_args()
    print("Synthetic demands; USD an hour.\n")
    print(
        "| demand | models | seed | GPUs | CP-SAT | proven within | solved in s | FFD + MIG | whole GPUs | saves |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, draw in (("memory", memory_models), ("demand", demand_models)):
        for size in (int(each) for each in wanted.sizes.split(",")):
            saved = [
                row(name, list(draw(size, random.Random(seed))), seed, wanted.seconds)
                for seed in range(wanted.seeds)
            ]
            print(
                f"| {name} | {size} | median | | | | | | | **{statistics.median(saved):.1f} %** |", flush=True
            )


def row(name: str, models: list[Model], seed: int, seconds: float) -> float:
    """One placement; what it saves beside first fit decreasing with MIG, in per cent."""
    began = time.perf_counter()
    found = plan(order_of(models), seconds)
    took = time.perf_counter() - began
    if not isinstance(found, Placement):
        raise SystemExit(f"{name} {len(models)} {seed}: {found}")
    saved = 100 * (1 - found.usd_per_hour / found.first_fit.usd_per_hour)
    whole = found.whole_gpus
    print(
        f"| {name} | {len(models)} | {seed} | {sum(found.gpus.values())} | {found.usd_per_hour:.2f} | "
        f"{100 * found.gap:.2f} % | {found.seconds:.2f} (all {took:.2f}) | {found.first_fit.usd_per_hour:.2f} | "
        f"{'-' if whole.failed else format(whole.usd_per_hour, '.2f')} | {saved:.1f} % |",
        flush=True,
    )
    return saved


if __name__ == "__main__":
    main()
