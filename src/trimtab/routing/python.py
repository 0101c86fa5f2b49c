"""The policy `python`: a function of the user's own, loaded by the caller and passed in."""

from collections.abc import Callable

import msgspec

from trimtab.core import Call, Offer, Plan
from trimtab.core.errors import CallError, ConfigError
from trimtab.routing.eligible import eligible
from trimtab.routing.policy import AttemptLimit, Functions, available_first, cost_key

_CODE = "policy_failed"


class PythonOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`function` is `module:function`, taking (call, offers, unit) and returning a `Plan`."""

    function: str
    max_attempts: AttemptLimit = 4


class Python:
    """Calls the function with the offers that can serve, cheapest first, and checks the plan it returns."""

    def __init__(self, options: PythonOptions, function: Callable[..., object]) -> None:
        self._options = options
        self._function = function

    def choose(self, call: Call, offers: tuple[Offer, ...], unit: float) -> Plan:
        """The function's plan. Raises `CallError` with code `policy_failed` where it fails or is no such
        plan.
        """
        able = tuple(available_first(sorted(eligible(call, offers), key=cost_key)))
        try:
            plan = self._function(call, able, unit)
        except CallError:
            raise
        except Exception as error:  # the edge to code that is not ours: any failure is the policy's
            raise self._failed(f"raised {type(error).__name__}: {error}") from error
        if not isinstance(plan, Plan):
            raise self._failed(f"returned {type(plan).__name__}, expected a Plan")
        if fault := _fault(plan, able, self._options.max_attempts):
            raise self._failed(fault)
        return plan

    def _failed(self, what: str) -> CallError:
        return CallError(f"the policy {self._options.function!r} {what}", code=_CODE)


def build_python(options: PythonOptions, functions: Functions) -> Python:
    """Finds the function among the loaded ones. Raises `ConfigError` where it is not there."""
    function = functions.get(options.function)
    if function is None:
        raise ConfigError(
            f"{options.function!r} is not loaded, expected `module:function`", key="python.function"
        )
    return Python(options, function)


def _fault(plan: Plan, able: tuple[Offer, ...], max_attempts: int) -> str:
    named = [(attempt.endpoint, attempt.model) for attempt in plan.attempts]
    offered = {(offer.endpoint, offer.model) for offer in able}
    if not named:
        return "returned a plan without attempts"
    if len(named) > max_attempts:
        return f"returned {len(named)} attempts, at most {max_attempts} are allowed"
    if len(set(named)) < len(named):
        return "returned the same endpoint and model twice"
    strange = [f"{model!r} at {endpoint!r}" for endpoint, model in named if (endpoint, model) not in offered]
    return f"returned {strange[0]}, which is not among the offers" if strange else ""
