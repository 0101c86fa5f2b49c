"""Stage 5's choice of a policy: the first rule that holds, else the model's own, else the default."""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from trimtab.config import RuleSettings, Settings
from trimtab.core import NANODOLLARS_PER_USD, Call, Decision, Offer, Plan
from trimtab.core.errors import CallError
from trimtab.dispatch.foreign import SECONDS, Foreign
from trimtab.pool import Pool
from trimtab.routing import UNLIMITED_USD, CallFacts, Fault, Policy, Python, Rule, RuleBook, sticky_unit


class Choice(msgspec.Struct, frozen=True):
    """Which policy chooses among which models, and whether replies are recalled."""

    policy: str
    models: tuple[str, ...]
    rule: str = ""
    recall_seconds: int = 0
    recall_sampled: bool = False
    faults: tuple[Fault, ...] = ()


class Router:
    """Constructed by `app/` with the policies built from the settings."""

    def __init__(self, settings: Settings, pool: Pool, policies: Mapping[str, Policy]) -> None:
        self._settings, self._pool, self._policies = settings, pool, policies
        self._foreign = Foreign()
        self._unruled: dict[str, Choice] = {}
        self._rules = {_name(rule, at): rule for at, rule in enumerate(settings.rule)}
        self._book = RuleBook(
            Rule(name=name, when=rule.when, policy=rule.policy, models=rule.models)
            for name, rule in self._rules.items()
        )

    def choose(self, call: Call, remaining_nanodollars: int | None) -> Choice:
        """The rule that holds for a call. Raises UnknownModel."""
        unruled = self._unruled.get(call.model) or self._choose_without_rules(call.model)
        if not self._rules:
            return unruled
        remaining = UNLIMITED_USD
        if remaining_nanodollars is not None:
            remaining = remaining_nanodollars / NANODOLLARS_PER_USD
        match = self._book.match(CallFacts(call, remaining))
        if match.rule is None:
            return msgspec.structs.replace(unruled, faults=match.faults) if match.faults else unruled
        rule = self._rules[match.rule.name]
        policy = rule.policy or unruled.policy
        return Choice(
            policy,
            rule.models or self._limited(policy, self._pool.candidates(call.model)),
            match.rule.name,
            rule.recall_seconds,
            rule.recall_sampled,
            match.faults,
        )

    def _choose_without_rules(self, model: str) -> Choice:
        """Kept by name: only names that are served come this far. Raises UnknownModel."""
        models = self._pool.candidates(model)
        own = self._pool.model(model).policy or self._settings.default_policy
        choice = self._unruled[model] = Choice(own, self._limited(own, models))
        return choice

    def _limited(self, policy: str, models: tuple[str, ...]) -> tuple[str, ...]:
        """A policy's own `models` instead of those the name stands for."""
        known = self._settings.policy.get(policy)
        return known.models if known is not None and known.models else models

    def is_own_code(self, choice: Choice) -> bool:
        """Whether a function of the user's own decides."""
        return isinstance(self._policies[choice.policy], Python)

    async def decide(self, call: Call, choice: Choice, offers: tuple[Offer, ...]) -> Decision:
        """The decision of the chosen policy, with everything it saw. Raises BadRequest, CallError."""
        unit = sticky_unit(call.who.run, choice.policy)
        policy = self._policies[choice.policy]
        if isinstance(policy, Python):
            plan = await self._own_plan(choice.policy, partial(policy.choose, call, offers, unit))
        else:
            plan = policy.choose(call, offers, unit)
        faults = tuple(f"rule {fault.rule!r} cannot be judged: {fault.reason}" for fault in choice.faults)
        return Decision(choice.policy, call, offers, unit, plan, choice.rule, faults)

    async def _own_plan(self, name: str, motion: Callable[[], Plan]) -> Plan:
        """The plan of a function of the user's own. Raises CallError where it hangs."""
        try:
            return await self._foreign.run(motion)
        except TimeoutError as error:
            raise CallError(
                f"the policy {name!r} gave no plan within {SECONDS:g} s", code="policy_failed"
            ) from error


def _name(rule: RuleSettings, at: int) -> str:
    return rule.name or f"rule {at + 1}"
