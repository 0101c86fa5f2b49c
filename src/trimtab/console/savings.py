"""What was saved, as an estimate: answers that took no model, and the same tokens at another model's price. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from trimtab.config import Settings, prices_of
from trimtab.core import Price, Rates, Usage
from trimtab.store import SpendSums


class ModelSpend(msgspec.Struct, frozen=True):
    """What a model's entries come to at one endpoint: '' is an answer without a model, None not told apart."""

    model: str
    endpoint: str | None
    sums: SpendSums


class Spared(msgspec.Struct, frozen=True):
    """Answers that no model gave. Recalled ones would have cost what the model's attempts did on the average; of
    `unknown` many of them there is no such average."""

    recalled: int
    recalled_nanodollars: int
    unknown: int
    decided: int


class Instead(msgspec.Struct, frozen=True):
    """What a model was paid, and what the other would have been for the same tokens."""

    model: str
    attempts: int
    paid: int
    instead: int

    @property
    def saved(self) -> int:
        """Below zero where the other is cheaper."""
        return self.instead - self.paid


class Counterfactual(msgspec.Struct, frozen=True):
    """All tokens at one model's price. `left_out` are models whose price is not known or another gateway's to know."""

    against: str
    lines: list[Instead]
    left_out: list[str]

    @property
    def total(self) -> Instead:
        """All lines together."""
        return Instead(
            "all",
            sum(line.attempts for line in self.lines),
            sum(line.paid for line in self.lines),
            sum(line.instead for line in self.lines),
        )


def token_prices(settings: Settings) -> dict[str, Price]:
    """The models that tokens of a conversation have a known price at, by name; the cheapest endpoint's price."""
    found: dict[str, Price] = {}
    for (_, model), price in prices_of(settings).items():
        if _is_of_text(price) and (model not in found or _rate(price) < _rate(found[model])):
            found[model] = price
    return dict(sorted(found.items()))


def _is_of_text(price: Price) -> bool:
    """Embeddings have a price, but write nothing."""
    return bool(price.tiers) and (price.tiers[0].output > 0 or price.tiers[0].input == 0)


def _rate(price: Price) -> int:
    return price.tiers[0].input + price.tiers[0].output


def cost_at(price: Price, attempts: int, usage: Usage) -> int:
    """What all the attempts' tokens cost at a price: in the tier of the average prompt, cached ones at its rate."""
    each = usage.input_tokens // max(attempts, 1)
    tiers = sorted(price.tiers, key=lambda tier: tier.above_input_tokens)
    rates = next((tier for tier in reversed(tiers) if tier.above_input_tokens <= each), Rates())
    return rates.cost(usage) + price.request_nanodollars * attempts


def spared(rows: Sequence[ModelSpend], models: Collection[str]) -> Spared:
    """The answers without a model among all. `models`: names by which a cached answer is known."""
    costs: dict[str, list[int]] = {}
    for row in rows:
        if row.endpoint and not row.sums.unpriced:
            known = costs.setdefault(row.model, [0, 0])
            known[0] += row.sums.nanodollars
            known[1] += row.sums.entries
    recalled = amount = unknown = decided = 0
    for row in rows:
        if row.endpoint != "":
            continue
        if row.model not in costs and row.model not in models:
            decided += row.sums.entries
            continue
        recalled += row.sums.entries
        paid, attempts = costs.get(row.model, (0, 0))
        unknown += 0 if attempts else row.sums.entries
        amount += row.sums.entries * paid // attempts if attempts else 0
    return Spared(recalled, amount, unknown, decided)


def instead(rows: Iterable[ModelSpend], prices: Mapping[str, Price], against: str) -> Counterfactual | None:
    """Had all tokens gone to one model; '' is the dearest of those that served. None where no price is known."""
    written = [row for row in rows if row.endpoint != "" and row.sums.output_tokens]
    name = against or _dearest(written, prices)
    if not name:
        return None
    lines: dict[str, Instead] = {}
    left_out: dict[str, None] = {}
    for row in written:
        if row.sums.unpriced or row.sums.upstream_nanodollars:
            left_out[row.model] = None
            continue
        known = lines.get(row.model, Instead(row.model, 0, 0, 0))
        lines[row.model] = Instead(
            row.model,
            known.attempts + row.sums.entries,
            known.paid + row.sums.nanodollars,
            known.instead + cost_at(prices[name], row.sums.entries, _usage([row])),
        )
    return Counterfactual(name, list(lines.values()), list(left_out))


def _dearest(rows: Sequence[ModelSpend], prices: Mapping[str, Price]) -> str:
    """The model that served and would ask most for all of the tokens; '' where none has a known price."""
    attempts, usage = sum(row.sums.entries for row in rows), _usage(rows)
    served = sorted({row.model for row in rows if row.model in prices})
    return max(served, key=lambda model: cost_at(prices[model], attempts, usage), default="")


def _usage(rows: Iterable[ModelSpend]) -> Usage:
    every = [row.sums for row in rows]
    return Usage(
        sum(sums.input_tokens for sums in every),
        sum(sums.output_tokens for sums in every),
        sum(sums.cached_tokens for sums in every),
    )
