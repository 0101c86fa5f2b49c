"""What one call asks of the endpoints, as scheduling policies see it: facts and predictions, never its outcome.

The gateway and the simulator make one `Demand` a call and keep one `RunStanding` a run; policies only read them.
"""

from collections.abc import Hashable
from typing import Literal

import msgspec

Role = Literal["interactive", "batch", "any"]
Mark = tuple[Hashable, int]
"""A checkpoint of a prompt's prefix: what identifies all before it (a hash, a session), and how many tokens."""


class RunStanding(msgspec.Struct, eq=False):
    """What is known of a run so far. Times are seconds of the caller's clock, all of one kind.

    `attained_seconds`: service its calls have had. `spill_nanodollars`: what it may spend on dearer APIs of others,
    0 unless somebody said so; `spilled_nanodollars`: what it has, the worst case of calls on the way in it.
    """

    id: str
    workflow: str
    began: float
    deadline: float | None = None
    tenant: str = ""
    weight: float = 1.0
    priority: int = 0
    attained_seconds: float = 0.0
    steps_done: int = 0
    spill_nanodollars: int = 0
    spilled_nanodollars: int = 0


class Demand(msgspec.Struct, frozen=True, eq=False):
    """One call. `output_tokens` and `remaining_seconds` (service left in its run, this call's in it) are predicted.

    `quality_floor` (0..1) and `precision_floor` (bits) are never broken. `turn` counts the calls of the pool;
    `arrived` is when it came to wait. `path_seconds`: predicted work from this step to the end of a known graph,
    along its longest path. `most_output_tokens` is the caller's maximum. `tag` is the caller's own and no policy
    looks at it.
    """

    run: RunStanding
    step: str
    turn: int
    arrived: float
    input_tokens: int
    output_tokens: float
    remaining_seconds: float
    marks: tuple[Mark, ...] = ()
    quality_floor: float = 0.0
    precision_floor: int = 0
    model: str = ""
    adapter: str = ""
    role: Role = "any"
    path_seconds: float | None = None
    among: frozenset[str] = frozenset()
    tag: object = None
    most_output_tokens: int = 4096
