"""Placement: which models, in which precision and how often, on which GPUs and MIG instances; solved by OR-tools."""

from trimtab.simulation.placement.demand import Adapter, GpuFile, GpuGroup, Model, ModelFile
from trimtab.simulation.placement.files import Order, Pool, read_order
from trimtab.simulation.placement.gpus import KINDS, GpuKind
from trimtab.simulation.placement.greedy import Greedy
from trimtab.simulation.placement.plan import Line, Placement, plan
from trimtab.simulation.placement.shortage import Lack, Shortage

__all__ = [
    "KINDS",
    "Adapter",
    "GpuFile",
    "GpuGroup",
    "GpuKind",
    "Greedy",
    "Lack",
    "Line",
    "Model",
    "ModelFile",
    "Order",
    "Placement",
    "Pool",
    "Shortage",
    "plan",
    "read_order",
]
