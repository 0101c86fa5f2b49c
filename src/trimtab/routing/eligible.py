"""Which offers can serve a call at all: capabilities and context length. Called by every policy first."""

from collections.abc import Iterable

from trimtab.core import Call, Offer
from trimtab.core.errors import BadRequest

_NAMED_ENDPOINTS = 4


def can_serve(call: Call, offer: Offer) -> bool:
    """Whether the offer's endpoint can serve the call.

    An endpoint that declares no capability is taken to have all of them, and a context of 0 tokens is unknown
    and taken to be long enough; one that declares some must have each the call needs, and hold input and
    output together.
    """
    return bool(_able(call, (offer,)))


def _able(call: Call, offers: tuple[Offer, ...]) -> list[Offer]:
    needs, tokens = call.needs, call.likely_input_tokens + call.max_output_tokens
    return [
        offer
        for offer in offers
        if (not needs or not offer.capabilities or needs <= offer.capabilities)
        and (not offer.context_tokens or tokens <= offer.context_tokens)
    ]


def eligible(call: Call, offers: Iterable[Offer]) -> list[Offer]:
    """The offers that can serve `call`, in their order.

    Raises `BadRequest` with code `no_capable_endpoint`, naming what is missing, where there is none.
    """
    listed = tuple(offers)
    able = _able(call, listed)
    if not able:
        raise BadRequest(
            f"no endpoint can serve this call to {call.model!r}: {_missing(call, listed)}",
            code="no_capable_endpoint",
            param="model",
        )
    return able


def _missing(call: Call, offers: tuple[Offer, ...]) -> str:
    if not offers:
        return "none was offered"
    parts = [
        f"{name!r} is not supported by {_endpoints(lacking)}"
        for name in sorted(call.needs)
        if (lacking := [offer for offer in offers if offer.capabilities and name not in offer.capabilities])
    ]
    tokens = call.likely_input_tokens + call.max_output_tokens
    if short := [offer for offer in offers if 0 < offer.context_tokens < tokens]:
        longest = max(offer.context_tokens for offer in short)
        parts.append(
            f"{tokens} tokens of context are needed ({call.likely_input_tokens} in, {call.max_output_tokens} out),"
            f" {_endpoints(short)} has at most {longest}"
        )
    return "; ".join(parts)


def _endpoints(offers: list[Offer]) -> str:
    names = sorted({offer.endpoint for offer in offers})
    more = len(names) - _NAMED_ENDPOINTS
    return ", ".join(names[:_NAMED_ENDPOINTS]) + (f" and {more} more" if more > 0 else "")
