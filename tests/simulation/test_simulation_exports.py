"""The room's public names, and that importing them loads nothing heavy."""

import subprocess
import sys

import trimtab.simulation as room


def test_public_names_are_pinned():
    assert sorted(room.__all__) == [
        "Billed",
        "CallMeasure",
        "Cassette",
        "DemoRun",
        "Desk",
        "ExpertModel",
        "Finish",
        "Identity",
        "LocalServer",
        "Mode",
        "Percentiles",
        "PlannedRun",
        "READ_ONLY",
        "RecordedCall",
        "RecordedRun",
        "ReplayRun",
        "RunMeasure",
        "SIMULATED_MODELS",
        "TENANTS",
        "Traffic",
        "TrafficReport",
        "UNHURRIED_MODELS",
        "WORKFLOW",
        "calls_of",
        "cassette_app",
        "demo_runs",
        "expert_app",
        "load_cassette",
        "read_domains",
        "read_runs",
        "read_threads",
        "replay_runs",
        "seed_of_strangers",
    ]
    assert all(hasattr(room, name) for name in room.__all__)


def test_importing_the_room_loads_no_server_and_no_client():
    heavy = "{'starlette', 'uvicorn', 'openai', 'httpx', 'aiohttp'}"
    code = f"import sys, trimtab.simulation; print(sorted(set(sys.modules) & {heavy}))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"
