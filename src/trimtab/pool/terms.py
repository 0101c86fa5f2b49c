"""What of an offer does not change from call to call, and the offer of a call made of it."""

import msgspec

from trimtab.core import Call, Capability, Offer, Price

_PREDICTED_OUTPUT_TOKENS = 512


class OfferTerms(msgspec.Struct, frozen=True, gc=False):
    """An endpoint's terms for a model. `total_seconds`: the longest that a call may take there."""

    endpoint: str
    model: str
    price: Price
    quality: float
    precision_bits: int
    context_tokens: int
    capabilities: frozenset[Capability]
    total_seconds: float

    def offer(
        self,
        call: Call,
        *,
        latency_seconds: float,
        first_token_seconds: float,
        p95_seconds: float,
        in_flight: int,
        queued: int,
        concurrency: int,
        available: bool,
    ) -> Offer:
        """For a call, where the endpoint is as busy and fast as told: calls in flight and queued, how many it takes at
        once, seconds of its replies."""
        output = call.max_output_tokens * call.choices
        worst_cost = self.price.worst_cost
        return Offer(
            endpoint=self.endpoint,
            model=self.model,
            price=self.price,
            predicted_nanodollars=worst_cost(call.likely_input_tokens, min(output, _PREDICTED_OUTPUT_TOKENS)),
            worst_nanodollars=worst_cost(call.input_tokens, output, self.total_seconds),
            quality=self.quality,
            precision_bits=self.precision_bits,
            context_tokens=self.context_tokens,
            capabilities=self.capabilities,
            latency_seconds=latency_seconds,
            first_token_seconds=first_token_seconds,
            p95_seconds=p95_seconds,
            in_flight=in_flight,
            queued=queued,
            concurrency=concurrency,
            available=available,
        )
