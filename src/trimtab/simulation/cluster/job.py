"""What lives in a simulation: sessions, their runs, their calls on the way."""

import msgspec

from trimtab.scheduling import Demand, RunStanding, Standing
from trimtab.simulation.cluster.plans import RunPlan, SessionPlan, StepPlan


class LiveSession(msgspec.Struct, eq=False):
    """A user at work; `number` makes its contexts its own."""

    number: int
    plan: SessionPlan
    at_run: int = 0


class LiveRun(msgspec.Struct, eq=False):
    """A run under way. `missing[step]`: parents not yet over; `paths[step]`: predicted, of a known graph."""

    plan: RunPlan
    session: LiveSession
    standing: RunStanding
    missing: list[int]
    left: int
    services: list[tuple[str, float]]
    paths: list[float]


class Job(msgspec.Struct, eq=False):
    """One call under way. `predicted_seconds`: its prefill as the gateway expects it, by `predicted_missing`
    tokens; `predicted_wait` for prefills before it. `drag`: a straggler's slowness. `held_nanodollars`: set aside for
    an external call.
    """

    number: int
    run: LiveRun
    step: int
    plan: StepPlan
    context: int | str
    output_tokens: int
    demand: Demand
    standing: Standing | None = None
    priority: float = 0.0
    predicted_missing: float = 0.0
    predicted_seconds: float = 0.0
    predicted_wait: float = 0.0
    cached_tokens: int = 0
    sent_at: float = 0.0
    started_at: float = -1.0
    drag: float = 1.0
    held_nanodollars: int = 0
    retries: int = 0
