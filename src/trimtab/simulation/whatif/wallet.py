"""Budgets and rates of other settings, filled by the recorded calls in their order, in their own windows.

A call holds its worst case when it begins and settles when it ends, as at the ledger. Where a limit is what it was and
no more or less was spent on it than in fact, what was refused in fact is refused, and nothing else.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping

import msgspec

from trimtab.budgets import BudgetBook, KeyLimit, Window, lasts_a_run
from trimtab.config import Settings
from trimtab.core import Attribution, Call, Meter
from trimtab.store import SpentRow

_TYPICAL_OUTPUT_TOKENS = 256


class Purse:
    """One meter: `left` is its limit less what is settled and held; `drift` is what was spent more than in fact."""

    __slots__ = ("drift", "held", "left", "meter")

    def __init__(self, meter: Meter) -> None:
        self.meter, self.left, self.held, self.drift = meter, meter.limit, 0, 0


class Pocket(msgspec.Struct, frozen=True, gc=False):
    """The purses of a run's latest call; the same for calls like it before `until`. `same`: their limits are those
    that were in force."""

    purses: tuple[Purse, ...] = ()
    same: bool = True
    who: Attribution | None = None
    until: float = 0.0


_EMPTY = Pocket()
_Due = tuple[float, int, tuple[Purse, ...], int, int]
"""A hold: when it ends, a number that tells holds of one moment apart, where it is, how much, what of it is spent."""


def book_of(settings: Settings, keys: Mapping[str, KeyLimit]) -> BudgetBook:
    """The limits of settings, and of keys."""
    return BudgetBook(settings.budget, settings.rate, settings.tenant, keys.get)


class Wallet:
    """`settings` are those that are tried, `in_force` those the calls were recorded under, as far as is known; `keys`
    tells the limits of keys by their ids, the same in both."""

    def __init__(self, settings: Settings, in_force: Settings, keys: Mapping[str, KeyLimit]) -> None:
        self._book = book_of(settings, keys)
        self._old = self._book if _same_limits(settings, in_force) else book_of(in_force, keys)
        self._same = self._book is self._old
        self.limits_money = bool(settings.budget or keys)
        self.limits_rates = bool(settings.rate) or any(
            tenant.requests_per_minute or tenant.tokens_per_minute for tenant in settings.tenant
        )
        self._wait_seconds = settings.ledger.wait_seconds
        self._purses: dict[str, Purse] = {}
        self._of_run: dict[tuple[str, str], Pocket] = {}
        self._due: list[_Due] = []
        self._number = 0

    def pocket(self, who: Attribution, at: float) -> Pocket:
        """The budgets a call falls under."""
        if not self.limits_money:
            return _EMPTY
        run = who.tenant, who.run
        known = self._of_run.get(run)
        if known is not None and known.who is not None and at < known.until:
            was = known.who
            if was is who or (was.user == who.user and was.key == who.key and was.workflow == who.workflow):
                return known
        meters = self._book.budgets(who, at)
        same = self._same or [_told(meter) for meter in meters] == [
            _told(meter) for meter in self._old.budgets(who, at)
        ]
        over = [meter.resets_at for meter in meters if meter.resets_at is not None]
        until = min(over, default=float("inf"))
        made = self._of_run[run] = Pocket(tuple([self._purse(meter) for meter in meters]), same, who, until)
        return made

    def remaining(self, pocket: Pocket) -> int | None:
        """The least that is left of any budget; None without budgets."""
        least: int | None = None
        for purse in pocket.purses:
            if least is None or purse.left < least:
                least = purse.left
        return least if least is None else max(0, least)

    def stands(self, pocket: Pocket) -> bool:
        """Whether the recorded verdict stands: the same limits, and on each the same spent as in fact."""
        return pocket.same and not [purse for purse in pocket.purses if purse.drift]

    def settle_until(self, at: float) -> None:
        """End the holds that are over by then."""
        while self._due and self._due[0][0] <= at:
            self._end(heapq.heappop(self._due))

    def take(self, purses: tuple[Purse, ...], worst: int, at: float) -> bool:
        """Whether every budget has room for `worst`, once the holds that end within the ledger's patience have."""
        if self._fits(purses, worst):
            return True
        latest = at + self._wait_seconds
        while self._due and self._due[0][0] <= latest:
            # What is spent for good makes no room, however long one waits.
            if any(purse.left + purse.held < worst for purse in purses):
                return False
            self._end(heapq.heappop(self._due))
            if self._fits(purses, worst):
                return True
        return False

    def hold(self, purses: tuple[Purse, ...], worst: int, spent: int, until: float) -> None:
        """Set `worst` aside until then, when `spent` is what it came to."""
        for purse in purses:
            purse.left -= worst
            purse.held += worst
        self._number += 1
        heapq.heappush(self._due, (until, self._number, purses, worst, spent))

    def note(self, pocket: Pocket, more: int) -> None:
        """How much more is spent than in fact."""
        for purse in pocket.purses:
            purse.drift += more

    def charge(self, purses: tuple[Purse, ...], nanodollars: int) -> None:
        """What was spent without a hold: a tool, or before the first call of the replay."""
        for purse in purses:
            purse.left -= nanodollars

    def begin_with(self, rows: Iterable[SpentRow], window: Window, at: float) -> None:
        """Take over what was spent in a window that is open `at` a moment."""
        for row in rows:
            who = Attribution(row.tenant, row.run, row.user, row.key, row.workflow)
            mine = [
                purse for purse in self.pocket(who, at).purses if purse.meter.id.endswith(f"|{window.label}")
            ]
            self.charge(tuple(mine), row.nanodollars)

    def admits(self, call: Call, refused_in_fact: bool, tokens: Callable[[], int]) -> bool:
        """Whether the rates let the call in. `tokens` tells those it used in fact, 0 where it was refused."""
        if self._same:
            return not refused_in_fact
        if not self.limits_rates:
            return True
        purses = [self._purse(meter) for meter in self._book.rates(call.who, call.at)]
        expected = call.likely_input_tokens + min(call.max_output_tokens, _TYPICAL_OUTPUT_TOKENS)
        for purse in purses:
            need = 1 if purse.meter.unit == "requests" else min(expected, purse.meter.limit)
            if purse.left < need:
                return False
        for purse in purses:
            purse.left -= 1 if purse.meter.unit == "requests" else tokens() or expected
        return True

    def forget(self, before: float) -> None:
        """Drop the meters whose window is over."""
        over = [
            id
            for id, purse in self._purses.items()
            if purse.meter.resets_at is not None and purse.meter.resets_at < before and not purse.held
        ]
        for id in over:
            del self._purses[id]

    def close(self, who: Attribution, at: float) -> None:
        """The run is over: drop the meters that lived as long as it did."""
        if not self.limits_money:
            return
        self._of_run.pop((who.tenant, who.run), None)
        for meter in self._book.budgets(who, at):
            purse = self._purses.get(meter.id)
            if lasts_a_run(meter) and purse is not None and not purse.held:
                del self._purses[meter.id]

    def _purse(self, meter: Meter) -> Purse:
        found = self._purses.get(meter.id)
        if found is None:
            found = self._purses[meter.id] = Purse(meter)
        return found

    def _fits(self, purses: tuple[Purse, ...], worst: int) -> bool:
        return not [purse for purse in purses if purse.left < worst]

    def _end(self, due: _Due) -> None:
        _, _, purses, held, spent = due
        for purse in purses:
            purse.left += held - spent
            purse.held -= held


def _told(meter: Meter) -> tuple[str, int]:
    return meter.id, meter.limit


def _same_limits(settings: Settings, other: Settings) -> bool:
    mine = (settings.budget, settings.rate, settings.ledger.wait_seconds)
    theirs = (other.budget, other.rate, other.ledger.wait_seconds)
    return mine == theirs and _tenant_rates(settings) == _tenant_rates(other)


def _tenant_rates(settings: Settings) -> list[tuple[str, int, int]]:
    return [(t.name, t.requests_per_minute, t.tokens_per_minute) for t in settings.tenant]
