from collections import Counter

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimtab.core import Lot, Plan, PlannedAttempt, lot_of
from trimtab.core.errors import ConfigError
from trimtab.routing import build_policy, sticky_unit
from trimtab.routing.weighted import draw

from .make import UNITS, attempts, call, offer

OFFERS = (offer("a", "m"), offer("b", "n", 50), offer("c", "n", 40), offer("d", "o", 1))
WEIGHTS = {"m": 1, "n": 3}


def _model(run, offers=OFFERS):
    policy = build_policy("weighted", {"weights": WEIGHTS})
    return policy.choose(call(), offers, sticky_unit(run, "test")).attempts[0].model


RUNS = [f"run-{number}" for number in range(4000)]


def test_runs_are_shared_out_by_weight():
    counts = Counter(_model(run) for run in RUNS)
    assert counts["m"] / len(RUNS) == pytest.approx(0.25, abs=0.02)
    assert counts["n"] / len(RUNS) == pytest.approx(0.75, abs=0.02)


def test_the_drawn_model_is_followed_by_the_other_then_by_models_without_weight():
    policy = build_policy("weighted", {"weights": WEIGHTS})
    assert attempts(policy.choose(call(), OFFERS, 0.1)) == [("a", "m"), ("c", "n"), ("b", "n"), ("d", "o")]
    assert attempts(policy.choose(call(), OFFERS, 0.9)) == [("c", "n"), ("b", "n"), ("a", "m"), ("d", "o")]


def test_a_model_that_goes_away_moves_only_its_own_runs():
    weights = {"m": 1, "n": 1, "o": 2}
    policy = build_policy("weighted", {"weights": weights})
    offers = tuple(offer(model, model) for model in weights)
    for unit in (number / 200 for number in range(200)):
        before = policy.choose(call(), offers, unit).attempts[0].model
        after = policy.choose(call(), offers[1:], unit).attempts[0].model
        assert before == "m" or after == before


def test_the_runs_of_a_model_that_goes_away_are_shared_out_by_the_weights_of_the_others():
    weights = {"m": 2, "n": 1, "o": 3}
    units = [(number + 0.5) / 12000 for number in range(12000)]
    moved = Counter(order[1] for order in (draw(weights, unit) for unit in units) if order[0] == "m")
    assert moved["o"] == pytest.approx(3 * moved["n"], rel=0.01)


@given(
    st.dictionaries(st.sampled_from("mnoxy"), st.floats(0, 10), min_size=1).filter(lambda w: any(w.values())),
    st.sets(st.sampled_from("abcd")),
    st.integers(1, 4),
    UNITS,
)
def test_a_plan_says_what_was_drawn_whatever_is_tried_first(weights, down, most, unit):
    offers = tuple(msgspec.structs.replace(each, available=each.endpoint not in down) for each in OFFERS)
    plan = build_policy("weighted", {"weights": weights, "max_attempts": most}).choose(call(), offers, unit)
    drawn = next((model for model in draw(weights, unit) if model in "mno"), None)
    is_tried = any(attempt.model == drawn and "weight" in attempt.reason for attempt in plan.attempts)
    assert lot_of(plan) == (Lot(drawn, f"{weights[drawn]:g}") if is_tried else None)
    assert is_tried or drawn is None or len(plan.attempts) == most


def test_a_plan_of_another_policy_says_of_no_lot():
    assert lot_of(build_policy("cheapest", {}).choose(call(), OFFERS, 0.1)) is None


@given(st.text(max_size=9).map("weight ".__add__) | st.from_regex(r"weight [0-9.e+-]{1,6}", fullmatch=True))
@example("weight 3-4")
@example("weight 1e")
@example("weight 1.2.3")
@example("weight 1 of 3")
@example("weight nan")
def test_whatever_reason_a_users_policy_gives_is_a_lot_or_none(reason):
    told = lot_of(Plan((PlannedAttempt("a", "m", (), reason),)))
    weight = reason.removeprefix("weight ").partition(", ")[0]
    if told is None:
        assert weight not in ("1", "0.5", "1e-07")
    else:
        assert told == Lot("m", weight.rstrip("\n"))
        assert float(told.weight) > 0


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1e6), min_size=1), UNITS)
def test_a_draw_orders_every_model_that_has_a_weight(weights, unit):
    assert sorted(draw(weights, unit)) == sorted(model for model, weight in weights.items() if weight > 0)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "x", None])
def test_weights_that_give_no_shares_are_refused(weight):
    weights = {} if weight is None else {"m": weight}
    with pytest.raises(ConfigError, match="weighted"):
        build_policy("weighted", {"weights": weights})
