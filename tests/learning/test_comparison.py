import numpy as np
import pytest

from trimtab.core.errors import ConfigError
from trimtab.evaluation import Outcomes, Played, markdown
from trimtab.learning import POLICIES, Attempted, TaskFacts, Terms, assemble, compare, success, write_report
from trimtab.learning.routes import DECISION_USD, Family, afford, match, set_by_others
from trimtab.learning.success import folds_by_group

pytest.importorskip("sklearn", reason="the extra [learn] is not installed")
WORDS = {"easy": "add two numbers please", "hard": "prove the deep theorem at length"}


def made(seed=0, tasks=160):
    """The small model does easy tasks, the big one all of either kind nine times in ten; long replies are wrong."""
    rng = np.random.default_rng(seed)
    facts, attempts = {}, []
    for at in range(tasks):
        kind = "easy" if at % 2 else "hard"
        facts[str(at)] = TaskFacts(f"{WORDS[kind]} {rng.integers(1000)}", str(at // 2))
        for model, cost, chance in (("small", 0.01, 0.92 if kind == "easy" else 0.25), ("big", 1.0, 0.9)):
            right = float(rng.random() < chance)
            told = rng.normal(1.0 if right else 3.0, 0.4)
            attempts.append(Attempted(str(at), model, right, cost, 1.0, 0, (told,)))
    return assemble("made", facts, attempts)


@pytest.fixture(scope="module", autouse=True)
def small_forests():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(success, "_TREES", 24)
        yield


@pytest.fixture(scope="module")
def report(small_forests):
    return compare(made(), POLICIES, Terms(share=0.7))


def line(report, name):
    return next(one for one in report.lines if one.name.startswith(name))


def test_a_cascade_that_sees_attempts_beats_the_mixture_and_costs_less_than_the_best_single(report):
    cascade = line(report, "cascade, learned verify, matching")
    assert cascade.cost.value < 0.75
    assert cascade.versus_mixture.low > 0
    assert cascade.versus_best.low > -0.08


def test_a_route_tells_easy_from_hard(report):
    route = line(report, "learned route, ≤ 70% of its cost")
    assert route.cost.value < 0.75
    assert route.versus_mixture.low > 0


def test_every_single_model_chance_and_the_oracle_stand_beside(report):
    assert {"big", "small", "random model", "oracle"} <= {one.name for one in report.lines}
    assert all(one.completions.value <= line(report, "oracle").completions.value for one in report.lines)
    assert "best single" in markdown(report)


def test_equal_seeds_give_equal_reports(report):
    assert compare(made(), POLICIES, Terms(share=0.7)) == report


def test_a_report_is_written_as_three_files(report, tmp_path):
    names = [path.name for path in write_report(report, tmp_path / "new")]
    assert names == ["report.md", "report.json", "frontier.svg"]


def test_where_outcomes_are_chance_nothing_is_claimed():
    recorded = made()
    rng = np.random.default_rng(5)
    old = recorded.outcomes
    noise = (rng.random(old.reward.shape) < 0.5).astype(float)
    shuffled = rng.permutation(recorded.statistics.reshape(-1)).reshape(recorded.statistics.shape)
    blind = type(recorded)(
        "blind",
        recorded.tasks,
        recorded.texts,
        recorded.features,
        shuffled,
        Outcomes(old.models, old.groups, noise, old.cost, old.seconds),
    )
    report = compare(blind, POLICIES, Terms())
    assert not any("; above the mixture line" in claim for claim in report.claims)


def test_an_unknown_reference_names_those_there_are():
    with pytest.raises(ConfigError, match="big, small"):
        compare(made(), ("route",), Terms(reference="huge"))


def test_groups_are_never_split():
    groups = np.random.default_rng(0).integers(0, 30, 300)
    for fold in folds_by_group(groups, 5, 0):
        assert not set(groups[fold.learn]) & set(groups[fold.judge])
    judged = np.concatenate([fold.judge for fold in folds_by_group(groups, 5, 0)])
    assert sorted(judged) == list(range(300))


def test_a_dial_is_set_without_the_judged_fold():
    """A setting that only shines on the fold it is judged on is never picked for it."""
    folds = folds_by_group(np.arange(40), 2, 0)
    reward = np.full((2, 40), 0.5)
    for setting, fold in enumerate(folds):
        reward[setting, fold.judge] = 1.0
    family = Family("dial", reward, np.full((2, 40), 0.1), np.ones((2, 40)), np.ones((2, 40)))
    reference = Played("reference", np.zeros(40), np.ones(40), np.ones(40), np.ones(40))
    played = set_by_others(family, folds, reference, afford(0.5), "x")
    assert played.completions == 0.5


def test_aims_pick_as_they_say():
    reward = np.repeat([[0.5], [0.8], [0.9]], 10, axis=1)
    cost = np.repeat([[0.1], [0.3], [0.9]], 10, axis=1)
    ones = np.ones(10)
    assert match(reward, cost, 0.7 * ones, ones) == 1
    assert match(reward, cost, 0.95 * ones, ones) == 2
    assert afford(0.5)(reward, cost, 0.7 * ones, ones) == 1
    assert afford(0.01)(reward, cost, 0.7 * ones, ones) == 0


def test_what_seems_to_match_by_luck_is_not_picked():
    reference = np.tile([0.0, 1.0], 20)
    lucky = 1.0 - reference
    lucky[0] = 1.0
    reward, cost = np.stack([lucky, reference]), np.stack([np.full(40, 0.1), np.ones(40)])
    assert match(reward, cost, reference, np.ones(40)) == 1


def test_decisions_are_charged(report):
    route = line(report, "learned route, matching")
    assert route.cost.value >= 0.01 + DECISION_USD
