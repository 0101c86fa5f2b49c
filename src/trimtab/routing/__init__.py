"""Policies, rules and verifiers: what a call tries, in what order, and which reply is good enough."""

from trimtab.routing.context import DeclaredTool, VerifyContext, read_context
from trimtab.routing.eligible import can_serve, eligible
from trimtab.routing.facts import UNLIMITED_USD, VARIABLES, CallFacts
from trimtab.routing.policy import Functions, Policy, sticky_unit
from trimtab.routing.python import Python
from trimtab.routing.registry import POLICY_NAMES, build_policy
from trimtab.routing.replay import replay, same
from trimtab.routing.rule import Fault, Match, Rule, RuleBook
from trimtab.routing.schema import Schemas
from trimtab.routing.verifier import Verifiers

__all__ = [
    "POLICY_NAMES",
    "UNLIMITED_USD",
    "VARIABLES",
    "CallFacts",
    "DeclaredTool",
    "Fault",
    "Functions",
    "Match",
    "Policy",
    "Python",
    "Rule",
    "RuleBook",
    "Schemas",
    "Verifiers",
    "VerifyContext",
    "build_policy",
    "can_serve",
    "eligible",
    "read_context",
    "replay",
    "same",
    "sticky_unit",
]
