"""What an attempt may cost at most: what is held for it. Where a part of the request cannot be counted before it
is sent, the model's context bounds it; what nothing bounds is not promised under a budget.
"""

from trimtab.core import Offer
from trimtab.core.errors import BadRequest
from trimtab.dispatch.visit import Visit

UNBOUNDED = "unbounded_cost"


def most_input_tokens(visit: Visit, offer: Offer) -> int:
    """The most prompt tokens that the endpoint may count."""
    tokens = visit.call.input_tokens
    return max(tokens, offer.context_tokens) if visit.facts.uncounted else tokens


def worst_nanodollars(visit: Visit, offer: Offer, seconds: float) -> int:
    """What is to be held; `seconds` is the longest an attempt may last. Raises BadRequest under a budget where
    there is no bound.
    """
    facts, call, price = visit.facts, visit.call, offer.price
    if not facts.uncounted and not facts.web_searches and facts.web_searches is not None:
        if visit.meters and "audio" in call.needs:
            _require_bound(visit, offer)
        return offer.worst_nanodollars
    if visit.meters:
        _require_bound(visit, offer)
    tokens = most_input_tokens(visit, offer)
    worst = price.worst_cost(tokens, call.max_output_tokens * call.choices, seconds)
    return worst + (facts.web_searches or 0) * price.web_search_nanodollars


def _require_bound(visit: Visit, offer: Offer) -> None:
    facts, price = visit.facts, offer.price
    priced = any(tier.input or tier.cached or tier.cache_write for tier in price.tiers)
    if facts.uncounted and priced and not offer.context_tokens:
        raise _unbounded(
            f"the tokens of {facts.uncounted!r} cannot be counted before it is sent",
            f"set `context_tokens` of model {offer.model!r}, or send its text inline",
        )
    if facts.web_searches is None and price.web_search_nanodollars:
        raise _unbounded("each web search has its price", "give the web search tool `max_uses`")
    if "audio" in visit.call.needs and price.known and price.basis != "own":
        raise _unbounded(
            "audio tokens have a price of their own, which is not known",
            f"give model {offer.model!r} a `price` that covers them",
        )


def _unbounded(why: str, remedy: str) -> BadRequest:
    return BadRequest(
        f"a budget applies to this call, and nothing bounds what it may cost: {why}; {remedy}", code=UNBOUNDED
    )
