"""What recorded calls would have cost, and where they would have gone, under other settings.

Reads a store and calls the rules that serve (rules, policies, budgets, prices); serves nothing and changes nothing.
"""

from trimtab.simulation.whatif.markdown import (
    LATENCY_COLUMNS,
    MOVE_COLUMNS,
    SUMS_COLUMNS,
    completion_lines,
    latency_cells,
    markdown,
    move_cells,
    sums_cells,
)
from trimtab.simulation.whatif.replay import Replay, Trial
from trimtab.simulation.whatif.report import (
    Completions,
    Latency,
    MoveLine,
    Sums,
    WhatIf,
    report_of,
)
from trimtab.simulation.whatif.tally import Bounds, Example

__all__ = [
    "LATENCY_COLUMNS",
    "MOVE_COLUMNS",
    "SUMS_COLUMNS",
    "Bounds",
    "Completions",
    "Example",
    "Latency",
    "MoveLine",
    "Replay",
    "Sums",
    "Trial",
    "WhatIf",
    "completion_lines",
    "latency_cells",
    "markdown",
    "move_cells",
    "report_of",
    "sums_cells",
]
