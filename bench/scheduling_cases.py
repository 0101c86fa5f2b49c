"""What `bench.scheduling` plays: clusters and sessions, and the margins that the issue asks for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from trimtab.simulation.cluster import (
    Cluster,
    Cut,
    ServerSettings,
    SessionPlan,
    WorkloadSettings,
    layered,
    read_sessions,
    research,
    wide,
)

DATA = Path(os.environ.get("TRIMTAB_DATA", "../shared/data")) / "agent_steps"
FULL = ServerSettings(gpu="H100", gpus=4, count=16, name="fp16")
SMALL_FP8 = ServerSettings(gpu="H100", gpus=2, precision="fp8", count=8, quality=0.8, name="fp8")
# Synthetic graphs: the seed of their shapes, and how many shapes there are.
GRAPHS = 400, 1


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster, its sessions, how long it runs; `note` says what was cut or drawn."""

    name: str
    cluster: Cluster
    plans: list[SessionPlan]
    note: str


def mix(quick: bool) -> Case:
    """Service and coding agents. Coding sessions end before a prompt passes 60,000 tokens; each counts three times."""
    coding = read_sessions(DATA / "coding.jsonl.gz", Cut(60_000, 150))
    plans = read_sessions(DATA / "service.jsonl.gz") + coding * 3
    return Case("mix", _cluster(FULL, 60 if quick else 400), plans, mix.__doc__ or "")


def coding(quick: bool) -> Case:
    """Coding agents alone, contexts to 200,000 tokens, on servers of 8 GPUs; at most 120 steps of a session."""
    plans = read_sessions(DATA / "coding.jsonl.gz", Cut(200_000, 120))
    servers = ServerSettings(gpu="H100", gpus=8, count=16)
    return Case("coding", _cluster(servers, 60 if quick else 800), plans, coding.__doc__ or "")


def wide_graphs(quick: bool) -> Case:
    """SYNTHETIC: runs of 20 to 60 branches, few of them long; 2 servers with 8 places each."""
    servers = ServerSettings(gpu="H100", gpus=4, count=2, most_calls=8)
    return Case("wide", _cluster(servers, 500 if quick else 5000), wide(*GRAPHS), wide_graphs.__doc__ or "")


def research_graphs(quick: bool) -> Case:
    """SYNTHETIC: the research graph (plan, sources side by side, write, critic); 16 servers with 8 places each."""
    servers = ServerSettings(gpu="H100", gpus=4, count=16, most_calls=8)
    return Case(
        "research", _cluster(servers, 100 if quick else 400), research(*GRAPHS), research_graphs.__doc__ or ""
    )


def layered_graphs(quick: bool) -> Case:
    """SYNTHETIC: random layered graphs; 16 servers with 8 places each."""
    servers = ServerSettings(gpu="H100", gpus=4, count=16, most_calls=8)
    return Case(
        "layered", _cluster(servers, 100 if quick else 400), layered(*GRAPHS), layered_graphs.__doc__ or ""
    )


def mixed_pool(quick: bool, full: int, small: int) -> Case:
    """The mix on fp16 and fp8: steps of helpers and simulated users are tolerant, all others need fp16."""
    kinds = (FULL, SMALL_FP8)
    servers = tuple(
        ServerSettings(
            gpu=kind.gpu,
            gpus=kind.gpus,
            precision=kind.precision,
            quality=kind.quality,
            name=kind.name,
            count=count,
        )
        for kind, count in zip(kinds, (full, small), strict=True)
        if count
    )
    terms = WorkloadSettings(seconds=60 if quick else 400, strict_quality=1.0)
    return Case(
        f"{full} fp16 + {small} fp8",
        Cluster(servers, workload=terms),
        mix(quick).plans,
        mixed_pool.__doc__ or "",
    )


def _cluster(servers: ServerSettings, seconds: float) -> Cluster:
    return Cluster((servers,), workload=WorkloadSettings(seconds=seconds))
