"""The shell commands of a placement: `nvidia-smi mig` for the layout, `vllm serve` for each replica."""

import shlex
from collections.abc import Iterator
from itertools import groupby

from trimtab.simulation.placement.demand import Model
from trimtab.simulation.placement.files import Order
from trimtab.simulation.placement.gpus import GpuKind
from trimtab.simulation.placement.layouts import Instance
from trimtab.simulation.placement.options import Option
from trimtab.simulation.placement.seats import CutGpu, Seat, Seating
from trimtab.simulation.sheets import Precision

_FIRST_PORT = 8000


def mig_commands(order: Order, seating: Seating) -> Iterator[str]:
    """By machine: MIG mode on, old instances away, the new ones at their starts (`PROFILE:START`, as nvidia-smi takes
    them). Instances that no replica uses are made too, and said to be free."""

    def where(each: CutGpu) -> tuple[int, int, tuple[Instance, ...]]:
        return each.pool, each.node, each.instances

    for (pool, node, instances), cuts in groupby(sorted(seating.cut, key=where), where):
        together = list(cuts)
        kind = order.pools[pool].kind
        gpus = ",".join(str(each.gpu) for each in together)
        made = ",".join(f"{_profile(kind, each)}:{each.start}" for each in instances)
        free = [
            f"{_profile(kind, one)}:{one.start} of GPU {each.gpu}" for each in together for one in each.free
        ]
        yield f"# {kind.name}, machine {node}" + (f"; free: {', '.join(free)}" if free else "")
        yield f"sudo nvidia-smi -i {gpus} -mig 1"
        yield f"sudo nvidia-smi mig -i {gpus} -dci; sudo nvidia-smi mig -i {gpus} -dgi"
        yield f"sudo nvidia-smi mig -i {gpus} -cgi {made} -C"


def vllm_commands(order: Order, seating: Seating) -> Iterator[str]:
    """One command line a replica, by machine. A MIG device's id is known only once it is made: `nvidia-smi -L`."""

    def where(each: Seat) -> tuple[int, int]:
        return each.option.pool, each.node

    def place(each: Seat) -> tuple[int, int, tuple[int, ...], int]:
        return *where(each), each.gpus, each.instance.start if each.instance else 0

    for (pool, node), seats in groupby(sorted(seating.seats, key=place), where):
        yield f"# {order.pools[pool].kind.name}, machine {node}"
        for at, each in enumerate(seats):
            yield _vllm(order, each, _FIRST_PORT + at)


def _vllm(order: Order, seat: Seat, port: int) -> str:
    option, replica = seat.option, seat.option.replica
    model = order.models.model[option.model]
    devices = ",".join(str(each) for each in seat.gpus)
    if seat.instance is not None:
        profile = _profile(option.place.kind, seat.instance)
        devices = f"MIG-<GPU {seat.gpus[0]}, {profile} at {seat.instance.start}>"
    words = ["vllm", "serve", _checkpoint(model, replica.precision)]
    words += ["--served-model-name", model.name, "--port", str(port)]
    words += ["--max-model-len", str(model.max_context_tokens), "--max-num-seqs", str(replica.at_once)]
    words += ["--gpu-memory-utilization", f"{order.gpus.memory_share:g}", "--scheduling-policy", "priority"]
    if option.place.gpus > 1:
        words += ["--tensor-parallel-size", str(option.place.gpus)]
    if replica.precision == "fp8" and "fp8" not in model.checkpoint:
        words += ["--quantization", "fp8"]
    return " ".join(
        [f"CUDA_VISIBLE_DEVICES={shlex.quote(devices)}", shlex.join(words + _lora(order, option))]
    )


def _checkpoint(model: Model, precision: Precision) -> str:
    """What to load. vLLM makes fp8 of 16 bits by itself; int8 and int4 need a checkpoint that was quantised before."""
    named = model.checkpoint.get(precision)
    if named is not None or precision in ("int8", "int4"):
        return named or f"<{precision} checkpoint of {model.name}>"
    return model.checkpoint.get("fp16") or model.name


def _lora(order: Order, option: Option) -> list[str]:
    carried = [
        each for each in order.models.model[option.model].adapter if each.name in option.replica.adapters
    ]
    if not carried:
        return []
    ranks = str(max(each.rank for each in carried))
    modules = [f"{each.name}={each.path or each.name}" for each in carried]
    return [
        "--enable-lora",
        "--max-loras",
        str(len(carried)),
        "--max-lora-rank",
        ranks,
        "--lora-modules",
        *modules,
    ]


def _profile(kind: GpuKind, instance: Instance) -> str:
    return next(each.name for each in kind.profiles if each.cut == instance.cut)
