"""Judges routes and cascades on a recorded set by the rules of an honest comparison, and reports.

Called by `trimtab evaluate`. Learners never see a judged group; dials are set on other folds; beside every policy
stand all single models, their mixture, chance, the TF-IDF router and the oracles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.core.errors import ConfigError
from trimtab.evaluation import (
    Calibration,
    Line,
    Mark,
    Outcomes,
    Plane,
    PlanePoint,
    Played,
    Report,
    Resamples,
    Table,
    best_single,
    calibration,
    calibration_table,
    cost_at,
    line_of,
    mixture_line,
    oracle,
    outcomes_shape,
    play_mixture,
    play_random,
    play_single,
    shown,
    split_half_oracle,
)
from trimtab.learning.cascades import Ladder, cascades, choose_pool, choose_steps, climb
from trimtab.learning.recorded import RecordedSet
from trimtab.learning.routes import Family, afford, cheapest_sure, joined, match, set_by_others, value_routes
from trimtab.learning.success import Fold, TaskSpace, folds_by_group, forest_chances, linear_chances

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]
PolicyKind = Literal["tfidf", "route", "threshold", "cascade"]
POLICIES: tuple[PolicyKind, ...] = ("tfidf", "route", "threshold", "cascade")

_FOLDS, _FOLDS_OF_MANY, _MANY = 10, 5, 4000
_STEPS = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """`reference`: the model whose completions are to be reached; "" is the set's own, else the best single.
    `share`: of its cost, what the budgeted policies may spend."""

    reference: str = ""
    share: float = 0.25
    seed: int = 0
    command: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Learnt:
    """What every fold's learners say of its judged tasks; -inf for models that fold does not consider."""

    folds: tuple[Fold, ...]
    linear: Floats
    forest: Floats
    prices: Floats
    ladders: tuple[tuple[Ladder, ...], ...]


def compare(
    recorded: RecordedSet,
    kinds: Sequence[PolicyKind],
    terms: Terms,
    progress: Progress = lambda done, total: None,
) -> Report:
    """The whole comparison. Raises ConfigError where the reference is none of the set's models."""
    outcomes = recorded.outcomes
    best = play_single(outcomes, best_single(outcomes))
    reference = _reference(recorded, terms, best)
    learnt = _learn(recorded, kinds, reference, terms, progress)
    families = _families(outcomes, learnt, kinds)
    resamples = Resamples(outcomes.groups, terms.seed)
    lines, curves = _policy_lines(families, learnt.folds, reference, best, terms, resamples, outcomes)
    lines += _beside(outcomes, best, resamples)
    return Report(
        title=f"Routes and cascades on {recorded.name}",
        subject=", ".join(kinds),
        data=f"{recorded.name}, {outcomes_shape(outcomes)}",
        runs=outcomes.tasks,
        groups=int(np.unique(outcomes.groups).size),
        command=terms.command,
        claims=_claims(lines, reference, best, terms),
        notes=(*_rules(terms, reference, learnt), *recorded.notes),
        lines=tuple(lines),
        tables=_tables(recorded, learnt, kinds),
        plane=_plane(recorded.name, outcomes, lines, curves, reference.name),
    )


def _reference(recorded: RecordedSet, terms: Terms, best: Played) -> Played:
    name = terms.reference or recorded.reference or best.name
    if name not in recorded.outcomes.models:
        known = ", ".join(sorted(recorded.outcomes.models))
        raise ConfigError(f"{name!r} is no model of {recorded.name}; there are {known}", key="--against")
    return play_single(recorded.outcomes, name)


def _learn(
    recorded: RecordedSet, kinds: Sequence[PolicyKind], reference: Played, terms: Terms, progress: Progress
) -> _Learnt:
    outcomes = recorded.outcomes
    folds = tuple(
        folds_by_group(outcomes.groups, _FOLDS if outcomes.tasks < _MANY else _FOLDS_OF_MANY, terms.seed)
    )
    linear, forest = (np.full(outcomes.mean_reward.shape, -np.inf) for _ in range(2))
    prices = np.empty_like(outcomes.mean_cost)
    ladders = []
    for at, fold in enumerate(folds):
        progress(at, len(folds))
        usual = float(reference.cost[fold.learn].mean())
        prices[fold.judge] = outcomes.mean_cost[fold.learn].mean(axis=0) / usual
        budget = terms.share * usual
        pool = choose_pool(outcomes, fold.learn, budget)
        seen = np.ix_(fold.judge, np.array(pool))
        linear[seen] = linear_chances(recorded.texts, outcomes.mean_reward[:, pool], fold, terms.seed)
        if {"route", "threshold", "cascade"} & set(kinds):
            space = TaskSpace(recorded, fold, terms.seed)
            forest[seen] = forest_chances(recorded, space, (), pool, fold, terms.seed)[:, 0]
            if "cascade" in kinds and recorded.statistics.shape[3]:
                ladders.append(_ladders(recorded, space, pool, fold, (budget, usual), terms.seed))
    progress(len(folds), len(folds))
    return _Learnt(folds, linear, forest, prices, tuple(ladders))


