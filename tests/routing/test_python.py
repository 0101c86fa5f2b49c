import pytest

from trimtab.core import Plan, PlannedAttempt
from trimtab.core.errors import CallError, ConfigError, Forbidden
from trimtab.routing import build_policy

from .make import attempts, call, offer

OFFERS = (offer("a", nanodollars=2), offer("b", nanodollars=1), offer("c", capabilities=["tools"]))


def _policy(function, **options):
    return build_policy("python", {"function": "mine:choose"} | options, {"mine:choose": function})


def test_the_function_chooses_from_the_offers_that_can_serve_cheapest_first():
    seen = []

    def choose(call, offers, unit):
        seen.append(([each.endpoint for each in offers], unit))
        return Plan((PlannedAttempt("a", "m"),))

    plan = _policy(choose).choose(call(needs=["vision"]), OFFERS, 0.25)
    assert attempts(plan) == [("a", "m")]
    assert seen == [(["b", "a"], 0.25)]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "returned NoneType, expected a Plan"),
        (Plan(()), "without attempts"),
        (Plan((PlannedAttempt("z", "m"),)), "returned 'm' at 'z', which is not among the offers"),
        (Plan((PlannedAttempt("a", "z"),)), "returned 'z' at 'a', which is not among the offers"),
        (Plan((PlannedAttempt("a", "m"),) * 2), "twice"),
        (Plan((PlannedAttempt("a", "m"), PlannedAttempt("b", "m"))), "2 attempts, at most 1"),
    ],
)
def test_a_result_that_is_no_usable_plan_is_a_clear_error(result, said):
    policy = _policy(lambda *_: result, max_attempts=1 if "at most" in said else 4)
    with pytest.raises(CallError, match=said) as failed:
        policy.choose(call(), OFFERS, 0.0)
    assert failed.value.code == "policy_failed"
    assert "mine:choose" in str(failed.value)


def test_an_exception_in_the_function_is_named():
    def choose(*_):
        raise KeyError("gone")

    with pytest.raises(CallError, match="mine:choose' raised KeyError: 'gone'") as failed:
        _policy(choose).choose(call(), OFFERS, 0.0)
    assert failed.value.code == "policy_failed"


def test_the_function_may_refuse_the_call_itself():
    def choose(*_):
        raise Forbidden("not for you")

    with pytest.raises(Forbidden):
        _policy(choose).choose(call(), OFFERS, 0.0)


def test_a_function_that_is_not_loaded_is_a_fault_of_the_settings():
    with pytest.raises(ConfigError, match="'mine:gone' is not loaded"):
        build_policy("python", {"function": "mine:gone"}, {})


def test_the_function_has_to_be_named():
    with pytest.raises(ConfigError, match="missing required field `function`"):
        build_policy("python", {})
