"""The whole next action as one row of features: how sure its calls are, how sure the rest is not called."""

import numpy as np
from numpy.typing import NDArray

from trimtab.controllers.features import NAMES

LIKELY = 0.5
_MOMENT = ("agent", "turns", "user_turns", "writes", "speaker", "last_tool", "failed", "last_user_length")
_MOMENT_AT = [NAMES.index(name) for name in _MOMENT]
_TOP = (
    "recipe",
    "tool",
    "age_newest",
    "said",
    "said_last",
    "length",
    "row_made",
    "calls_of",
    "calls_of_since",
)
_TOP_AT = [NAMES.index(name) for name in _TOP]
ACTION_NAMES = (
    *("joint", "least", "most", "least_later", "rival", "rivals", "size", "candidates", "expected"),
    *_MOMENT,
    *(f"top_{name}" for name in _TOP),
)


def action_row(
    following: NDArray[np.float64],
    later: NDArray[np.float64],
    rows: NDArray[np.float32],
    recipes: NDArray[np.int32],
) -> list[float] | None:
    """Features of the action made of the candidates likely next; None where none is. All arrays are [n, ...]."""
    likely = following > LIKELY
    if not likely.any():
        return None
    chosen, others = following[likely], following[~likely]
    top = rows[int(np.argmax(following))]
    return [
        float(chosen.prod() * (1.0 - others).prod()),
        float(chosen.min()),
        float(chosen.max()),
        float(later[likely].min()),
        float(others.max()) if len(others) else 0.0,
        float((others > LIKELY / 5).sum()),
        float(likely.sum()),
        float(len(recipes)),
        float(following.sum()),
        *(float(top[at]) for at in _MOMENT_AT),
        *(float(top[at]) for at in _TOP_AT),
    ]
