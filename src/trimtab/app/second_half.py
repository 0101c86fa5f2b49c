"""The demo's second half: learn from the first act's traces, then play new tasks without and with what was learned.

Its audience plays and shows; interrupted, it says how far it came. Nothing is enabled that did not pass.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from trimtab.app.comparison import ArmAccount, SecondHalf, arm_account, compare_arms
from trimtab.app.lesson import Lesson, enable, lacking, lay_off, learn_lesson
from trimtab.app.plays import Arm, arm_play, latency_text
from trimtab.app.stage import Play, Progress
from trimtab.core import SystemClock
from trimtab.core.errors import DataError
from trimtab.simulation import WORKFLOW, TrafficReport

_TITLES: dict[Arm, str] = {"before": "new tasks, without", "after": "new tasks, with"}


class HalfTerms(msgspec.Struct, frozen=True):
    """How many runs, the seed of the first act, and what the expert's latency is timed by."""

    runs: int
    seed: int
    pace: float


class Audience(Protocol):
    """Who plays and is shown."""

    def play(self, make: Callable[[Progress], Play], title: str) -> TrafficReport:
        """Perform it and show how far it is. Cut short, it comes back with what was measured."""
        ...

    def bar(self, title: str) -> AbstractContextManager[Callable[[str, float], None]]:
        """Shows what is done, and its share."""
        ...

    def tell(self, lesson: Lesson) -> None:
        """Show what was learned."""
        ...


def is_cut_short(report: TrafficReport, total: int) -> bool:
    """Whether somebody ended the drive."""
    return len(report.runs) < total or bool(report.endings.get("cancelled"))


def play_second_half(first: TrafficReport, data: Path, terms: HalfTerms, audience: Audience) -> SecondHalf:
    """What came of it. `first` is the first act, whose store stands at `data`. Raises ConfigError, StoreUnavailable."""
    if is_cut_short(first, terms.runs):
        return SecondHalf(notice="interrupted: there is no second half")
    if lacks := lacking():
        return SecondHalf(notice=f"the second half needs {lacks}: pip install 'trimtab[demo]'")
    try:
        lesson = _learn(first, data, audience)
    except DataError as error:
        return SecondHalf(notice=f"nothing is learned from these runs: {error}")
    except KeyboardInterrupt:
        return SecondHalf(notice="interrupted while learning: nothing is enabled")
    audience.tell(lesson)
    if not lesson.passed:
        return SecondHalf(lesson, notice="what did not pass is not enabled, so there is nothing to compare")
    return _play_arms(lesson, data, terms, audience)


def _learn(first: TrafficReport, data: Path, audience: Audience) -> Lesson:
    lay_off(data, WORKFLOW)
    with audience.bar("learning") as show:
        return learn_lesson(data, WORKFLOW, frozenset(run.run for run in first.runs), show)


def _play_arms(lesson: Lesson, data: Path, terms: HalfTerms, audience: Audience) -> SecondHalf:
    reports: dict[Arm, TrafficReport] = {}
    accounts: dict[Arm, ArmAccount] = {}
    for arm, title in _TITLES.items():
        if arm == "after":
            enable(data, lesson)
        since = SystemClock.now()
        reports[arm] = audience.play(_maker(arm, terms), title)
        if is_cut_short(reports[arm], terms.runs):
            return SecondHalf(lesson, notice=f"interrupted ({title}): there is nothing to compare")
        accounts[arm] = arm_account(reports[arm], data, since)
    comparison = compare_arms(
        (reports["before"], reports["after"]),
        (accounts["before"], accounts["after"]),
        latency_text(terms.pace),
    )
    return SecondHalf(lesson, comparison)


def _maker(arm: Arm, terms: HalfTerms) -> Callable[[Progress], Play]:
    return lambda progress: arm_play(arm, terms.runs, terms.seed, terms.pace, progress)
