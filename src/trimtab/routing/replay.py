"""Recorded decisions made again from their recorded inputs. Called by what-if, audits and tests."""

from collections.abc import Mapping

from trimtab.core import Decision, Plan
from trimtab.core.errors import ConfigError
from trimtab.routing.policy import Policy


def replay(decision: Decision, policies: Mapping[str, Policy]) -> Plan:
    """The plan that `policies` give today for the inputs of `decision`.

    Raises `ConfigError` where there is no policy of the recorded name, and what the policy itself raises.
    """
    policy = policies.get(decision.policy)
    if policy is None:
        known = ", ".join(sorted(policies)) or "none"
        raise ConfigError(
            f"the decision was made by {decision.policy!r}, which is not among: {known}", key="policy"
        )
    return policy.choose(decision.call, decision.offers, decision.unit)


def same(decision: Decision, policies: Mapping[str, Policy]) -> bool:
    """Whether `replay` gives the recorded plan, attempt for attempt, verifiers and reasons included."""
    return replay(decision, policies) == decision.plan
