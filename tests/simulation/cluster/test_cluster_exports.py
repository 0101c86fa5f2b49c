"""The public names of the cluster simulator."""

from trimtab.simulation import cluster


def test_the_exports_of_the_room_are_these():
    assert cluster.__all__ == [
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
    assert all(hasattr(cluster, name) for name in cluster.__all__)
