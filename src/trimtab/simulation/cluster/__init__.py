"""A simulator of a cluster of inference servers that runs the very policies of `trimtab.scheduling`.

Discrete events; given figures or measured profiles; nothing here sends a call. See docs/simulator.md.
"""

from trimtab.simulation.cluster.gpus import GIVEN, GPUS, MODELS, Profile, profile
from trimtab.simulation.cluster.graphs import layered, research, wide
from trimtab.simulation.cluster.measure import Measure, Spread, spread
from trimtab.simulation.cluster.plans import RunPlan, SessionPlan, StepPlan, linked
from trimtab.simulation.cluster.recorded import Cut, read_sessions
from trimtab.simulation.cluster.report import COLUMNS, NOT_MODELLED, ClusterReport, Row, cells, draw, row
from trimtab.simulation.cluster.settings import (
    Cluster,
    ExternalSettings,
    FaultSettings,
    ScalingSettings,
    ServerSettings,
    WorkloadSettings,
    read_cluster,
)
from trimtab.simulation.cluster.simulate import (
    KNEE_POLICY,
    KNEE_SLO,
    allowed_seconds,
    knee,
    simulate,
)

__all__ = [
    "COLUMNS",
    "Cluster",
    "ClusterReport",
    "Cut",
    "ExternalSettings",
    "FaultSettings",
    "GIVEN",
    "GPUS",
    "KNEE_POLICY",
    "KNEE_SLO",
    "MODELS",
    "Measure",
    "NOT_MODELLED",
    "Profile",
    "Row",
    "RunPlan",
    "ScalingSettings",
    "ServerSettings",
    "SessionPlan",
    "Spread",
    "StepPlan",
    "WorkloadSettings",
    "allowed_seconds",
    "cells",
    "draw",
    "knee",
    "layered",
    "linked",
    "profile",
    "read_cluster",
    "read_sessions",
    "research",
    "row",
    "simulate",
    "spread",
    "wide",
]
