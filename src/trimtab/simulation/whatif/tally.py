"""Sums of what was and what would have been, by tenant, workflow and step. Guessed costs are kept in parts, because
what bounds them (how much another model writes) is known only when all recorded attempts were seen.
"""

from typing import NamedTuple

import msgspec

from trimtab.simulation.whatif.evidence import Evidence, Factor
from trimtab.simulation.whatif.fate import Fate, Place, is_priced
from trimtab.simulation.whatif.guess import Guess
from trimtab.simulation.whatif.trail import Recorded

Home = tuple[str, str, str]
"""Tenant, workflow, step."""

_MOST_EXAMPLES = 20
_EXAMPLES_A_MOVE = 2


class Bounds(msgspec.Struct, frozen=True):
    """Nanodollars."""

    low: int = 0
    likely: int = 0
    high: int = 0

    def plus(self, other: "Bounds") -> "Bounds":
        """The sum."""
        return Bounds(self.low + other.low, self.likely + other.likely, self.high + other.high)


class MoveKey(NamedTuple):
    """Calls that moved alike. `judged`: of runs whose outcome is known; `after_refusal`: their run was refused."""

    home: Home
    before: Place
    after: Place
    judged: bool
    verified: bool
    after_refusal: bool


class Move:
    """What moved calls cost in fact, what of the new cost is known, and the parts of what is guessed."""

    __slots__ = (
        "calls", "cold", "guessed", "high", "known", "likely", "low", "output", "prompt", "recorded", "rest_high",
        "rest_likely", "seconds", "unpriced",
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls = self.recorded = self.known = self.guessed = self.unpriced = 0
        self.prompt = self.cold = self.output = self.low = self.likely = self.high = 0
        self.rest_likely = self.rest_high = 0
        self.seconds = 0.0

    def add(self, recorded: Recorded, fate: Fate) -> None:
        """One more call."""
        self.calls += 1
        self.recorded += recorded.row.nanodollars
        self.known += fate.nanodollars
        self.unpriced += not fate.priced
        self.seconds += fate.seconds
        if fate.guessed is not None:
            self._add_guess(fate.guessed)
            self.rest_likely += fate.rest_likely
            self.rest_high += fate.rest_high

    def _add_guess(self, guessed: Guess) -> None:
        self.guessed += 1
        self.prompt += guessed.prompt
        self.cold += guessed.cold
        self.output += guessed.output
        self.low += guessed.low
        self.likely += guessed.likely
        self.high += guessed.high

    def cost(self, key: MoveKey, evidence: Evidence) -> Bounds:
        """The new cost."""
        if not self.guessed:
            return Bounds(0 if key.after_refusal else self.known, self.known, self.known)
        asked, written = self.factors(key, evidence)
        accepted = evidence.acceptance(key.home[1], key.home[2], key.after[1]) if key.verified else 1.0
        # Where nobody knows how often its replies are accepted, the next rung is taken to be paid as well.
        rest = (1.0 - (accepted or 0.0)) * self.rest_likely
        low = min(self.prompt, self.cold) * asked.low + self.output * written.low + self.low
        likely = self.prompt * asked.likely + self.output * written.likely + self.likely + rest
        high = (
            max(self.prompt, self.cold) * asked.high + self.output * written.high + self.high + self.rest_high
        )
        least = 0 if key.after_refusal else self.known + int(low)
        return Bounds(least, self.known + round(likely), self.known + int(max(high, likely)) + 1)

    def factors(self, key: MoveKey, evidence: Evidence) -> tuple[Factor, Factor]:
        """By what prompt and output tokens are multiplied."""
        _, workflow, step = key.home
        before, after = key.before[1], key.after[1]
        return (
            evidence.input_factor(workflow, step, before, after),
            evidence.output_factor(workflow, step, before, after),
        )


class Line:
    """Calls of one home. Costs of those that stayed are known; `judged` is the part of runs with an outcome."""

    __slots__ = (
        "calls", "estimated", "failed_after", "failed_before", "judged_before", "judged_stayed", "moved", "other",
        "other_judged", "recorded", "refused_after", "refused_before", "seconds", "skipped", "skipped_judged", "stayed",
        "unpriced", "unpriced_before",
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls = self.moved = self.recorded = self.stayed = self.other = 0
        self.refused_before = self.refused_after = self.failed_before = self.failed_after = 0
        self.judged_before = self.judged_stayed = self.estimated = self.unpriced = self.unpriced_before = 0
        self.skipped = self.skipped_judged = self.other_judged = 0
        self.seconds = 0.0

    def see(self, recorded: Recorded, fate: Fate, *, judged: bool) -> None:
        """What is true of every call, moved or not."""
        row = recorded.row
        self.calls += 1
        self.recorded += row.nanodollars
        self.seconds += row.seconds
        if judged:
            self.judged_before += row.nanodollars
        self.unpriced_before += not is_priced(recorded)
        if row.status != "ok":
            self.refused_before += row.status == "refused"
            self.failed_before += row.status == "failed"
        if fate.status != "ok":
            self.refused_after += fate.status == "refused"
            self.failed_after += fate.status == "failed"

    def stay(self, fate: Fate, *, judged: bool, after_refusal: bool) -> None:
        """A call that stays where it was."""
        self.stayed += fate.nanodollars
        self.estimated += not fate.exact
        self.unpriced += not fate.priced
        if judged:
            self.judged_stayed += fate.nanodollars
        if after_refusal:
            self.skipped += fate.nanodollars
            self.skipped_judged += fate.nanodollars if judged else 0


class Example(msgspec.Struct, frozen=True):
    """A call that would have moved."""

    call: str
    run: str
    tenant: str
    workflow: str
    step: str
    before: str
    after: str
    recorded_nanodollars: int
    likely_nanodollars: int
    seen: bool


class Tally:
    """All sums. Grows with homes and kinds of moves."""

    def __init__(self) -> None:
        self.lines: dict[Home, Line] = {}
        self.moves: dict[MoveKey, Move] = {}
        self.examples: list[Example] = []
        self._shown: dict[tuple[Place, Place], int] = {}

    def line(self, home: Home) -> Line:
        """The sums of a home."""
        found = self.lines.get(home)
        if found is None:
            found = self.lines[home] = Line()
        return found

    def see(
        self, recorded: Recorded, fate: Fate, before: Place, *, judged: bool, after_refusal: bool
    ) -> bool:
        """One call; returns whether it moved. An imported answer without an endpoint stays where its model does."""
        who = recorded.call.who
        home = who.tenant, who.workflow, who.step
        line = self.line(home)
        line.see(recorded, fate, judged=judged)
        after = fate.place
        if before == after or (not before[0] and before[1] == after[1]):
            line.stay(fate, judged=judged, after_refusal=after_refusal)
            return False
        line.moved += 1
        key = MoveKey(home, before, after, judged, fate.verified, after_refusal)
        move = self.moves.get(key)
        if move is None:
            move = self.moves[key] = Move()
        move.add(recorded, fate)
        if len(self.examples) < _MOST_EXAMPLES:
            self._show(recorded, fate, before)
        return True

    def _show(self, recorded: Recorded, fate: Fate, before: Place) -> None:
        shown = self._shown.get((before, fate.place), 0)
        if shown >= _EXAMPLES_A_MOVE:
            return
        self._shown[before, fate.place] = shown + 1
        call = recorded.call
        self.examples.append(
            Example(
                call.id, call.who.run, call.who.tenant, call.who.workflow, call.who.step, named(before),
                named(fate.place), recorded.row.nanodollars, fate.likely, seen=fate.guessed is None,
            )
        )  # fmt: skip


def named(place: Place) -> str:
    """A place in words."""
    endpoint, model = place
    return f"{model} at {endpoint}" if endpoint else model
