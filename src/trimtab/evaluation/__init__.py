"""What is known of a choice and how surely: bounds, thresholds, floors, ceilings, drawings. Pure; numpy only."""

from trimtab.evaluation.bounds import precision_bound
from trimtab.evaluation.calibration import Calibration, auroc, calibration, calibration_error
from trimtab.evaluation.ceilings import (
    cost_at,
    frontier,
    mixture_line,
    oracle,
    play_mixture,
    split_half_oracle,
)
from trimtab.evaluation.outcomes import (
    Outcomes,
    Played,
    best_single,
    play_choices,
    play_random,
    play_single,
)
from trimtab.evaluation.plane import Mark, Plane, PlanePoint, draw_plane
from trimtab.evaluation.report import (
    Cell,
    Column,
    Line,
    Report,
    Table,
    calibration_table,
    drawing,
    line_of,
    markdown,
    outcomes_shape,
    shown,
)
from trimtab.evaluation.resampling import Interval, Resamples
from trimtab.evaluation.threshold import choose_threshold

__all__ = [
    "Calibration",
    "Cell",
    "Column",
    "Interval",
    "Line",
    "Mark",
    "Outcomes",
    "Plane",
    "PlanePoint",
    "Played",
    "Report",
    "Resamples",
    "Table",
    "auroc",
    "best_single",
    "calibration",
    "calibration_error",
    "calibration_table",
    "choose_threshold",
    "cost_at",
    "draw_plane",
    "drawing",
    "frontier",
    "line_of",
    "markdown",
    "mixture_line",
    "oracle",
    "outcomes_shape",
    "play_choices",
    "play_mixture",
    "play_random",
    "play_single",
    "precision_bound",
    "shown",
    "split_half_oracle",
]
