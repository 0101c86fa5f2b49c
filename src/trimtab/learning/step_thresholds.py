"""From where on a step controller may speak, chosen on moments it never saw, so that the promise holds elsewhere.

One calibrated chance is thresholded at the lowest of a few high floors that keeps the promise: thresholds picked
freely on the same rows were two to three points too hopeful on other tasks. The precision is a point estimate.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Thresholds
from trimtab.learning.step_fit import Seen, action_chances, fit_action, is_exact, task_folds
from trimtab.learning.step_judge import Emit, Tally, by_episode, judge_eager

EAGER_FLOORS = (0.9, 0.92, 0.94, 0.96, 0.98)
EXACT_FLOORS = (0.93, 0.95, 0.97, 0.98, 0.99)
_FEWEST = 20
_ACTION_FOLDS = 4
_MAY_COME = 0.2
_FEWEST_OF_A_TOOL = 5
_TOOL_SLACK = 0.1
Floats = NDArray[np.float64]


def choose_thresholds(seen: Sequence[Seen], promise: float, exact_promise: float, seed: int) -> Thresholds:
    """What keeps both promises (precisions) on these moments; None for a mode that cannot."""
    plain, eager = _eager(seen, calibrate(seen), promise)
    exact = _exact(seen, cross_chances(seen, seed), exact_promise)
    return msgspec.structs.replace(plain, eager=eager, exact=exact)


def calibrate(seen: Sequence[Seen]) -> Thresholds:
    """Logistic regression of "came true" on the log-odds of later and next and on the tool, among what may come next.

    A weight that would turn out negative is left out: more likely must never mean less sure.
    """
    later, following, hits, tools = _flat(seen)
    if len(set(hits.tolist())) < 2:
        return Thresholds()
    from sklearn.linear_model import LogisticRegression

    names = sorted(set(tools))
    own = np.array([[tool == name for name in names] for tool in tools], float)
    odds = np.stack([log_odds(later), log_odds(following)], axis=1)
    used = np.ones(2, bool)
    while True:
        model = LogisticRegression(C=1.0, max_iter=1000).fit(np.hstack([odds * used, own]), hits)
        found = np.where(used, model.coef_[0, :2], 0.0)
        if (found >= 0).all():
            break
        used &= found >= 0
    offsets = {name: round(float(value), 6) for name, value in zip(names, model.coef_[0, 2:], strict=True)}
    return Thresholds(weights=(float(found[0]), float(found[1]), float(model.intercept_[0])), offsets=offsets)


def _flat(seen: Sequence[Seen]) -> tuple[Floats, Floats, NDArray[np.bool_], list[str]]:
    """Every candidate that may come next: later, next, whether it came true, its tool."""
    parts = [(one.later, one.next, one.moment.later, one.moment.tools) for one in seen if len(one.next)]
    later = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0)
    following = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0)
    hits = np.concatenate([part[2] for part in parts]) if parts else np.zeros(0, bool)
    tools = [tool for part in parts for tool in part[3]]
    likely = following > _MAY_COME
    return later[likely], following[likely], hits[likely], [tools[at] for at in np.flatnonzero(likely)]


def cross_chances(seen: Sequence[Seen], seed: int) -> Floats:
    """The chance of each moment's action by action trees that never saw its task."""
    chances = np.zeros(len(seen))
    tasks = [one.lived.episode.task for one in seen]
    for held in task_folds(tasks, _ACTION_FOLDS, seed):
        inside = [number for number, task in enumerate(tasks) if task in held]
        rest = [one for one, task in zip(seen, tasks, strict=True) if task not in held]
        chances[inside] = action_chances(fit_action(rest, seed), [seen[number] for number in inside])
    return chances


def log_odds(chance: Floats) -> Floats:
    """Of chances, kept finite."""
    bounded = np.clip(chance, 1e-4, 1 - 1e-4)
    return np.log(bounded / (1 - bounded))


def eager_emits(thresholds: Thresholds, least: float | None) -> Emit:
    """The rule a controller with these thresholds follows."""
    memory: dict[int, Floats] = {}

    def emits(one: Seen, at: int) -> bool:
        if least is None or one.moment.tools[at] in thresholds.silent:
            return False
        chances = memory.get(id(one))
        if chances is None:
            chances = memory[id(one)] = thresholds.chances(one.later, one.next, one.moment.tools)
        return bool(chances[at] >= least)

    return emits


def tally_eager(seen: Sequence[Seen], emits: Emit) -> Tally:
    """Over all episodes."""
    total = Tally()
    for moments in by_episode(seen).values():
        total.add(judge_eager(moments, emits))
    return total


def _eager(seen: Sequence[Seen], plain: Thresholds, promise: float) -> tuple[Thresholds, float | None]:
    """The lowest floor that keeps the promise, with tools that break it on their own silenced."""
    for least in EAGER_FLOORS:
        first = tally_eager(seen, eager_emits(plain, least))
        silent = tuple(sorted(tool for tool in first.tools if _breaks(first, tool, promise)))
        kept = msgspec.structs.replace(plain, silent=silent)
        tally = tally_eager(seen, eager_emits(kept, least))
        if tally.emitted >= _FEWEST and tally.precision >= promise:
            return kept, least
    return plain, None


def _breaks(tally: Tally, tool: str, promise: float) -> bool:
    made = tally.tools[tool]
    return made >= _FEWEST_OF_A_TOOL and tally.tool_hits[tool] / made < promise - _TOOL_SLACK


def _exact(seen: Sequence[Seen], chances: Floats, promise: float) -> float | None:
    """The lowest floor from which on, and at every higher one, the promise is kept across folds of tasks; one miss
    more than promised ends the search only where it is not the first."""
    hits = np.array([is_exact(one) for one in seen], bool)
    chosen = None
    for least in reversed(EXACT_FLOORS):
        answered = chances >= least
        if answered.sum() < _FEWEST:
            continue
        misses, allowed = int((~hits[answered]).sum()), (1 - promise) * int(answered.sum())
        if misses > max(allowed, 1):
            break
        if misses <= allowed:
            chosen = least
    return chosen
