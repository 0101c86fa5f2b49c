"""The limits that the settings set, as lines of a table; a tenant sees those that are everybody's or its own. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from trimtab.config import Key, Loaded, TenantSettings
from trimtab.console.masks import masked
from trimtab.console.words import count, usd
from trimtab.core import nanodollars_of

_EVERYBODY = "*"


class Limit(msgspec.Struct, frozen=True):
    """One table of the settings. `whom` says which calls it is for, `line` where it stands, 0 where that is unknown."""

    kind: str
    name: str
    scope: str
    window: str
    amounts: tuple[str, ...]
    whom: tuple[str, ...]
    line: int


def limits_of(loaded: Loaded, tenant: str | None) -> list[Limit]:
    """In the order of the file: budgets, rates, tenants. Of a tenant: those that name nobody, or it."""
    found = []
    for key, match, limit in (*_budgets(loaded), *_rates(loaded), *_tenants(loaded)):
        if tenant is None or not match or match.get("tenant") == tenant:
            found.append(msgspec.structs.replace(limit, line=loaded.source.line(key)))
    return found


_Found = Iterator[tuple[Key, Mapping[str, str], Limit]]


def _budgets(loaded: Loaded) -> _Found:
    for index, each in enumerate(loaded.settings.budget):
        match = {str(name): value for name, value in each.match.items()}
        name = each.name or f"{each.scope}/{each.window}"
        amounts = (usd(nanodollars_of(each.limit_usd)),)
        yield (
            ("budget", index),
            match,
            Limit("budget", name, each.scope, each.window, amounts, _whom(match), 0),
        )


def _rates(loaded: Loaded) -> _Found:
    for index, each in enumerate(loaded.settings.rate):
        match = {str(name): value for name, value in each.match.items()}
        amounts = _amounts({"requests": each.requests_per_minute, "tokens": each.tokens_per_minute})
        yield (
            ("rate", index),
            match,
            Limit("rate", f"{each.scope}/minute", each.scope, "minute", amounts, _whom(match), 0),
        )


def _tenants(loaded: Loaded) -> _Found:
    named = {each.name for each in loaded.settings.tenant}
    for index, each in enumerate(loaded.settings.tenant):
        match = {} if each.name == _EVERYBODY else {"tenant": each.name}
        others = "every tenant without a table of its own" if len(named) > 1 else "every tenant"
        whom = _whom(match) or (others,)
        yield ("tenant", index), match, Limit("tenant", each.name, "tenant", "", _bounds(each), whom, 0)


def _bounds(each: TenantSettings) -> tuple[str, ...]:
    a_minute = _amounts({
        "requests a minute": each.requests_per_minute,
        "tokens a minute": each.tokens_per_minute,
        "new hosted runs a minute": each.runs_per_minute,
    })  # fmt: skip
    at_once = {
        "calls queued": each.max_queued,
        "hosted runs at once": each.max_runs,
        "hosted runs queued": each.max_queued_runs,
    }
    shares = (f"weight {each.weight:g}",) if each.weight != 1 else ()
    return (*shares, *a_minute, *(f"{count(amount)} {name}" for name, amount in at_once.items()))


def _amounts(amounts: Mapping[str, int]) -> tuple[str, ...]:
    """0 is no limit."""
    return tuple(f"{count(amount)} {name}" for name, amount in amounts.items() if amount)


def _whom(match: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name} {masked(value)}" for name, value in sorted(match.items()))
