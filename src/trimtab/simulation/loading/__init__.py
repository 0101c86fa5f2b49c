"""Load tests: concurrent users who play recorded runs at a live gateway, with their dependencies, pauses and sizes."""

from trimtab.simulation.loading.drive import Load, LoadOrder
from trimtab.simulation.loading.steps import PlayedRun, PlayedStep, read_played
from trimtab.simulation.loading.tally import Answered, LoadReport, Tally

__all__ = [
    "Answered",
    "Load",
    "LoadOrder",
    "LoadReport",
    "PlayedRun",
    "PlayedStep",
    "Tally",
    "read_played",
]
