"""The runs whose calls come by: what each has had so far, and what was learned of those that are over.

A run counts as over once nothing was heard of it for a while; only then does it teach (no future is known).
"""

from collections import OrderedDict

import msgspec

from trimtab.core import Call
from trimtab.scheduling import MeanOf, RemainingService, RunStanding

_IDLE_SECONDS = 300.0
_DAY_SECONDS = 86_400.0
_MOST_SERVICES = 500
_MOST_RUNS = 100_000
_LOOK_RUNS = 8
_USUAL_TOKENS = 200.0
_USUAL_SECONDS = 5.0


class _Known(msgspec.Struct, eq=False):
    standing: RunStanding
    heard_at: float
    services: list[tuple[str, float]]
    open: int = 0


class RunBook:
    """Bounded. Times are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, _Known] = OrderedDict()
        self._left = RemainingService(_USUAL_SECONDS)
        self._lengths = MeanOf(_USUAL_TOKENS)

    def __len__(self) -> int:
        return len(self._runs)

    def standing(self, call: Call, weight: float, now: float) -> RunStanding:
        """The run of a call, its weight, priority and deadline as this call has them."""
        who = call.who
        id = f"{who.tenant}/{who.run}"
        known = self._runs.get(id)
        if known is None:
            known = _Known(RunStanding(id, who.workflow, now, tenant=who.tenant), now, [])
            self._runs[id] = known
        else:
            self._runs.move_to_end(id)
        known.heard_at = now
        run = known.standing
        run.weight, run.priority = weight, call.priority
        run.deadline = None if call.deadline is None else now + call.deadline - call.at
        self._forget(now)
        return run

    def late_share(self, now: float) -> float:
        """Of the runs with a call under way, those past their deadline."""
        open_ = [known.standing for known in self._runs.values() if known.open]
        late = sum(1 for one in open_ if one.deadline is not None and one.deadline < now)
        return late / max(1, len(open_))

    def expected_tokens(self, call: Call) -> float:
        """Output to expect of a call, at most what it asks for."""
        return min(float(call.max_output_tokens), self._lengths.expected(call.who.workflow, call.who.step))

    def left_seconds(self, call: Call, run: RunStanding) -> float:
        """Service to expect of the run from this call on."""
        return self._left.left_seconds(run.workflow, call.who.step, run.steps_done)

    def opened(self, run: RunStanding, by: int) -> None:
        """A call of it got its place (1), or left it (-1)."""
        known = self._runs.get(run.id)
        if known is not None:
            known.open += by

    def served(self, call: Call, run: RunStanding, output_tokens: int, seconds: float) -> None:
        """A call was answered: `seconds` of service."""
        self._lengths.learn(run.workflow, call.who.step, output_tokens)
        run.attained_seconds += seconds
        run.steps_done += 1
        known = self._runs.get(run.id)
        if known is not None and len(known.services) < _MOST_SERVICES:
            known.services.append((call.who.step, seconds))

    def _forget(self, now: float) -> None:
        for _ in range(_LOOK_RUNS):
            id, known = next(iter(self._runs.items()))
            # What a run has spent of its allowance is remembered for a day.
            spends = known.open or (
                known.standing.spilled_nanodollars and now - known.heard_at < _DAY_SECONDS
            )
            if len(self._runs) <= _MOST_RUNS and (now - known.heard_at < _IDLE_SECONDS or spends):
                return
            del self._runs[id]
            if known.services:
                self._left.learn(known.standing.workflow, known.services)