def _ladders(
    recorded: RecordedSet,
    space: TaskSpace,
    pool: Sequence[int],
    fold: Fold,
    money: tuple[float, float],
    seed: int,
) -> tuple[Ladder, ...]:
    """Ladders of very cheap models, of cheap ones, and of any below the reference: one for each limit of cost."""
    budget, usual = money
    limits = (budget / 3, budget, 0.6 * usual)
    steps = [choose_steps(recorded.outcomes, fold.learn, limit, _STEPS) for limit in limits]
    climbed = {step: climb(recorded, space, step, pool, fold, seed) for step in dict.fromkeys(steps) if step}
    return tuple(climbed[step] for step in steps if step)


def _families(outcomes: Outcomes, learnt: _Learnt, kinds: Sequence[PolicyKind]) -> list[Family]:
    made = []
    if "tfidf" in kinds:
        made.append(value_routes("TF-IDF + LR route", outcomes, learnt.linear, learnt.prices))
    if "route" in kinds:
        made.append(value_routes("learned route", outcomes, learnt.forest, learnt.prices))
    if "threshold" in kinds:
        made.append(cheapest_sure("cheapest sure enough", outcomes, learnt.forest, learnt.prices))
    kept = min((len(ladders) for ladders in learnt.ladders), default=0)
    if "cascade" in kinds and kept:
        direct = value_routes("", outcomes, learnt.forest, learnt.prices)
        parts = [
            cascades(outcomes, learnt.folds, [some[-which] for some in learnt.ladders], learnt.prices, depth)
            for which in range(1, kept + 1)
            for depth in range(1, _STEPS + 1)
        ]
        made.append(joined("cascade, learned verify", [direct, *parts]))
    return made


def _policy_lines(
    families: Sequence[Family],
    folds: Sequence[Fold],
    reference: Played,
    best: Played,
    terms: Terms,
    resamples: Resamples,
    outcomes: Outcomes,
) -> tuple[list[Line], list[Family]]:
    lines = []
    for family in families:
        mark: Mark = "baseline" if family.name.startswith("TF-IDF") else "policy"
        least = cost_at(family.curve(), best.completions)
        for aim, told in ((match, "matching"), (afford(terms.share), f"≤ {terms.share:.0%} of its cost")):
            played = set_by_others(family, folds, reference, aim, f"{family.name}, {told}")
            mixture = play_mixture(outcomes, played.mean_cost)
            lines.append(line_of(played, mark, best, resamples, least, mixture, reference))
    return lines, [family for family in families if not family.name.startswith("TF-IDF")]


def _beside(outcomes: Outcomes, best: Played, resamples: Resamples) -> list[Line]:
    singles = sorted(
        (play_single(outcomes, model) for model in outcomes.models), key=lambda p: -p.completions
    )
    ceilings = [oracle(outcomes), split_half_oracle(outcomes)]
    return [
        line_of(play_random(outcomes), "baseline", best, resamples),
        *(line_of(played, "ceiling", best, resamples) for played in ceilings if played),
        *(
            line_of(p, "single", best, resamples, p.mean_cost if p.completions >= best.completions else None)
            for p in singles
        ),
    ]


def _claims(lines: Sequence[Line], reference: Played, best: Played, terms: Terms) -> tuple[str, ...]:
    """Only what the lower end of an interval carries is called so."""
    told = [
        f"Best single model: {best.name}, {best.completions:.1%} at {best.mean_cost:.4g} USD a run; reference: "
        f"{reference.name}, {reference.completions:.1%} at {reference.mean_cost:.4g} USD."
    ]
    for line in lines:
        if line.mark not in ("policy", "baseline") or line.versus_reference is None:
            continue
        gap, share = line.versus_reference, line.cost.value / reference.mean_cost
        verdict = (
            "completes more than the reference"
            if gap.low > 0
            else "completes fewer than the reference"
            if gap.high is not None and gap.high < 0
            else "cannot be told from the reference in completions"
        )
        mixture = line.versus_mixture
        beyond = (
            ""
            if mixture is None
            else ("; above the mixture line" if mixture.low > 0 else "; not surely above the mixture line")
        )
        told.append(
            f"{line.name}: {line.completions.value:.1%} at {share:.0%} of the reference's cost; {verdict} "
            f"({shown(gap, 'points')} points){beyond}."
        )
    return tuple(told)


