"""What recorded attempts tell of a model at a step and at an endpoint: how much it wrote, how often it was accepted,
how long it took. All that a replay knows of answers it has not seen.
"""

import math

import msgspec

from trimtab.core import AttemptRecord, Call, PlannedAttempt, Usage

Step = tuple[str, str, str]
"""Workflow, step, model."""

ENOUGH = 30
# 5 % and 95 % of ratios between models in the tau2 traces (`python -m bench.whatif --ratios`): of mean tokens a reply
# in the same workflow (64 ratios), and of the tokens of the same task's first prompt (1,104 ratios).
OUTPUT_RANGE = (0.22, 4.22)
INPUT_RANGE = (0.54, 1.84)
_STANDARD_ERRORS = 2.0
_LOG_RATIO = math.log(1.08)
_LOWEST_SECONDS = 0.001
_log = math.log
_PER_LOWEST, _PER_LOG_RATIO = 1 / _LOWEST_SECONDS, 1 / _LOG_RATIO
_BUCKETS = 241  # 1 ms to some 100,000 s


class Factor(msgspec.Struct, frozen=True):
    """By what tokens of one model are multiplied to stand for another's. `matched`: from recorded replies of both."""

    low: float
    likely: float
    high: float
    matched: bool


SAME = Factor(1.0, 1.0, 1.0, True)


class Sample:
    """Mean and variance of a figure, as it goes by."""

    __slots__ = ("count", "square", "total")

    def __init__(self) -> None:
        self.count, self.total, self.square = 0, 0.0, 0.0

    def add(self, value: float) -> None:
        """One more."""
        self.count += 1
        self.total += value
        self.square += value * value

    @property
    def mean(self) -> float:
        """0 where there is none."""
        return self.total / self.count if self.count else 0.0

    @property
    def relative_error(self) -> float:
        """The mean's standard error as a share of it."""
        mean = self.mean
        if self.count < 2 or mean <= 0:
            return 1.0
        variance = max(0.0, self.square / self.count - mean * mean)
        return math.sqrt(variance / self.count) / mean


class Writing:
    """One model at one step: tokens a reply, prompt tokens a byte, verdicts of verifiers."""

    __slots__ = ("accepted", "input_share", "output", "rejected")

    def __init__(self) -> None:
        self.output, self.input_share = Sample(), Sample()
        self.accepted = self.rejected = 0

    def judge(self, attempt: AttemptRecord, planned: tuple[PlannedAttempt, ...]) -> None:
        """Note what verifiers said, where there were any."""
        checked = [p for p in planned if p.verifiers and p.endpoint == attempt.endpoint]
        if any(p.model == attempt.model for p in checked):
            self.accepted += attempt.outcome == "answered"
            self.rejected += attempt.outcome == "rejected"


class Pace:
    """How long attempts took at one endpoint and model, in log-spaced buckets within 4 %."""

    __slots__ = ("buckets", "count", "seconds")

    def __init__(self) -> None:
        self.buckets = [0.0] * _BUCKETS
        self.count, self.seconds = 0.0, 0.0

    def add(self, seconds: float) -> None:
        """One attempt."""
        if seconds <= _LOWEST_SECONDS:
            self.buckets[0] += 1.0
        else:
            bucket = int(_log(seconds * _PER_LOWEST) * _PER_LOG_RATIO) + 1
            self.buckets[bucket if bucket < _BUCKETS else -1] += 1.0
        self.count += 1.0
        self.seconds += seconds

    def blend(self, other: "Pace", count: float) -> None:
        """Add `count` attempts that took as long as those of `other` did."""
        share = count / other.count
        for bucket, many in enumerate(other.buckets):
            self.buckets[bucket] += many * share
        self.count += count
        self.seconds += other.seconds * share

    @property
    def mean(self) -> float | None:
        """Seconds; None where there is none."""
        return self.seconds / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The seconds that a share of the attempts stays below, within 4 %."""
        wanted, below = share * self.count * (1 - 1e-12), 0.0
        for bucket, many in enumerate(self.buckets):
            below += many
            if many and below >= wanted:
                return float(_LOWEST_SECONDS * math.exp((bucket - 0.5) * _LOG_RATIO))
        return None


class Evidence:
    """Kept by workflow, step and model, and by endpoint and model; grows with those, not with calls."""

    def __init__(self) -> None:
        self.writing: dict[Step, Writing] = {}
        self.pace: dict[tuple[str, str], Pace] = {}
        self._known: dict[tuple[str, str, str, str], tuple[Writing, Pace]] = {}

    def see(self, call: Call, attempt: AttemptRecord, planned: tuple[PlannedAttempt, ...]) -> None:
        """One recorded attempt that was replied to, and the plan it belongs to, () where nobody knows."""
        who, usage = call.who, attempt.usage
        key = (who.workflow, who.step, attempt.model, attempt.endpoint)
        known = self._known.get(key)
        if known is None:
            writing = self.writing.setdefault(key[:3], Writing())
            pace = self.pace.setdefault((attempt.endpoint, attempt.model), Pace())
            known = self._known[key] = (writing, pace)
        writing, pace = known
        output, sent = usage.output_tokens, call.input_tokens
        if output:
            writing.output.add(output)
            if planned and sent:
                writing.input_share.add(usage.input_tokens / sent)
        if len(planned) > 1 and planned[0].verifiers:
            writing.judge(attempt, planned)
        pace.add(attempt.seconds)

    def see_imported(self, call: Call, model: str, usage: Usage) -> None:
        """An answer of which only its tokens are known."""
        if usage.output_tokens:
            key = (call.who.workflow, call.who.step, model)
            self.writing.setdefault(key, Writing()).output.add(usage.output_tokens)

    def output_factor(self, workflow: str, step: str, before: str, after: str) -> Factor:
        """How many output tokens `after` writes for one of `before`."""
        if before == after:
            return SAME
        old, new = self.writing.get((workflow, step, before)), self.writing.get((workflow, step, after))
        if old is None or new is None:
            return _unmatched(OUTPUT_RANGE)
        return _ratio(old.output, new.output, OUTPUT_RANGE)

    def input_factor(self, workflow: str, step: str, before: str, after: str) -> Factor:
        """How many prompt tokens `after` counts for one of `before`."""
        if before == after:
            return SAME
        old, new = self.writing.get((workflow, step, before)), self.writing.get((workflow, step, after))
        if old is None or new is None:
            return _unmatched(INPUT_RANGE)
        return _ratio(old.input_share, new.input_share, INPUT_RANGE)

    def acceptance(self, workflow: str, step: str, model: str) -> float | None:
        """The share of a model's verified replies that was accepted at the step; None where too few were judged."""
        found = self.writing.get((workflow, step, model))
        if found is None or found.accepted + found.rejected < ENOUGH:
            return None
        return found.accepted / (found.accepted + found.rejected)


def _ratio(old: Sample, new: Sample, otherwise: tuple[float, float]) -> Factor:
    if min(old.count, new.count) < ENOUGH or old.mean <= 0 or new.mean <= 0:
        return _unmatched(otherwise)
    ratio = new.mean / old.mean
    error = _STANDARD_ERRORS * math.hypot(old.relative_error, new.relative_error)
    return Factor(ratio * max(0.0, 1 - error), ratio, ratio * (1 + error), matched=True)


def _unmatched(between: tuple[float, float]) -> Factor:
    return Factor(between[0], 1.0, between[1], matched=False)
