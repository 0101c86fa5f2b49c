"""Simulation: the demo's shop, customers and simulated expert, the cassette of recorded runs, and the driver.

It reaches the gateway over HTTP only. Heavy libraries are imported where they are used, not here.
"""

from trimtab.simulation.cassette import Billed, Cassette, cassette_app, load_cassette
from trimtab.simulation.demo import WORKFLOW, DemoRun, demo_runs
from trimtab.simulation.door import Identity
from trimtab.simulation.expert import SIMULATED_MODELS, UNHURRIED_MODELS, ExpertModel, expert_app
from trimtab.simulation.local_server import LocalServer
from trimtab.simulation.records import RecordedRun, read_domains, read_runs, read_threads
from trimtab.simulation.replay import ReplayRun, replay_runs
from trimtab.simulation.report import CallMeasure, Percentiles, RunMeasure, TrafficReport
from trimtab.simulation.support import TENANTS
from trimtab.simulation.support_tools import READ_ONLY
from trimtab.simulation.traffic import Desk, Finish, Mode, PlannedRun, Traffic
from trimtab.simulation.transcript import RecordedCall, calls_of
from trimtab.simulation.users import seed_of_strangers

__all__ = [
    "READ_ONLY",
    "SIMULATED_MODELS",
    "TENANTS",
    "UNHURRIED_MODELS",
    "WORKFLOW",
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
    "RecordedCall",
    "RecordedRun",
    "ReplayRun",
    "RunMeasure",
    "Traffic",
    "TrafficReport",
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
