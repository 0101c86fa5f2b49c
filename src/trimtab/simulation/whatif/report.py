"""What a replay came to, as values: costs, moves, refusals, latencies and completions, each with its bounds."""

import msgspec

from trimtab.simulation.whatif.evidence import INPUT_RANGE, OUTPUT_RANGE, Evidence, Pace
from trimtab.simulation.whatif.replay import Replay
from trimtab.simulation.whatif.runs import Matched
from trimtab.simulation.whatif.tally import Bounds, Example, Home, Line, Move, MoveKey, Tally, named

Field = str
FIELDS: tuple[Field, ...] = ("workflow", "step", "tenant")
_PLACE_OF_FIELD = {"tenant": 0, "workflow": 1, "step": 2}


class Sums(msgspec.Struct, frozen=True):
    """Calls that share `value`. Costs in nanodollars, tools and the like included in both. `unseen` calls have an
    answer nobody knows; the price of `unpriced` ones is not known and is in no sum."""

    value: str
    calls: int
    moved: int
    unseen: int
    recorded_nanodollars: int
    new_nanodollars: Bounds
    refused_recorded: int
    refused_new: int
    failed_recorded: int
    failed_new: int
    unpriced: int
    unpriced_recorded: int = 0


class MoveLine(msgspec.Struct, frozen=True):
    """Calls that would have gone elsewhere. `tokens` says what the bounds of the cost come from."""

    before: str
    after: str
    workflow: str
    step: str
    calls: int
    recorded_nanodollars: int
    new_nanodollars: Bounds
    seen: int
    tokens: str
    unpriced: int


class Latency(msgspec.Struct, frozen=True):
    """Seconds of answered calls. `unknown` ones went where no recorded attempt tells how long it takes."""

    calls: int
    unknown: int
    mean: float | None
    p50: float | None
    p95: float | None


class Completions(msgspec.Struct, frozen=True):
    """Runs whose outcome is known. `kept` completed ones have nothing but answers they had in fact (or of the same
    model); `touched` runs have others, and may end either way. `low` and `high` bound the completions whatever those
    answers are; `likely` is None where some touched run is matched by no recorded run of its task and new model.
    `resumed` runs (of any outcome) had a call refused in fact that is not refused now: what they would then go on to
    ask is in no cost and no bound."""

    runs: int
    cut_off: int
    unknown: int
    known: int
    completed: int
    kept: int
    touched: int
    refused: int
    resumed: int
    matched: Matched
    low: int
    likely: float | None
    high: int
    recorded_nanodollars: int
    new_nanodollars: Bounds
    recorded_per_completed: int | None
    per_completed_low: int | None
    per_completed_likely: int | None
    per_completed_high: int | None


class WhatIf(msgspec.Struct, frozen=True):
    """The whole report. `first_at` and `last_at` are epoch seconds."""

    policy: str
    source: str
    first_at: float
    last_at: float
    calls: int
    moved: int
    total: Sums
    by: dict[Field, tuple[Sums, ...]]
    moves: tuple[MoveLine, ...]
    latency_recorded: Latency
    latency_new: Latency
    completions: Completions
    examples: tuple[Example, ...]
    assumptions: tuple[str, ...]


def report_of(replay: Replay, policy: str, source: str) -> WhatIf:
    """The report of a replay that is over."""
    tally, evidence = replay.tally, replay.evidence
    total = _sums("all", list(tally.lines.items()), tally, evidence)
    return WhatIf(
        policy=policy,
        source=source,
        first_at=replay.first_at,
        last_at=replay.last_at,
        calls=replay.calls,
        moved=total.moved,
        total=total,
        by={field: _by(field, tally, evidence) for field in FIELDS},
        moves=_moves(tally, evidence),
        latency_recorded=_latency(replay.pace_before, 0),
        latency_new=_new_latency(replay),
        completions=_completions(replay),
        examples=tuple(tally.examples),
        assumptions=_assumptions(replay, total),
    )


def _by(field: Field, tally: Tally, evidence: Evidence) -> tuple[Sums, ...]:
    place = _PLACE_OF_FIELD[field]
    groups: dict[str, list[tuple[Home, Line]]] = {}
    for home, line in tally.lines.items():
        groups.setdefault(home[place], []).append((home, line))
    moves: dict[str, Tally] = {}
    for key, move in tally.moves.items():
        moves.setdefault(key.home[place], Tally()).moves[key] = move
    none = Tally()
    lines = [_sums(value, homes, moves.get(value, none), evidence) for value, homes in groups.items()]
    return tuple(sorted(lines, key=lambda line: (-line.recorded_nanodollars, line.value)))


def _sums(value: str, homes: list[tuple[Home, Line]], tally: Tally, evidence: Evidence) -> Sums:
    lines = [line for _, line in homes]
    still = sum(line.stayed + line.other for line in lines)
    cost = Bounds(still - sum(line.skipped for line in lines), still, still)
    for key, move in tally.moves.items():
        cost = cost.plus(move.cost(key, evidence))
    return Sums(
        value=value,
        calls=sum(line.calls for line in lines),
        moved=sum(line.moved for line in lines),
        unseen=sum(move.guessed for move in tally.moves.values()),
        recorded_nanodollars=sum(line.recorded + line.other for line in lines),
        new_nanodollars=cost,
        refused_recorded=sum(line.refused_before for line in lines),
        refused_new=sum(line.refused_after for line in lines),
        failed_recorded=sum(line.failed_before for line in lines),
        failed_new=sum(line.failed_after for line in lines),
        unpriced=sum(line.unpriced for line in lines) + sum(move.unpriced for move in tally.moves.values()),
        unpriced_recorded=sum(line.unpriced_before for line in lines),
    )


