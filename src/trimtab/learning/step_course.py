"""The course of a step controller: across folds of tasks for the report, then once more on everything for the house.

Each fold learns recipes, cue tables, trees and thresholds from its own tasks alone; what it promises is judged on the
fold's held-out tasks. The thresholds that ship are chosen on all those held-out chances.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from trimtab.controllers import Catalogue, Profile, Thresholds, profile_of, tool_digests
from trimtab.core.errors import DataError
from trimtab.learning.episodes import Episode
from trimtab.learning.moments import Lived, learn_catalogue, live_through
from trimtab.learning.step_fit import (
    Seen,
    action_chances,
    assemble,
    fit_action,
    fit_step,
    see,
    see_across,
    task_folds,
)
from trimtab.learning.step_judge import Tally, by_episode, judge_eager, judge_exact
from trimtab.learning.step_thresholds import choose_thresholds, eager_emits

_INNER_FOLDS = 5
_FEWEST_TASKS = 4
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class StepTerms:
    """What to learn. `reward` is the least of a successful run; no `teachers` means every agent; the promises are
    precisions: of eager emissions, and of exact actions."""

    workflow: str
    teachers: tuple[str, ...] = ()
    reward: float = 1.0
    promise: float = 0.97
    exact_promise: float = 0.98
    folds: int = 5
    seed: int = 0


@dataclass(slots=True)
class StepFigures:
    """What held-out runs say, in all and by agent. `recorded`, `fillable` and `covered` count the read-only calls of
    each tool: made by the agents, among the candidates when made, and emitted in time."""

    eager: Tally = field(default_factory=Tally)
    exact: Tally = field(default_factory=Tally)
    agents: dict[str, tuple[Tally, Tally]] = field(
        default_factory=lambda: defaultdict(lambda: (Tally(), Tally()))
    )
    recorded: Counter[str] = field(default_factory=Counter)
    fillable: Counter[str] = field(default_factory=Counter)
    covered: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class StepLesson:
    """What came of a course; the model's files lie in the folder it was given."""

    terms: StepTerms
    figures: StepFigures
    thresholds: Thresholds
    tools: dict[str, str]
    profile: Profile
    episodes: int
    teachers: tuple[str, ...]

    @property
    def misses(self) -> tuple[str, ...]:
        """Which promises the held-out runs did not keep, in words."""
        told = []
        for name, tally, promise in (
            ("eager", self.figures.eager, self.terms.promise),
            ("exact", self.figures.exact, self.terms.exact_promise),
        ):
            if tally.emitted and tally.precision < promise:
                told.append(
                    f"{name}: precision {tally.precision:.4f} on held-out tasks, promised {promise:g}"
                )
        if not self.figures.eager.emitted and not self.figures.exact.emitted:
            told.append("no threshold keeps the promise: this controller would never answer")
        return tuple(told)


def learn_step(
    episodes: Sequence[Episode], terms: StepTerms, folder: Path, progress: Progress = lambda *_: None
) -> StepLesson:
    """Learn a step controller and write its files. `progress` is told fits done, fits in all, and what is done.

    Raises DataError where there is too little to learn from.
    """
    check_episodes(episodes, terms)
    steps = _Steps(terms.folds * (_INNER_FOLDS + 1) + 1, progress)
    figures, held_out = StepFigures(), list[Seen]()
    for number, held in enumerate(
        task_folds([one.task for one in episodes], terms.folds, terms.seed), start=1
    ):
        steps.say(f"fold {number} of {terms.folds}")
        held_out.extend(_judge_fold(episodes, held, terms, figures, steps))
    steps.say("on all tasks")
    catalogue = _catalogue(episodes, terms)
    fitted = fit_step(_live(episodes, catalogue), catalogue, terms.seed)
    thresholds = choose_thresholds(held_out, terms.promise, terms.exact_promise, terms.seed)
    tools = tool_digests(tool for episode in episodes for tool in episode.tools)
    folder.mkdir(parents=True, exist_ok=True)
    assemble(
        fitted, fit_action(held_out, terms.seed), thresholds, tools, (one.task for one in episodes)
    ).save(folder)
    steps.done()
    profile = profile_of([_said(one, thresholds) for one in held_out])
    return StepLesson(terms, figures, thresholds, tools, profile, len(episodes), catalogue.agents)


