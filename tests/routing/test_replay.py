import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core import Decision, Plan
from trimtab.core.errors import BadRequest, ConfigError
from trimtab.routing import build_policy, replay, same

from .make import CALLS, OFFERS, UNITS, call, offer

POLICIES = {
    "low": build_policy("cheapest", {}),
    "split": build_policy("weighted", {"weights": {"m": 1, "n": 1}}),
    "steps": build_policy("cascade", {"verifiers": [{"kind": "tool_calls"}]}),
}


@given(st.sampled_from(sorted(POLICIES)), CALLS, OFFERS, UNITS)
def test_a_decision_that_was_written_and_read_gives_the_same_plan(name, call, offers, unit):
    try:
        plan = POLICIES[name].choose(call, offers, unit)
    except BadRequest:
        return
    written = msgspec.json.encode(Decision(name, call, offers, unit, plan))
    read = msgspec.json.decode(written, type=Decision)
    assert replay(read, POLICIES) == plan
    assert same(read, POLICIES)


def test_a_policy_that_has_changed_since_shows():
    decision = Decision("low", call(), (offer("a"),), 0.0, Plan(()))
    assert not same(decision, POLICIES)


def test_a_policy_that_is_gone_is_named():
    with pytest.raises(ConfigError, match="made by 'gone', which is not among: low, split, steps"):
        replay(Decision("gone", call(), (), 0.0, Plan(())), POLICIES)
