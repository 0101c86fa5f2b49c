"""What an attempt is charged for, and how sure that is: by what its endpoint told, else by what was seen of it.

Serves `attempt` only. Nothing is entered as exact that may be more, and where a reply may hide what it costs
(reasoning), all that it may have cost is entered.
"""

import math

import msgspec

from trimtab.core import Certainty, Offer, Usage
from trimtab.dispatch.form import Form
from trimtab.dispatch.promise import most_input_tokens
from trimtab.dispatch.visit import Visit
from trimtab.pool import Endpoint
from trimtab.wire import NOTHING_TOLD, Told, asks_to_reason, names_service, special_service

# Tokens that end a reply or frame a tool call are billed and never seen.
UNSEEN_TOKENS = 32
LET_GO_TOKENS = 256
_NO_USAGE = "no usage in the reply"
_SIMILAR = "the price is that of a model whose name begins alike; give the model a `price` or `price_as`"
_SEARCHES = "the reply does not say how often it searched the web"
_AUDIO = "audio tokens are entered at the price of text; give the model a `price` of its own"


class Heard:
    """What was noted of an attempt's reply so far.

    `told`: what the endpoint said the whole reply costs; `told_tokens`: what it said of the output by now;
    `bytes`: how much it sent; `reasoning`: whether there is a sign that it reasoned.
    """

    __slots__ = ("bytes", "reasoning", "told", "told_tokens")

    def __init__(self) -> None:
        self.bytes = 0
        self.told_tokens = 0
        self.told: Told = NOTHING_TOLD
        self.reasoning = False


class Bill(msgspec.Struct, frozen=True, gc=False):
    """Usage to be charged. `nanodollars` is without the machine's part; `reason` says why it is not exact."""

    usage: Usage
    certainty: Certainty
    nanodollars: int
    reason: str = ""
    upstream_nanodollars: int = 0


class Reckoner:
    """The terms of one attempt. `endpoint`, `form`, `offer` are those of the attempt."""

    def __init__(self, visit: Visit, endpoint: Endpoint, form: Form, offer: Offer) -> None:
        self._visit, self._endpoint, self._form, self._offer = visit, endpoint, form, offer

    def told(self, heard: Heard) -> Bill:
        """The bill of a reply whose usage is known."""
        usage, price = heard.told.usage or Usage(), self._offer.price
        nanodollars = price.cost(usage)
        factor, doubt = self._service(heard.told)
        if price.basis == "similar":
            doubt = doubt or _SIMILAR
        if heard.told.audio_tokens and price.basis != "own":
            doubt = doubt or _AUDIO
        if self._visit.facts.web_searches != 0 and self._form.speaks == "chat":
            doubt = doubt or self._unpriced_searches(usage)
        if factor != 1.0:
            nanodollars = math.ceil(nanodollars * factor)
        return Bill(usage, "estimated" if doubt else "exact", nanodollars, doubt)

    def _unpriced_searches(self, usage: Usage) -> str:
        """OpenAI-style endpoints do not tell how often they searched."""
        price = self._offer.price
        free = price.basis == "own" and not price.web_search_nanodollars
        return "" if free or usage.web_searches else _SEARCHES

    def upstream(self, heard: Heard, nanodollars: int) -> Bill:
        """The bill of a reply that another gateway of ours has charged."""
        return Bill(heard.told.usage or Usage(), "upstream", 0, "", nanodollars)

    def seen(self, heard: Heard, more_tokens: int) -> Bill:
        """The bill of a reply without usage; `more_tokens` are those that may have been made and not seen.

        A token is at least a byte of what was seen, unless the model hides some: then it is the worst case.
        """
        if self._may_hide(heard):
            worst = self.worst(heard)
            return Bill(
                worst.usage, "worst_case", worst.nanodollars, f"{_NO_USAGE}, and it may have reasoned"
            )
        call = self._visit.call
        seen = max(heard.bytes, heard.told_tokens) + more_tokens * call.choices
        output = max(min(call.max_output_tokens * call.choices, seen), heard.told_tokens)
        return self._most(output, "estimated", _NO_USAGE)

    def worst(self, heard: Heard) -> Bill:
        """The bill of an attempt of which nothing is known but that it was sent."""
        call = self._visit.call
        output = max(call.max_output_tokens * call.choices, heard.told_tokens)
        return self._most(output, "worst_case", "")

    def _most(self, output_tokens: int, certainty: Certainty, reason: str) -> Bill:
        """The most that so many output tokens may come to."""
        price, searches = self._offer.price, self._visit.facts.web_searches or 0
        input_tokens = most_input_tokens(self._visit, self._offer)
        factor, _ = self._service(NOTHING_TOLD)
        tokens = price.worst_cost(input_tokens, output_tokens)
        nanodollars = math.ceil(tokens * factor) if factor > 1 else tokens
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, web_searches=searches)
        return Bill(usage, certainty, nanodollars + searches * price.web_search_nanodollars, reason)

    def _may_hide(self, heard: Heard) -> bool:
        """Whether the reply may have cost more tokens than were seen of it.

        Where the model's capabilities are declared, they say whether it reasons; else whether it told so
        before. Of a model that has told nothing yet, the worst is taken where there is a bound to it.
        """
        visit, offer = self._visit, self._offer
        if visit.call.surface == "embeddings":
            return False
        reasons = self._endpoint.reasons(offer.model)
        if reasons or heard.reasoning or "reasoning" in offer.capabilities:
            return True
        if asks_to_reason(visit.inbound.body):
            return True
        return reasons is None and not offer.capabilities and self._is_bounded

    @property
    def _is_bounded(self) -> bool:
        """Whether the endpoint was told a maximum."""
        visit = self._visit
        named = visit.facts.max_output_tokens is not None or self._form.speaks == "messages"
        return named or visit.enforce_maximum

    def _service(self, told: Told) -> tuple[float, str]:
        """By what the price is multiplied for the terms of service, and why that is not sure."""
        visit = self._visit
        body = b"" if visit.enforce_maximum else visit.inbound.body
        if not told.service and not names_service(body):
            return 1.0, ""
        special = special_service(body, told.service)
        if not special:
            return 1.0, ""
        known, factor = self._endpoint.settings.service_factors, 1.0
        for term in special:
            factor *= known.get(term, 1.0)
        lacking = [term for term in special if term not in known]
        if lacking:
            return factor, f"the price of service {lacking[0]!r} is not known; see endpoint.service_factors"
        return factor, "" if told.service else f"the reply does not say whether it was {special[0]!r}"
