"""A packaged step controller before the judge: recorded conversations, reply by reply, through the code that serves.

The controller sees what stood before each reply and is scored by the rules of `step_judge.py`. It is asked twice:
eagerly (which read-only calls will be made) and exactly (what the whole next action is).
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from trimtab.controllers import Answer, Conversation, StepController, task_digest
from trimtab.evaluation import Cell, Column, Interval, Report, Resamples, Table
from trimtab.learning.episodes import Episode
from trimtab.learning.moments import standing_hits
from trimtab.learning.step_judge import Tally

MODES = ("eager", "exact")
_NANO = 1_000_000_000


@dataclass(slots=True)
class Sat:
    """One episode's tallies by mode, the writes that were called (none may be), and the seconds each answer took."""

    episode: Episode
    tallies: dict[str, Tally]
    writes: int = 0
    seconds: list[float] = field(default_factory=list)


def examine_step(
    controller: StepController,
    episodes: Sequence[Episode],
    title: str,
    command: str = "",
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Report:
    """Judge a controller on recorded conversations. Deterministic but for the times."""
    sat = []
    for number, episode in enumerate(episodes, start=1):
        sat.append(_sit(controller, episode))
        progress(number, len(episodes))
    groups = np.array([one.episode.task for one in sat])
    resamples = Resamples(groups)
    known = sum(task_digest(task) in controller.tasks for task in set(groups.tolist()))
    notes = (
        "A reply is saved only when its whole turn is covered; every recorded reply counts, those of failed runs too.",
        "An emission is a hit when the agent made that very call at this reply or later with no write in between.",
        "Cost saved and cost per completed run afterwards are estimates: recorded prices of the replies saved, and "
        "outcomes as recorded.",
        f"Writing calls made: {sum(one.writes for one in sat)}.",
    )
    return Report(
        title=title,
        subject=title,
        data=f"{len(episodes)} recorded conversations",
        runs=len(episodes),
        groups=len(set(groups.tolist())),
        command=command,
        claims=(_claim(controller.tasks, known, len(set(groups.tolist()))),),
        notes=notes,
        tables=(_modes(sat, resamples), _agents(sat), _tools(sat), _times(sat)),
    )


def _claim(taught: Collection[str], known: int, tasks: int) -> str:
    if not taught:
        return "This controller does not say which tasks it learned from: the figures may be of its own."
    if not known:
        return "None of these tasks was in its training: the figures are of held-out tasks."
    return f"{known} of these {tasks} tasks were in its training: the figures say nothing of other tasks."


def _sit(controller: StepController, episode: Episode) -> Sat:
    sat = Sat(episode, {mode: Tally() for mode in MODES})
    ahead = standing_hits(episode)
    emitted, standing = set[str](), set[str]()
    for reply in episode.calls:
        conversation = Conversation(episode.turns[:reply], episode.tools)
        answers = {mode: _ask(controller, conversation, mode, sat) for mode in MODES}
        calls = episode.turns[reply].calls
        keys = {call.key for call in calls}
        writes = any(call.name not in episode.read_only for call in calls)
        _emit(sat.tallies["eager"], answers["eager"], emitted, ahead[reply])
        saved = bool(keys) and not writes and keys <= emitted
        sat.tallies["eager"].reply(episode.prices[reply], saved=saved)
        sat.tallies["eager"].repeats += saved and keys <= standing
        hit = _exact(sat.tallies["exact"], answers["exact"], keys)
        sat.tallies["exact"].reply(episode.prices[reply], saved=hit)
        standing |= keys
        if writes:
            emitted.clear()
            standing.clear()
    return sat


def _ask(controller: StepController, conversation: Conversation, mode: str, sat: Sat) -> Answer:
    began = time.thread_time()
    answer = controller.decide(conversation, agent=sat.episode.agent, eager=mode == "eager")
    sat.seconds.append(time.thread_time() - began)
    sat.writes += sum(call.name not in sat.episode.read_only for call in answer.calls)
    return answer


def _emit(tally: Tally, answer: Answer, emitted: set[str], ahead: dict[str, int]) -> None:
    for call in answer.calls:
        if call.key in emitted:
            continue
        emitted.add(call.key)
        tally.emission(call.name, hit=call.key in ahead)


def _exact(tally: Tally, answer: Answer, keys: set[str]) -> bool:
    if not answer.calls:
        return False
    hit = {call.key for call in answer.calls} == keys
    tally.emission(answer.option, hit=hit)
    return hit


def _modes(sat: Sequence[Sat], resamples: Resamples) -> Table:
    columns = (
        "mode",
        "replies",
        "saved",
        "of which repeats",
        "precision",
        "cost saved",
        "cost per completed run",
    )
    units = ("", "", "%", "%", "%", "%", "USD")
    rows: list[tuple[Cell, ...]] = [
        (
            "model alone",
            sum(one.tallies["eager"].calls for one in sat),
            None,
            None,
            None,
            None,
            _per_run(sat, None),
        )
    ]
    rows.extend(_mode(sat, mode, resamples) for mode in MODES)
    made = tuple(Column(name, unit) for name, unit in zip(columns, units, strict=True))  # type: ignore[arg-type]
    return Table("What it saves", made, tuple(rows))


def _mode(sat: Sequence[Sat], mode: str, resamples: Resamples) -> tuple[Cell, ...]:
    tallies = [one.tallies[mode] for one in sat]

    def share(above: str, below: str) -> Interval | None:
        return resamples.ratio(
            np.array([float(getattr(tally, above)) for tally in tallies]),
            np.array([float(getattr(tally, below)) for tally in tallies]),
        )

    repeats = sum(tally.repeats for tally in tallies) / max(sum(tally.calls for tally in tallies), 1)
    return (
        mode,
        sum(tally.calls for tally in tallies),
        share("saved", "calls"),
        repeats,
        share("hits", "emitted"),
        share("saved_nanodollars", "nanodollars"),
        _per_run(sat, mode),
    )


def _per_run(sat: Sequence[Sat], mode: str | None) -> float | None:
    """USD of all runs of known outcome and known cost by those completed; None where none is."""
    known = [one for one in sat if one.episode.reward is not None and one.tallies["eager"].nanodollars]
    completed = sum((one.episode.reward or 0.0) >= 1.0 for one in known)
    spent = sum(one.tallies["eager"].nanodollars for one in known)
    saved = sum(one.tallies[mode].saved_nanodollars for one in known) if mode else 0
    return (spent - saved) / _NANO / completed if completed else None


def _agents(sat: Sequence[Sat]) -> Table:
    names = sorted({one.episode.agent for one in sat})
    rows = []
    for name in names:
        mine = [one for one in sat if one.episode.agent == name]
        totals = {mode: Tally() for mode in MODES}
        for one in mine:
            for mode in MODES:
                totals[mode].add(one.tallies[mode])
        figures = [
            figure for mode in MODES for figure in (totals[mode].saved_share, _precision(totals[mode]))
        ]
        rows.append((name, totals["eager"].calls, *figures))
    heads = (Column("agent"), Column("replies"))
    parts = [Column(f"{mode} {what}", "%") for mode in MODES for what in ("saved", "precision")]
    return Table("By agent", (*heads, *parts), tuple(rows))


def _precision(tally: Tally) -> float | None:
    return tally.precision if tally.emitted else None


def _tools(sat: Sequence[Sat]) -> Table:
    """What limits coverage, by tool: calls recorded, emissions, how many came true."""
    recorded: Counter[str] = Counter()
    total = Tally()
    for one in sat:
        total.add(one.tallies["eager"])
        for reply in one.episode.calls:
            calls = one.episode.turns[reply].calls
            recorded.update(call.name for call in calls if call.name in one.episode.read_only)
    rows = tuple(
        (
            tool,
            made,
            total.tools[tool],
            total.tool_hits[tool] / total.tools[tool] if total.tools[tool] else None,
        )
        for tool, made in recorded.most_common()
    )
    columns = (
        Column("read-only tool"),
        Column("recorded calls"),
        Column("emitted"),
        Column("came true", "%"),
    )
    return Table("By tool (eager)", columns, rows)


def _times(sat: Sequence[Sat]) -> Table:
    seconds = np.array([second for one in sat for second in one.seconds]) if sat else np.zeros(1)
    rows = tuple((f"p{share}", float(np.percentile(seconds, share))) for share in (50, 95, 99))
    return Table("CPU time a decision", (Column("share"), Column("time", "s")), rows)