class _Steps:
    """Counts fits for a progress bar."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress, self._made, self._what = total, progress, 0, ""

    def say(self, what: str) -> None:
        self._what = what
        self._progress(self._made, self._total, what)

    def done(self) -> None:
        self._made += 1
        self._progress(self._made, self._total, self._what)


def check_episodes(episodes: Sequence[Episode], terms: StepTerms) -> None:
    """Raises DataError where nothing can be learned: no success, too few tasks, no tool declared read-only."""
    file = terms.workflow
    teachers = [one for one in episodes if _teaches(one, terms)]
    if not teachers:
        known = ", ".join(sorted({one.agent for one in episodes})) or "none"
        raise DataError(
            f"no successful run to learn from (agents: {known})",
            file=file,
            field="reward",
            remedy="report outcomes, lower --reward, or name other teachers",
        )
    if len({one.task for one in episodes}) < max(_FEWEST_TASKS, terms.folds):
        remedy = f"record runs of at least {max(_FEWEST_TASKS, terms.folds)} different tasks"
        raise DataError("too few tasks to judge on others", file=file, field="task", remedy=remedy)
    if not any(one.read_only for one in episodes):
        remedy = "declare them: [workflow.NAME.tools] read_only = [...]"
        raise DataError("no tool is declared read-only", file=file, field="tools", remedy=remedy)


def _teaches(episode: Episode, terms: StepTerms) -> bool:
    successful = episode.reward is not None and episode.reward >= terms.reward
    return successful and (not terms.teachers or episode.agent in terms.teachers)


def _catalogue(episodes: Iterable[Episode], terms: StepTerms) -> Catalogue:
    known = list(episodes)
    return learn_catalogue([one for one in known if _teaches(one, terms)], {one.agent for one in known})


def _live(episodes: Iterable[Episode], catalogue: Catalogue) -> list[Lived]:
    return [live_through(one, catalogue) for one in episodes]


def _judge_fold(
    episodes: Sequence[Episode], held: frozenset[str], terms: StepTerms, figures: StepFigures, steps: _Steps
) -> list[Seen]:
    """Learn from the other tasks, judge on these; what was seen of these is returned."""
    rest = [one for one in episodes if one.task not in held]
    catalogue = _catalogue(rest, terms)
    lived = _live(rest, catalogue)
    inner = see_across(lived, catalogue, _INNER_FOLDS, terms.seed + 1, steps.done)
    fitted = fit_step(lived, catalogue, terms.seed)
    steps.done()
    thresholds = choose_thresholds(inner, terms.promise, terms.exact_promise, terms.seed)
    action = fit_action(inner, terms.seed)
    tests = see(fitted, _live([one for one in episodes if one.task in held], catalogue))
    exact = action_chances(action, tests)
    chances = {
        (one.lived.episode.id, one.moment.reply): chance for one, chance in zip(tests, exact, strict=True)
    }
    emits = eager_emits(thresholds, thresholds.eager)
    for id, moments in by_episode(tests).items():
        said = {one.moment.reply: chances[id, one.moment.reply] for one in moments}
        limit = 2.0 if thresholds.exact is None else thresholds.exact
        pair = judge_eager(moments, emits), judge_exact(moments, said, limit)
        _note(figures, moments[0].lived.episode.agent, pair)
        _cover(figures, moments, thresholds)
    return tests


def _note(figures: StepFigures, agent: str, pair: tuple[Tally, Tally]) -> None:
    for total, tally in zip((figures.eager, figures.exact), pair, strict=True):
        total.add(tally)
    for total, tally in zip(figures.agents[agent], pair, strict=True):
        total.add(tally)


def _cover(figures: StepFigures, moments: Sequence[Seen], thresholds: Thresholds) -> None:
    """What limits coverage, by tool: calls made, calls that could be filled, calls emitted in time."""
    emits, emitted = eager_emits(thresholds, thresholds.eager), set[str]()
    episode = moments[0].lived.episode
    for one in moments:
        keys = set(one.moment.keys)
        emitted |= {key for at, key in enumerate(one.moment.keys) if emits(one, at)}
        calls = episode.turns[one.moment.reply].calls
        for call in calls:
            if call.name in episode.read_only:
                figures.recorded[call.name] += 1
                figures.fillable[call.name] += call.key in keys
                figures.covered[call.name] += call.key in emitted
        if any(call.name not in episode.read_only for call in calls):
            emitted.clear()


def _said(one: Seen, thresholds: Thresholds) -> float | None:
    """The confidence of what would be answered at this moment; None where it abstains."""
    if thresholds.eager is None or not len(one.later):
        return None
    chances = thresholds.chances(one.later, one.next, one.moment.tools, one.lived.episode.agent)
    sure = chances[chances >= thresholds.eager]
    return float(sure.min()) if len(sure) else None


def metrics_of(figures: StepFigures) -> dict[str, float]:
    """The figures of a manifest: shares of all held-out replies, precisions, the share of known cost saved."""
    found = {}
    for name, tally in (("eager", figures.eager), ("exact", figures.exact)):
        found[f"{name}_saved"] = round(tally.saved_share, 6)
        found[f"{name}_precision"] = round(tally.precision, 6)
        found[f"{name}_emitted"] = float(tally.emitted)
        found[f"{name}_cost_saved"] = round(tally.saved_nanodollars / max(tally.nanodollars, 1), 6)
    found["eager_repeats"] = round(figures.eager.repeats / max(figures.eager.calls, 1), 6)
    return found


def lesson_digest(lesson: StepLesson) -> bytes:
    """The figures as bytes, to be hashed for the report's digest."""
    return msgspec.json.encode(metrics_of(lesson.figures), order="sorted")
