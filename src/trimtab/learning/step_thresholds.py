"""From where on a step controller may speak, chosen on moments it never saw, so that the promise holds elsewhere.

What is looked at is a calibrated chance, and it must bear the promise out twice: what it expected of the emissions
and what came true of them. Thresholds picked by what came true alone were two to three points too hopeful elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Thresholds, log_odds
from trimtab.learning.step_fit import Seen, action_chances, fit_action, is_exact, task_folds
from trimtab.learning.step_judge import Emit, Tally, by_episode, judge_eager

FLOORS = tuple(percent / 100 for percent in range(80, 99))
# Those who are looked at here saw a fifth fewer tasks than who will serve: they are a little worse.
SHORT_OF_TASKS = 0.01
_FEWEST = 20
_FEWEST_ACTIONS = 40
_ACTION_FOLDS = 4
_MAY_COME = 0.2
Floats = NDArray[np.float64]


def choose_thresholds(seen: Sequence[Seen], promise: float, exact_promise: float, seed: int) -> Thresholds:
    """What keeps both promises (precisions) on these moments; None for a mode that cannot."""
    plain = calibrate(seen)
    eager = _eager(seen, plain, promise - SHORT_OF_TASKS)
    exact = _exact(seen, cross_chances(seen, seed), exact_promise - SHORT_OF_TASKS)
    return msgspec.structs.replace(plain, eager=eager, exact=exact)


def calibrate(seen: Sequence[Seen]) -> Thresholds:
    """Logistic regression of "came true" on the log-odds of later and next, the tool and the agent, among what may
    come next.

    A weight that would turn out negative is left out: more likely must never mean less sure.
    """
    found = _likely(seen)
    if len(set(found.hits.tolist())) < 2:
        return Thresholds()
    from sklearn.linear_model import LogisticRegression

    tools, agents = sorted(set(found.tools)), sorted(set(found.agents))
    who = np.hstack([_told_apart(found.tools, tools), _told_apart(found.agents, agents)])
    odds = np.stack([log_odds(found.later), log_odds(found.next)], axis=1)
    used = np.ones(2, bool)
    while True:
        model = LogisticRegression(C=1.0, max_iter=1000).fit(np.hstack([odds * used, who]), found.hits)
        weights = np.where(used, model.coef_[0, :2], 0.0)
        if (weights >= 0).all():
            break
        used &= weights >= 0
    offsets = [round(float(value), 6) for value in model.coef_[0, 2:]]
    return Thresholds(
        weights=(float(weights[0]), float(weights[1]), float(model.intercept_[0])),
        offsets=dict(zip(tools, offsets[: len(tools)], strict=True)),
        agents=dict(zip(agents, offsets[len(tools) :], strict=True)),
    )


@dataclass(frozen=True, slots=True)
class _Likely:
    """Every candidate that may come next: its chances, whether it came true, its tool, the agent."""

    later: Floats
    next: Floats
    hits: NDArray[np.bool_]
    tools: Sequence[str]
    agents: Sequence[str]


def _likely(seen: Sequence[Seen]) -> _Likely:
    parts = [(one, np.flatnonzero(one.next > _MAY_COME)) for one in seen if len(one.next)]
    if not parts:
        return _Likely(np.zeros(0), np.zeros(0), np.zeros(0, bool), (), ())
    return _Likely(
        np.concatenate([one.later[at] for one, at in parts]),
        np.concatenate([one.next[at] for one, at in parts]),
        np.concatenate([one.moment.later[at] for one, at in parts]),
        [one.moment.tools[number] for one, at in parts for number in at],
        [one.lived.episode.agent for one, at in parts for _ in at],
    )


def _told_apart(names: Sequence[str], known: Sequence[str]) -> Floats:
    """One column [n] for each known name."""
    return (np.array(names)[:, None] == np.array(known)).astype(float)


def cross_chances(seen: Sequence[Seen], seed: int) -> Floats:
    """The chance of each moment's action by action trees that never saw its task."""
    chances = np.zeros(len(seen))
    tasks = [one.lived.episode.task for one in seen]
    for held in task_folds(tasks, _ACTION_FOLDS, seed):
        inside = [number for number, task in enumerate(tasks) if task in held]
        rest = [one for one, task in zip(seen, tasks, strict=True) if task not in held]
        chances[inside] = action_chances(fit_action(rest, seed), [seen[number] for number in inside])
    return chances


def eager_emits(thresholds: Thresholds, least: float | None) -> Emit:
    """The rule a controller with these thresholds follows."""
    memory: dict[int, Floats] = {}

    def emits(one: Seen, at: int) -> float:
        if least is None:
            return 0.0
        chances = memory.get(id(one))
        if chances is None:
            agent = one.lived.episode.agent
            chances = memory[id(one)] = thresholds.chances(one.later, one.next, one.moment.tools, agent)
        return float(chances[at]) if chances[at] >= least else 0.0

    return emits


def tally_eager(seen: Sequence[Seen], emits: Emit) -> Tally:
    """Over all episodes."""
    total = Tally()
    for moments in by_episode(seen).values():
        total.add(judge_eager(moments, emits))
    return total


def _eager(seen: Sequence[Seen], plain: Thresholds, least_precision: float) -> float | None:
    """The lowest floor whose emissions were expected to, and did, come true often enough."""
    for least in FLOORS:
        tally = tally_eager(seen, eager_emits(plain, least))
        if tally.emitted >= _FEWEST and min(tally.precision, tally.expected_precision) >= least_precision:
            return least
    return None


def _exact(seen: Sequence[Seen], chances: Floats, least_precision: float) -> float | None:
    """The lowest floor above which enough actions were the model's own, across folds of tasks."""
    hits = np.array([is_exact(one) for one in seen], bool)
    for least in FLOORS:
        answered = chances >= least
        if answered.sum() >= _FEWEST_ACTIONS and hits[answered].mean() >= least_precision:
            return least
    return None