def _moves(tally: Tally, evidence: Evidence) -> tuple[MoveLine, ...]:
    """By from, to, workflow and step, over tenants; the most calls first."""
    groups: dict[tuple[str, str, str, str], list[tuple[MoveKey, Move]]] = {}
    for key, move in tally.moves.items():
        name = named(key.before), named(key.after), key.home[1], key.home[2]
        groups.setdefault(name, []).append((key, move))
    lines = [_move_line(name, moves, evidence) for name, moves in groups.items()]
    return tuple(
        sorted(lines, key=lambda line: (-line.calls, line.before, line.after, line.workflow, line.step))
    )


def _move_line(
    name: tuple[str, str, str, str], moves: list[tuple[MoveKey, Move]], evidence: Evidence
) -> MoveLine:
    cost = Bounds()
    for key, move in moves:
        cost = cost.plus(move.cost(key, evidence))
    guessed = sum(move.guessed for _, move in moves)
    calls = sum(move.calls for _, move in moves)
    return MoveLine(
        *name,
        calls=calls,
        recorded_nanodollars=sum(move.recorded for _, move in moves),
        new_nanodollars=cost,
        seen=calls - guessed,
        tokens=_tokens(moves, evidence) if guessed else "",
        unpriced=sum(move.unpriced for _, move in moves),
    )


def _tokens(moves: list[tuple[MoveKey, Move]], evidence: Evidence) -> str:
    key, move = moves[0]
    if not any(one.prompt or one.output for _, one in moves):
        return "no answer to go by: from the prompt alone to the worst case"
    asked, written = move.factors(key, evidence)
    if key.before[1] == key.after[1]:
        return "same model, same tokens assumed"
    how = "recorded replies of both models" if written.matched else "assumed range"
    told = f"output x {written.low:.2f} to {written.high:.2f} ({how})"
    how = "recorded prompts of both models" if asked.matched else "assumed range"
    return f"{told}, prompt x {asked.low:.2f} to {asked.high:.2f} ({how})"


def _latency(pace: Pace, unknown: int) -> Latency:
    return Latency(int(pace.count) + unknown, unknown, pace.mean, pace.quantile(0.5), pace.quantile(0.95))


def _new_latency(replay: Replay) -> Latency:
    """Calls that stayed took what they took; those that moved, what recorded attempts took there."""
    pace, unknown = Pace(), 0
    if replay.pace_known.count:
        pace.blend(replay.pace_known, replay.pace_known.count)
    for key, move in replay.tally.moves.items():
        found = replay.evidence.pace.get(key.after)
        if found is None:
            unknown += move.guessed
        elif move.guessed:
            pace.blend(found, move.guessed)
    return _latency(pace, unknown)


def _completions(replay: Replay) -> Completions:
    runs, tally = replay.runs, replay.tally
    matched = runs.matched()
    lines = tally.lines.values()
    before = sum(line.judged_before + line.other_judged for line in lines)
    still = sum(line.judged_stayed + line.other_judged for line in lines)
    cost = Bounds(still - sum(line.skipped_judged for line in lines), still, still)
    for key, move in tally.moves.items():
        if key.judged:
            cost = cost.plus(move.cost(key, replay.evidence))
    low, high = runs.kept, runs.kept + runs.touched
    likely = runs.kept + matched.likely if matched.runs == runs.touched else None
    return Completions(
        runs=runs.runs,
        cut_off=runs.cut,
        unknown=runs.unknown,
        known=runs.known,
        completed=runs.completed,
        kept=runs.kept,
        touched=runs.touched,
        refused=runs.lost,
        resumed=runs.resumed,
        matched=matched,
        low=low,
        likely=likely,
        high=high,
        recorded_nanodollars=before,
        new_nanodollars=cost,
        recorded_per_completed=_each(before, runs.completed),
        per_completed_low=_each(cost.low, high),
        per_completed_likely=None if likely is None else _each(cost.likely, likely),
        per_completed_high=_each(cost.high, low),
    )


def _each(nanodollars: int, completed: float) -> int | None:
    """Rounded up to a nanodollar; None where nothing is completed."""
    return None if completed <= 0 else int(-(-nanodollars // completed))


def _assumptions(replay: Replay, total: Sums) -> tuple[str, ...]:
    said = [
        "how busy and how fast endpoints were is taken from the recorded offers: a policy that moves many calls "
        "would change it, which this replay does not know (`trimtab simulate` does)",
        "prices are those that the new settings give today",
    ]
    if total.unseen:
        said.append(
            "likely cost of an unseen answer: the tokens of the recorded one, corrected where both models have 30 "
            f"or more recorded replies at the step; bounds: two standard errors of that, else output x "
            f"{OUTPUT_RANGE[0]:g} to {OUTPUT_RANGE[1]:g} and prompt x {INPUT_RANGE[0]:g} to {INPUT_RANGE[1]:g}, "
            "and from as much cached as in fact to nothing cached"
        )
        said.append(
            "an answer of the same model, no less precise, is taken to serve a run as well; no other is"
        )
        said.append(
            "calls of a run are replayed as they were made, whatever an unseen answer would have changed"
        )
    if total.refused_new != total.refused_recorded or total.failed_new != total.failed_recorded:
        said.append(
            "the client of a refused or failed call is taken to go on in the upper bounds, to stop in the lower"
        )
    if replay.trial.settings.budget:
        said.append("budgets are filled in the order of the calls, with the likely costs")
    return tuple(said)
