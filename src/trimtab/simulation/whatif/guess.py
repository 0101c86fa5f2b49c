"""What attempts cost under other prices: exactly where they were made in fact, as a guess in parts where not."""

import msgspec

from trimtab.core import AttemptRecord, Call, Offer, Price, Usage

_GUESSED_OUTPUT_TOKENS = 256


class Repriced(msgspec.Struct, frozen=True, gc=False):
    """`exact` unless the recorded cost was more than tokens at a price (a machine's time, a worst case)."""

    nanodollars: int
    exact: bool = True
    priced: bool = True


class Guess(msgspec.Struct, frozen=True, gc=False):
    """The cost of an answer nobody has seen, in parts: `prompt` as it was cached in fact, `cold` without any cache,
    `output` with as many tokens as were written in fact; `low`, `likely` and `high` are what does not go by those.
    """

    prompt: int = 0
    cold: int = 0
    output: int = 0
    low: int = 0
    likely: int = 0
    high: int = 0
    priced: bool = True

    @property
    def nanodollars(self) -> int:
        """With the same tokens as in fact."""
        return self.prompt + self.output + self.likely

    @property
    def most(self) -> int:
        """The same with nothing cached."""
        return max(self.prompt, self.cold) + self.output + self.high


UNPRICED = Guess(priced=False)


def repriced(attempt: AttemptRecord, before: Price | None, after: Price) -> Repriced:
    """What a recorded attempt costs at the price `after`; `before` is its price then, None where nobody knows."""
    usage, paid = attempt.usage, attempt.nanodollars
    if before == after:
        return Repriced(paid, priced=after.known or paid > 0)
    if not after.known:
        return Repriced(0, priced=not usage.total_tokens)
    if not usage.total_tokens and not paid:
        return Repriced(0, priced=attempt.outcome != "answered")
    if before is None or not before.known or before.cost(usage) == paid:
        now = after.cost(usage)
        if after.gpu_second_nanodollars:
            return Repriced(now + int(after.gpu_second_nanodollars * attempt.seconds), exact=False)
        return Repriced(now)
    return Repriced(_in_proportion(attempt, before, after), exact=False)


def _in_proportion(attempt: AttemptRecord, before: Price, after: Price) -> int:
    """A cost that tokens alone do not explain: dearer or cheaper as the tokens are, or as the machine's second is."""
    usage, paid = attempt.usage, attempt.nanodollars
    if before.gpu_second_nanodollars:
        machine = max(0, paid - before.cost(usage))
        rate = after.gpu_second_nanodollars
        return after.cost(usage) + -(-machine * rate // before.gpu_second_nanodollars)
    then = before.cost(usage)
    return -(-paid * after.cost(usage) // then) if then else after.cost(usage)


def guess(call: Call, usage: Usage, offer: Offer) -> Guess:
    """The cost of an answer at `offer` to a call that was answered with `usage` elsewhere, or not at all."""
    price = offer.price
    if not price.known:
        return UNPRICED
    low, likely, high = _machine(offer)
    if not usage.total_tokens:
        return _blind(call, offer, low, likely)
    fee = price.request_nanodollars
    plain = Usage(usage.input_tokens)
    cold = price.cost(plain) - fee
    if usage.cached_tokens or usage.cache_write_tokens or usage.web_searches:
        prompt = price.cost(_prompt_of(usage)) - fee
    else:
        prompt = cold
    output = price.cost(usage) - fee - prompt
    return Guess(prompt, cold, output, low + fee, likely + fee, high + fee)


def _prompt_of(usage: Usage) -> Usage:
    return Usage(
        usage.input_tokens,
        0,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.cache_write_hour_tokens,
        0,
        usage.web_searches,
    )


def _blind(call: Call, offer: Offer, low: int, likely: int) -> Guess:
    """For a call of which no answer is known: from its prompt alone up to what would be held for it."""
    price = offer.price
    least = price.worst_cost(0, 0)
    output = min(call.max_output_tokens * call.choices, _GUESSED_OUTPUT_TOKENS)
    usual = price.worst_cost(call.likely_input_tokens, output)
    return Guess(low=low + least, likely=likely + usual, high=max(offer.worst_nanodollars, likely + usual))


def _machine(offer: Offer) -> tuple[int, int, int]:
    """The machine's part of a self-hosted answer: shared by all places, by those in flight, or by nobody."""
    rate = offer.price.gpu_second_nanodollars
    if not rate:
        return 0, 0, 0
    alone = int(rate * offer.latency_seconds)
    return alone // max(1, offer.concurrency), alone // (offer.in_flight + 1), alone