def _rules(terms: Terms, reference: Played, learnt: _Learnt) -> tuple[str, ...]:
    return (
        f"Judged on groups never learned from: {len(learnt.folds)} folds, seed {terms.seed}; model pools, ladders and "
        "dials are chosen on the other folds.",
        f"'matching': the cheapest setting that, on the other folds, completes a standard error more than "
        f"{reference.name}, or that model itself; the other "
        f"aim: most completions at {terms.share:.0%} of its cost there.",
        "A policy sees text, plain features and the statistics of attempts it paid for; every attempt and every "
        "decision (1.1e-8 USD) is charged.",
        "Intervals: 95 %, groups drawn with replacement 2,000 times; differences are paired by task. They do not "
        "hold the chance in how folds and learners were drawn; other seeds show it.",
        "The mixture line is drawn through single models as they came out on the judged runs, which favours it; the "
        "oracle knows outcomes beforehand and nobody can reach it.",
    )


def _tables(recorded: RecordedSet, learnt: _Learnt, kinds: Sequence[PolicyKind]) -> tuple[Table, ...]:
    reward, groups = recorded.outcomes.mean_reward, recorded.outcomes.groups
    rows: list[tuple[str, Calibration]] = []
    for name, chances in (("TF-IDF + LR", learnt.linear), ("learned route", learnt.forest)):
        if not np.isfinite(chances).any():
            continue
        pick = np.argmax(chances, axis=1)
        at = np.arange(pick.size), pick
        rows.append(
            (f"{name}: its most promising model", calibration(chances[at], reward[at], groups=groups))
        )
    if learnt.ladders and all(learnt.ladders):
        rows += [
            (f"verify after attempt {step + 1}", _verified(recorded, learnt, step))
            for step in range(_STEPS - 1)
        ]
    note = (
        "ECE is the gap between confidence and truth; AUROC .5 is chance. The threshold keeps the promised precision "
        "on new groups with 95 % confidence; none where the data cannot promise it."
    )
    return (calibration_table("How well success is told beforehand, and verified afterwards", rows, note),)


def _verified(recorded: RecordedSet, learnt: _Learnt, step: int) -> Calibration:
    """The verifier's chance of the best attempt so far, against whether that attempt was right."""
    outcomes = recorded.outcomes
    chances, rewards, groups = [], [], []
    for fold, some in zip(learnt.folds, learnt.ladders, strict=True):
        ladder = some[-1]
        steps = ladder.steps[: step + 1]
        told = ladder.chances[len(steps) - 1][:, :, [ladder.wanted.index(model) for model in steps]]
        best = np.argmax(told, axis=2)[:, :, None]
        right = np.stack([outcomes.reward[fold.judge, model] for model in steps], axis=2)
        chances.append(np.take_along_axis(told, best, axis=2).ravel())
        rewards.append(np.take_along_axis(right, best, axis=2).ravel())
        groups.append(np.repeat(outcomes.groups[fold.judge], told.shape[1]))
    return calibration(np.concatenate(chances), np.concatenate(rewards), groups=np.concatenate(groups))


def _plane(
    name: str, outcomes: Outcomes, lines: Sequence[Line], families: Sequence[Family], reference: str
) -> Plane:
    singles = [(line.cost.value, line.completions.value) for line in lines if line.mark == "single"]
    points = tuple(
        PlanePoint(
            f"{line.name} (reference)" if line.name == reference else line.name,
            line.cost.value,
            line.completions.value,
            "baseline" if line.name == reference else line.mark,
            line.completions.low if line.mark == "policy" else None,
            line.completions.high if line.mark == "policy" else None,
        )
        for line in lines
    )
    title = f"{name}: cost and completions, {outcomes.tasks:,} tasks"
    return Plane(
        title, points, tuple(mixture_line(singles)), tuple(tuple(mixture_line(f.curve())) for f in families)
    )
