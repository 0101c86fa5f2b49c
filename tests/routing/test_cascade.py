import pytest
from hypothesis import given

from trimtab.core import Verifier
from trimtab.core.errors import BadRequest, ConfigError
from trimtab.routing import build_policy

from .make import CALLS, OFFERS, attempts, call, endpoints, offer

VERIFIERS = [{"kind": "json_schema"}, {"kind": "logprob", "value": -0.5}]


def _choose(*offers, **options):
    return build_policy("cascade", {"verifiers": VERIFIERS} | options).choose(call(), offers, 0.0)


NANO4 = offer("nano-int4", "nano", 1, quality=0.4, precision_bits=4)
NANO8 = offer("nano-int8", "nano", 2, quality=0.45, precision_bits=8)
NANO16 = offer("nano-bf16", "nano", 3, quality=0.5, precision_bits=16)
LARGE = offer("large", "big", 50, quality=0.9)
LARGE_TOO = offer("large-too", "big", 60, quality=0.9)


def test_a_rejected_reply_goes_to_higher_precision_before_it_goes_to_a_larger_model():
    plan = _choose(LARGE, NANO16, NANO4, NANO8)
    assert endpoints(plan) == ["nano-int4", "nano-int8", "nano-bf16", "large"]
    assert [each.reason for each in plan.attempts] == [
        "cheapest",
        "higher precision, 8 bits",
        "higher precision, 16 bits",
        "larger model",
    ]


def test_every_reply_but_the_last_rungs_is_verified():
    plan = _choose(LARGE, NANO4)
    assert [each.verifiers for each in plan.attempts] == [
        (Verifier("json_schema"), Verifier("logprob", "-0.5")),
        (),
    ]


def test_a_plan_that_is_cut_short_still_takes_its_last_reply_as_it_comes():
    plan = _choose(LARGE, NANO16, NANO4, NANO8, max_attempts=2)
    assert endpoints(plan) == ["nano-int4", "nano-int8"]
    assert [bool(each.verifiers) for each in plan.attempts] == [True, False]


def test_models_of_equal_quality_are_climbed_by_price():
    plan = _choose(offer("c", "o", 30), offer("a", "m", 10), offer("b", "n", 20))
    assert attempts(plan) == [("a", "m"), ("b", "n"), ("c", "o")]


def test_a_dearer_model_that_is_no_better_is_left_out_where_a_better_one_is_cheaper():
    dominated = offer("dominated", "n", 90, quality=0.6)
    assert endpoints(_choose(NANO4, dominated, LARGE)) == ["nano-int4", "large"]


def test_a_rejected_reply_is_not_asked_for_again_at_a_replica():
    assert endpoints(_choose(NANO4, offer("replica", "nano", 1, quality=0.4, precision_bits=4), LARGE)) == [
        "nano-int4",
        "large",
    ]


def test_the_last_rung_falls_back_to_other_endpoints_of_its_model_unverified():
    plan = _choose(NANO4, LARGE, LARGE_TOO)
    assert endpoints(plan) == ["nano-int4", "large", "large-too"]
    assert [bool(each.verifiers) for each in plan.attempts] == [True, False, False]


def test_unavailable_rungs_are_skipped_and_kept_for_the_end():
    down = offer("down", "nano", 0, quality=0.4, precision_bits=4, available=False)
    assert endpoints(_choose(down, NANO8, LARGE)) == ["nano-int8", "large", "down"]


def test_the_ladder_is_built_of_unavailable_offers_where_nothing_else_can_serve():
    plan = _choose(
        offer("a", "m", 1, quality=0.4, available=False), offer("b", "n", 2, quality=0.6, available=False)
    )
    assert endpoints(plan) == ["a", "b"]
    assert plan.attempts[0].verifiers


@given(CALLS, OFFERS)
def test_verified_attempts_come_first_and_at_least_one_attempt_is_not_verified(call, offers):
    policy = build_policy("cascade", {"verifiers": VERIFIERS})
    try:
        plan = policy.choose(call, offers, 0.0)
    except BadRequest:
        return
    verified = [bool(each.verifiers) for each in plan.attempts]
    assert verified == sorted(verified, reverse=True)
    assert not verified[-1]


@given(CALLS, OFFERS)
def test_each_rung_is_of_higher_precision_better_or_dearer(call, offers):
    policy = build_policy("cascade", {"verifiers": VERIFIERS, "max_attempts": 8})
    try:
        plan = policy.choose(call, offers, 0.0)
    except BadRequest:
        return
    known = {(each.endpoint, each.model): each for each in offers}
    rungs = [known[each.endpoint, each.model] for each in plan.attempts if each.verifiers]
    rungs += [known[each.endpoint, each.model] for each in plan.attempts[len(rungs) : len(rungs) + 1]]
    for lower, higher in zip(rungs, rungs[1:], strict=False):
        if lower.model == higher.model:
            assert higher.precision_bits > lower.precision_bits
        else:
            assert higher.quality > lower.quality or (
                higher.quality == lower.quality
                and (higher.price.known, -higher.predicted_nanodollars)
                < (lower.price.known, -lower.predicted_nanodollars)
            )


@pytest.mark.parametrize(
    ("verifiers", "said"),
    [
        ([], "length >= 1"),
        ([{"kind": "vibes"}], "Invalid enum value 'vibes'"),
        ([{"kind": "logprob"}], "lowest mean logprob"),
        ([{"kind": "logprob", "value": "nan"}], "lowest mean logprob"),
        ([{"kind": "python", "value": "mine"}], "module:function"),
        ([{"kind": "json_schema", "valeu": 1}], "unknown field `valeu`"),
    ],
)
def test_verifiers_that_cannot_be_used_are_refused(verifiers, said):
    with pytest.raises(ConfigError, match=said) as refused:
        build_policy("cascade", {"verifiers": verifiers})
    assert refused.value.key.startswith("cascade.verifiers")
