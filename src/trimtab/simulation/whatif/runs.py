"""Runs as their calls go by: which ones keep their outcome, and which ones nobody can know any more.

A run is kept only while it goes on: memory grows with runs at once and with tasks, not with calls.
"""

from collections.abc import Mapping

import msgspec

from trimtab.evaluation import precision_bound
from trimtab.simulation.whatif.fate import Fate
from trimtab.simulation.whatif.trail import Recorded

RunKey = tuple[str, str]
Matching = tuple[str, str, str]
"""Workflow, task, model."""

_SEVERAL = "\x00"


class RunState:
    """`before` and `after` are the one model that answers all its calls; "" for none yet."""

    __slots__ = (
        "after", "before", "cut", "known", "last_at", "lost", "reward", "resumed", "started_at", "task", "touched",
        "who", "workflow",
    )  # fmt: skip

    def __init__(self, recorded: Recorded, since: float | None) -> None:
        row = recorded.row
        self.who = recorded.call.who
        self.workflow, self.task = self.who.workflow, row.run_task or self.who.task
        self.reward = row.reward
        self.started_at = row.at if row.run_started_at is None else row.run_started_at
        self.last_at = row.at if row.run_last_at is None else row.run_last_at
        self.cut = since is not None and self.started_at < since
        self.known = self.reward is not None and not self.cut
        self.touched = self.lost = self.resumed = False
        self.before = self.after = ""

    def see(self, recorded: Recorded, fate: Fate) -> None:
        """One of its calls."""
        if fate.outcome not in ("kept", "alike"):
            self.touched = True
            self.lost = self.lost or fate.outcome == "lost"
            self.resumed = self.resumed or fate.outcome == "gained"
        if recorded.row.answered_by == "model":
            self.before = _one(self.before, recorded.row.model)
        if fate.status == "ok":
            self.after = _one(self.after, fate.place[1])


class Matched(msgspec.Struct, frozen=True):
    """Completions among `runs` touched ones, as far as recorded runs of the same tasks at the same model tell."""

    runs: int
    samples: int
    low: float
    likely: float
    high: float


class RunBook:
    """`completed_at` is the reward by workflow from which a run counts as completed; 1.0 where it names none."""

    def __init__(self, completed_at: Mapping[str, float], since: float | None) -> None:
        self._completed_at, self._since = completed_at, since
        self._open: dict[RunKey, RunState] = {}
        self._evidence: dict[Matching, list[int]] = {}
        self._touched: dict[Matching, int] = {}
        self.runs = self.cut = self.unknown = self.known = 0
        self.completed = self.kept = self.touched = self.lost = self.resumed = 0

    def of(self, recorded: Recorded) -> RunState:
        """The run of a call."""
        key = recorded.call.who.tenant, recorded.call.who.run
        state = self._open.get(key)
        if state is None:
            state = self._open[key] = RunState(recorded, self._since)
        return state

    def fold(self, before: float) -> list[RunState]:
        """End the runs whose last call was before a moment; returns them."""
        over = [(key, state) for key, state in self._open.items() if state.last_at < before]
        for key, state in over:
            del self._open[key]
            self._end(state)
        return [state for _, state in over]

    def _end(self, state: RunState) -> None:
        self.runs += 1
        self.resumed += state.resumed
        if state.cut or state.reward is None:
            self.cut += state.cut
            self.unknown += not state.cut
            return
        done = state.reward >= self._completed_at.get(state.workflow, 1.0)
        self.known += 1
        self.completed += done
        if state.before not in ("", _SEVERAL):
            sums = self._evidence.setdefault((state.workflow, state.task, state.before), [0, 0])
            sums[0] += done
            sums[1] += 1
        if not state.touched:
            self.kept += done
            return
        self.touched += 1
        self.lost += state.lost
        if state.after not in ("", _SEVERAL) and not state.lost and state.task:
            key = (state.workflow, state.task, state.after)
            self._touched[key] = self._touched.get(key, 0) + 1

    def matched(self) -> Matched:
        """Touched runs whose task was recorded at the very model that would serve them now; 95 % bounds."""
        runs = samples = 0
        hits = likely = 0.0
        for key, count in self._touched.items():
            found = self._evidence.get(key)
            if found is None:
                continue
            done, seen = found
            runs += count
            samples += seen
            hits += done
            likely += count * done / seen
        if not runs:
            return Matched(0, 0, 0.0, 0.0, 0.0)
        low = float(precision_bound(hits, samples, 0.975))
        high = 1.0 - float(precision_bound(samples - hits, samples, 0.975))
        return Matched(runs, samples, min(likely, low * runs), likely, max(likely, high * runs))


def _one(name: str, model: str) -> str:
    return model if name in ("", model) else _SEVERAL
