"""Money as integer nanodollars (1 USD = 1_000_000_000), and what a model's tokens cost.

Rates are integer nanodollars per million tokens, so every published price is exact. Nothing here rounds
until one call's whole cost is known; then it rounds up, never down.
"""

from decimal import ROUND_CEILING, Decimal
from typing import Literal

import msgspec

from trimtab.core.usage import Usage

NANODOLLARS_PER_USD = 1_000_000_000
_MILLION = 1_000_000

PriceBasis = Literal["own", "published", "similar"]


def nanodollars_of(usd: Decimal | int | float | str) -> int:
    """USD to nanodollars, rounding up. A float is read by its shortest decimal form (0.1 is 0.1)."""
    exact = Decimal(str(usd)) * NANODOLLARS_PER_USD
    return int(exact.to_integral_value(rounding=ROUND_CEILING))


def usd_text(nanodollars: int) -> str:
    """Nanodollars as exact USD text with nine decimals: 1500000000 -> '1.500000000'."""
    sign = "-" if nanodollars < 0 else ""
    whole, rest = divmod(abs(nanodollars), NANODOLLARS_PER_USD)
    return f"{sign}{whole}.{rest:09d}"


class Rates(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Nanodollars per million tokens, valid from `above_input_tokens` prompt tokens on."""

    input: int = 0
    output: int = 0
    cached: int | None = None
    cache_write: int | None = None
    cache_write_hour: int | None = None
    reasoning: int | None = None
    above_input_tokens: int = 0

    def cost(self, usage: Usage) -> int:
        """Cost of `usage` in nanodollars, rounded up once."""
        plain_input, total = usage.input_tokens, usage.output_tokens * self.output
        if usage.cached_tokens:
            plain_input -= usage.cached_tokens
            total += usage.cached_tokens * (self.input if self.cached is None else self.cached)
        if usage.cache_write_tokens or usage.cache_write_hour_tokens:
            plain_input -= usage.cache_write_tokens
            total += self._writing(usage)
        if usage.reasoning_tokens and self.reasoning is not None:
            total += usage.reasoning_tokens * (self.reasoning - self.output)
        if plain_input > 0:
            total += plain_input * self.input
        return -(-total // _MILLION)

    def _writing(self, usage: Usage) -> int:
        """Of the prompt's part that was written to a cache, in millionths of a nanodollar."""
        rate = self.input if self.cache_write is None else self.cache_write
        hour_rate = rate if self.cache_write_hour is None else self.cache_write_hour
        short = usage.cache_write_tokens - usage.cache_write_hour_tokens
        return short * rate + usage.cache_write_hour_tokens * hour_rate

    def worst_cost(self, input_tokens: int, output_tokens: int) -> int:
        """The most that `input_tokens` and `output_tokens` can cost, whatever is cached or reasoned."""
        hour_rate = self.cache_write_hour or 0
        input_rate = max(self.input, self.cached or 0, self.cache_write or 0, hour_rate)
        output_rate = max(self.output, self.reasoning or 0)
        return -(-(input_tokens * input_rate + output_tokens * output_rate) // _MILLION)


class Price(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one endpoint asks for one model: token rates by tier, a fee a request, a rate a GPU-second.

    `basis`: the settings' own word, the published price of this very model, or that of one whose name only
    begins alike, so that what is charged by it is an estimate.
    """

    tiers: tuple[Rates, ...] = ()
    request_nanodollars: int = 0
    web_search_nanodollars: int = 0
    gpu_second_nanodollars: int = 0
    basis: PriceBasis = "own"

    @property
    def known(self) -> bool:
        """False where nobody has said what this costs; entries are then marked `unpriced`."""
        return bool(self.tiers or self.request_nanodollars or self.gpu_second_nanodollars)

    def cost(self, usage: Usage) -> int:
        """Exact token and request cost of one answered attempt, in nanodollars (GPU time comes apart)."""
        fixed = self.request_nanodollars + usage.web_searches * self.web_search_nanodollars
        tier = self._tier(usage.input_tokens)
        return fixed + (tier.cost(usage) if tier else 0)

    def worst_cost(self, input_tokens: int, output_tokens: int, seconds: float = 0.0) -> int:
        """An upper bound before the attempt: any tier it may reach, alone on its GPU for `seconds`."""
        tokens = 0
        for tier in self.tiers:
            if input_tokens >= tier.above_input_tokens:
                tokens = max(tokens, tier.worst_cost(input_tokens, output_tokens))
        return self.request_nanodollars + tokens + int(self.gpu_second_nanodollars * seconds)

    def _tier(self, input_tokens: int) -> Rates | None:
        best: Rates | None = None
        for tier in self.tiers:
            if input_tokens >= tier.above_input_tokens and (
                best is None or tier.above_input_tokens >= best.above_input_tokens
            ):
                best = tier
        return best
