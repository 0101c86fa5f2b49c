"""What a rule's expression can see of a call, by the names settings use."""

from collections.abc import Callable

import msgspec

from trimtab.core import Call

UNLIMITED_USD = 1e18

_HOUR_SECONDS = 3600
_DAY_SECONDS = 86400
_EPOCH_WEEKDAY = 4  # 1 January 1970 was a Thursday


class CallFacts(msgspec.Struct, frozen=True, gc=False):
    """A call and the smallest budget left to it, in USD; `UNLIMITED_USD` where no budget applies."""

    call: Call
    remaining_usd: float = UNLIMITED_USD


VARIABLES: dict[str, Callable[[CallFacts], object]] = {
    "tenant": lambda facts: facts.call.who.tenant,
    "user": lambda facts: facts.call.who.user,
    "key": lambda facts: facts.call.who.key,
    "workflow": lambda facts: facts.call.who.workflow,
    "step": lambda facts: facts.call.who.step,
    "agent": lambda facts: facts.call.who.agent,
    "task": lambda facts: facts.call.who.task,
    "model": lambda facts: facts.call.model,
    "surface": lambda facts: facts.call.surface,
    "tokens": lambda facts: facts.call.likely_input_tokens,
    "max_output_tokens": lambda facts: facts.call.max_output_tokens,
    "tools": lambda facts: facts.call.tools,
    "stream": lambda facts: facts.call.stream,
    "priority": lambda facts: facts.call.priority,
    "hour": lambda facts: int(facts.call.at // _HOUR_SECONDS) % 24,
    "weekday": lambda facts: (int(facts.call.at // _DAY_SECONDS) + _EPOCH_WEEKDAY - 1) % 7 + 1,
    "controller": lambda facts: {"route": facts.call.route},
    "remaining_usd": lambda facts: facts.remaining_usd,
}
"""Name -> how to read it. `hour` is 0..23 and `weekday` 1 (Monday)..7 (Sunday), both in UTC; `tokens` is the
input.
"""
