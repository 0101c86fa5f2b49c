"""A step model fitted on lived episodes: cue tables, then trees for "later" and for "next", then for the whole action.

What decides on thresholds and on the action's confidence was never trained on: it is scored across folds of tasks.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import (
    ACTION_NAMES,
    CUES,
    NAMES,
    Catalogue,
    StepFacts,
    StepModel,
    Thresholds,
    Trees,
    action_row,
    lead_columns,
    task_digest,
)
from trimtab.learning.boosting import CAUTIOUS, fit_trees
from trimtab.learning.cue_counts import CueCounts
from trimtab.learning.forest import blend, fit_forest
from trimtab.learning.moments import Lived, Moment

_LATER, _NEXT = NAMES.index("rate_later"), NAMES.index("rate_next")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """A moment with its chances by a model that never saw its task: [n] later, [n] next."""

    lived: Lived
    moment: Moment
    later: Floats
    next: Floats


@dataclass(frozen=True, slots=True)
class Fitted:
    """The parts of a step model that are learned."""

    catalogue: Catalogue
    cues: CueCounts
    later: Trees
    next: Trees


def task_folds(tasks: Sequence[str], folds: int, seed: int) -> list[frozenset[str]]:
    """The tasks dealt into folds, the same for the same seed."""
    names = sorted(set(tasks))
    np.random.default_rng(seed).shuffle(names)
    return [frozenset(names[start::folds]) for start in range(min(folds, len(names)))]


def fit_step(lived: Sequence[Lived], catalogue: Catalogue, seed: int) -> Fitted:
    """Cue tables and trees from these episodes."""
    catalogue = msgspec.structs.replace(catalogue, rates=_rates(lived, len(catalogue.recipes)))
    cues = CueCounts(lived, len(catalogue.recipes))
    moments = [(one, moment) for one in lived for moment in one.moments if moment.keys]
    rows = [full_rows(moment, catalogue, cues, one.episode.task) for one, moment in moments]
    stacked = np.concatenate(rows) if rows else np.zeros((0, len(NAMES)), np.float32)
    weights = np.ones(len(stacked))
    labels = [
        np.concatenate([getattr(moment, which) for _, moment in moments]) if rows else np.zeros(0, bool)
        for which in ("later", "next")
    ]
    later, following = (_grow(stacked, label, weights, seed) for label in labels)
    return Fitted(catalogue, cues, later, following)


def _grow(rows: NDArray[np.float32], labels: NDArray[np.bool_], weights: Floats, seed: int) -> Trees:
    """Boosted trees, blended with a forest where there is anything to tell apart."""
    boosted = fit_trees(rows, labels, weights, seed)
    if not labels.any() or labels.all():
        return boosted
    return blend(boosted, fit_forest(rows, labels, weights, seed))


def _rates(lived: Sequence[Lived], recipes: int) -> tuple[tuple[float, float], ...]:
    counts = np.zeros((recipes, 3))
    for one in lived:
        for moment in one.moments:
            np.add.at(counts[:, 0], moment.recipes, moment.later)
            np.add.at(counts[:, 1], moment.recipes, moment.next)
            np.add.at(counts[:, 2], moment.recipes, 1)
    return tuple(
        (round(float((later + 0.3) / (n + 3)), 6), round(float((following + 0.1) / (n + 3)), 6))
        for later, following, n in counts
    )


def full_rows(moment: Moment, catalogue: Catalogue, cues: CueCounts, task: str) -> NDArray[np.float32]:
    """The features as serving would see them, [n, len(NAMES)]."""
    rows = np.zeros((len(moment.keys), len(NAMES)), np.float32)
    if not len(rows):
        return rows
    rows[:, :-CUES] = moment.rows
    rates = np.array(catalogue.rates, np.float32)[moment.recipes]
    rows[:, _LATER], rows[:, _NEXT] = rates[:, 0], rates[:, 1]
    pairs = zip(moment.recipes.tolist(), moment.cues, strict=True)
    scores = np.array([cues.scores(recipe, tokens, task) for recipe, tokens in pairs], np.float32)
    rows[:, -CUES:-2], rows[:, -2:] = scores, lead_columns(moment.tools, scores)
    return rows


def see(fitted: Fitted, lived: Sequence[Lived]) -> list[Seen]:
    """The chances of every moment of episodes whose tasks the model did not see."""
    found = []
    for one in lived:
        for moment in one.moments:
            rows = full_rows(moment, fitted.catalogue, fitted.cues, one.episode.task)
            found.append(Seen(one, moment, fitted.later.probability(rows), fitted.next.probability(rows)))
    return found


def see_across(
    lived: Sequence[Lived],
    catalogue: Catalogue,
    folds: int,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> list[Seen]:
    """Every moment seen by a model that was fitted on the other folds' tasks."""
    found = []
    for held in task_folds([one.episode.task for one in lived], folds, seed):
        rest = [one for one in lived if one.episode.task not in held]
        found.extend(see(fit_step(rest, catalogue, seed), [one for one in lived if one.episode.task in held]))
        progress()
    return found


def fit_action(seen: Sequence[Seen], seed: int) -> Trees:
    """How likely the likely candidates are just the whole next action, from chances seen across folds."""
    rows, labels, weights = [], [], []
    for one in seen:
        row = action_row(one.next, one.later, one.moment.rows, one.moment.recipes)
        if row is not None:
            rows.append(row)
            labels.append(is_exact(one))
            weights.append(1.0)
    stacked = np.array(rows, np.float32).reshape(-1, len(ACTION_NAMES))
    return fit_trees(stacked, np.array(labels, bool), np.array(weights), seed, CAUTIOUS)


def action_chances(action: Trees, seen: Sequence[Seen]) -> Floats:
    """The chance of each moment's likely candidates being the whole next action; 0 where none is likely."""
    rows = [action_row(one.next, one.later, one.moment.rows, one.moment.recipes) for one in seen]
    chances = np.zeros(len(seen))
    at = [number for number, row in enumerate(rows) if row is not None]
    if at:
        chances[at] = action.probability(np.array([rows[number] for number in at], np.float32))
    return chances


def is_exact(one: Seen) -> bool:
    """Whether the likely candidates are just what the agent called next."""
    turn = one.lived.episode.turns[one.moment.reply]
    likely = {key for key, chance in zip(one.moment.keys, one.next, strict=True) if chance > 0.5}
    return likely == {call.key for call in turn.calls}


def assemble(
    fitted: Fitted, action: Trees, thresholds: Thresholds, tools: dict[str, str], tasks: Iterable[str] = ()
) -> StepModel:
    """The model that serves."""
    later, following = fitted.cues.tables()
    digests = tuple(sorted({task_digest(task) for task in tasks}))
    facts = StepFacts(fitted.catalogue, later, following, thresholds, tools, digests)
    return StepModel(facts, fitted.later, fitted.next, action)
