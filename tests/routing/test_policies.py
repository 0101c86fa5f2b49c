"""What holds of every policy, whatever the call and the offers."""

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from trimtab.core import Plan, PlannedAttempt
from trimtab.core.errors import BadRequest, ConfigError
from trimtab.routing import POLICY_NAMES, build_policy, can_serve, sticky_unit

from .make import CALLS, OFFERS, UNITS, attempts, call, offer


def _first_two(call, offers, unit):
    return Plan(tuple(PlannedAttempt(each.endpoint, each.model) for each in offers[:2]))


FUNCTIONS = {"mine:first_two": _first_two}
OPTIONS = {
    "cascade": {"verifiers": [{"kind": "finish_reason"}]},
    "cheapest": {},
    "fastest": {},
    "pinned": {},
    "python": {"function": "mine:first_two"},
    "weighted": {"weights": {"m": 1, "n": 3}},
}


def _policy(name, **more):
    return build_policy(name, OPTIONS[name] | more, FUNCTIONS)


@pytest.fixture(params=POLICY_NAMES)
def name(request):
    return request.param


NAMES = st.sampled_from(POLICY_NAMES)


def _plan(name, call, offers, unit, **more):
    """The plan; examples that nothing can serve are passed over."""
    try:
        return _policy(name, **more).choose(call, offers, unit)
    except BadRequest:
        return reject()


@given(NAMES, CALLS, OFFERS, UNITS)
def test_a_plan_names_only_offers_that_can_serve_the_call(name, call, offers, unit):
    able = {(each.endpoint, each.model) for each in offers if can_serve(call, each)}
    assert set(attempts(_plan(name, call, offers, unit))) <= able


@given(NAMES, CALLS, OFFERS, UNITS)
def test_a_plan_is_never_empty_and_never_names_an_offer_twice(name, call, offers, unit):
    named = attempts(_plan(name, call, offers, unit))
    assert named
    assert len(set(named)) == len(named)


@given(NAMES, CALLS, OFFERS, UNITS, st.integers(2, 6))
def test_a_plan_is_no_longer_than_max_attempts(name, call, offers, unit, limit):
    assert len(_plan(name, call, offers, unit, max_attempts=limit).attempts) <= limit


@given(NAMES, CALLS, OFFERS, UNITS)
def test_unavailable_offers_come_after_all_available_ones(name, call, offers, unit):
    available = {(each.endpoint, each.model): each.available for each in offers}
    flags = [available[named] for named in attempts(_plan(name, call, offers, unit))]
    assert flags == sorted(flags, reverse=True)


@given(NAMES, CALLS, OFFERS, UNITS, st.randoms())
def test_a_plan_does_not_depend_on_the_order_of_the_offers(name, call, offers, unit, random):
    shuffled = list(offers)
    random.shuffle(shuffled)
    assert _plan(name, call, offers, unit) == _plan(name, call, tuple(shuffled), unit)


@given(NAMES, CALLS, OFFERS, UNITS)
def test_where_any_offer_can_serve_there_is_a_plan(name, call, offers, unit):
    assume(any(can_serve(call, each) and each.model == call.model for each in offers))
    assert _policy(name).choose(call, offers, unit).attempts


def test_an_unavailable_endpoint_is_still_tried_where_there_is_no_other(name):
    plan = _policy(name).choose(call(), (offer("a", available=False),), 0.0)
    assert attempts(plan) == [("a", "m")]


def test_a_missing_capability_is_named(name):
    with pytest.raises(BadRequest, match="'vision' is not supported by a") as refused:
        _policy(name).choose(call(needs=["vision"]), (offer("a", capabilities=["tools"]),), 0.0)
    assert refused.value.code == "no_capable_endpoint"


def test_a_context_that_is_too_short_is_named(name):
    said = r"1100 tokens of context are needed \(1000 in, 100 out\), a has at most 900"
    with pytest.raises(BadRequest, match=said):
        _policy(name).choose(call(input_tokens=4000), (offer("a", context_tokens=900),), 0.0)


def test_no_offers_at_all_are_refused_too(name):
    with pytest.raises(BadRequest, match="none was offered"):
        _policy(name).choose(call(), (), 0.0)


def test_an_endpoint_that_declares_no_capabilities_is_taken_to_have_them(name):
    assert attempts(_policy(name).choose(call(needs=["vision"]), (offer("a"),), 0.0)) == [("a", "m")]


def test_an_unknown_option_is_refused_by_name(name):
    with pytest.raises(ConfigError, match="unknown field `max_atempts`.*max_attempts") as refused:
        _policy(name, max_atempts=3)
    assert refused.value.key == name


def test_an_option_out_of_range_is_refused_by_its_key(name):
    with pytest.raises(ConfigError, match="Expected `int` >= 1") as refused:
        _policy(name, max_attempts=0)
    assert refused.value.key == f"{name}.max_attempts"


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="unknown policy 'cheepest', expected one of: cascade, cheapest"):
        build_policy("cheepest", {})


@given(st.text(), st.text())
def test_a_sticky_unit_is_in_range_and_stays(run, salt):
    unit = sticky_unit(run, salt)
    assert 0 <= unit < 1
    assert unit == sticky_unit(run, salt)


def test_sticky_units_are_spread_evenly_and_apart_between_salts():
    first = [sticky_unit(f"run-{number}", "first") < 0.5 for number in range(4000)]
    second = [sticky_unit(f"run-{number}", "second") < 0.5 for number in range(4000)]
    both = sum(one and other for one, other in zip(first, second, strict=True))
    assert 1900 < sum(first) < 2100
    assert 900 < both < 1100


def test_a_sticky_unit_is_the_same_in_every_process():
    assert sticky_unit("run", "salt") == 0.020728800490136257
