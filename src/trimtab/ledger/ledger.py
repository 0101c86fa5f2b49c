"""The ledger: every attempt holds its worst case before it is sent and settles to the exact price after.

Called by `dispatch/`. Holds and entries are durable (in the journal) when these methods return; the
database follows. Limits are shared between processes through slices leased from the store.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable

from trimtab.budgets import BudgetBook
from trimtab.config import LedgerSettings
from trimtab.core import Attribution, Certainty, Charge, Clock, Entry, EntryKind, Hold, Meter, Release, Usage
from trimtab.core.errors import LedgerUnavailable, RateLimited, StoreUnavailable
from trimtab.ledger.slices import Slices
from trimtab.ledger.teller import Teller
from trimtab.store import Writer

_log = logging.getLogger(__name__)
Take = Callable[[Slices, Meter, int], Awaitable[None]]


class Ledger:
    """Constructed once by `app/`. Amounts are nanodollars unless a meter says else."""

    def __init__(
        self, book: BudgetBook, writer: Writer, teller: Teller, clock: Clock, settings: LedgerSettings
    ) -> None:
        self._book, self._writer, self._teller = book, writer, teller
        self._clock, self._settings = clock, settings
        self._open: dict[str, Slices] = {}

    @property
    def open_holds(self) -> int:
        """Holds of this process that are neither settled nor released."""
        return len(self._open)

    def meters(self, who: Attribution, at: float) -> tuple[Meter, ...]:
        """Money meters a call falls under."""
        return self._book.budgets(who, at)

    def remaining(self, meters: Iterable[Meter]) -> int | None:
        """The least that is left of any of the meters, as far as this process knows; None without meters."""
        slices = self._teller.slices
        return min((slices.remaining(meter) for meter in meters), default=None)

    async def require(self, who: Attribution, least: int) -> None:
        """See that all budgets over a run have `least` left, without setting anything aside: what is spent counts, open
        holds do not. Raises BudgetExceeded, LedgerUnavailable."""
        try:
            await self._teller.require(self.meters(who, self._clock.now()), least)
        except StoreUnavailable as error:
            raise _away(error) from error

    async def hold(
        self,
        id: str,
        call: str,
        who: Attribution,
        meters: tuple[Meter, ...],
        endpoint: str,
        model: str,
        worst: int,
    ) -> Hold:
        """Set `worst` aside on all meters. Raises BudgetExceeded or LedgerUnavailable; then nothing is held."""
        now, slices = self._clock.now(), self._teller.slices
        if meters and not (self._teller.stands and slices.take(meters, worst, now)):
            await self._take_slowly(slices, meters, worst)
        hold = Hold(
            id=id, call=call, at=now, tenant=who.tenant, run=who.run, user=who.user, workflow=who.workflow,
            step=who.step, key=who.key, endpoint=endpoint, model=model, nanodollars=worst,
            charges=tuple([Charge(meter.id, worst) for meter in meters]),
        )  # fmt: skip
        try:
            self._writer.append(hold)
        except OSError as error:
            slices.give(hold.charges)
            raise _unwritable(error) from error
        self._open[hold.id] = slices
        try:
            await self._durable()
        except BaseException:
            self.release(hold, "never sent")
            raise
        return hold

    async def settle(
        self,
        hold: Hold,
        nanodollars: int,
        usage: Usage,
        certainty: Certainty,
        *,
        reason: str = "",
        upstream_nanodollars: int = 0,
    ) -> Entry:
        """End a hold with what was really used. Durable when this returns. Idempotent by the hold's id.

        Raises LedgerUnavailable when it cannot be written; then the hold stays open, and will count as worst case.
        """
        entry = Entry(
            id=hold.id, call=hold.call, at=self._clock.now(), tenant=hold.tenant, run=hold.run, user=hold.user,
            workflow=hold.workflow, step=hold.step, key=hold.key, kind="model", endpoint=hold.endpoint,
            model=hold.model, nanodollars=nanodollars, certainty=certainty, usage=usage,
            upstream_nanodollars=upstream_nanodollars, reason=reason,
            charges=tuple([Charge(charge.meter, nanodollars) for charge in hold.charges]),
        )  # fmt: skip
        slices = self._open.get(hold.id)
        if slices is None:
            return entry
        self._append(entry)
        del self._open[hold.id]
        slices.give(hold.charges, nanodollars)
        await self._durable()
        return entry

    def release(self, hold: Hold, reason: str) -> None:
        """Give a hold back whole: the attempt cannot have been billed."""
        slices = self._open.get(hold.id)
        if slices is None:
            return
        try:
            self._writer.append(Release(hold.id, reason))
        except OSError as error:
            _log.error("hold %s stays open: its release cannot be written: %s", hold.id, error)
            return
        del self._open[hold.id]
        slices.give(hold.charges)

    async def charge(
        self,
        id: str,
        call: str,
        who: Attribution,
        kind: EntryKind,
        what: str,
        nanodollars: int,
        reason: str = "",
        *,
        saved_nanodollars: int = 0,
    ) -> Entry:
        """Enter a cost that happened without a hold (a tool, compute, an answer without a model). `id` is its
        idempotency key; `saved_nanodollars` estimates what a model would have cost.

        Raises LedgerUnavailable; then nothing is entered.
        """
        now, slices = self._clock.now(), self._teller.slices
        meters = self._book.budgets(who, now)
        if nanodollars:
            await self._take_slowly(slices, meters, nanodollars, self._teller.force)
        entry = Entry(
            id=id, call=call, at=now, tenant=who.tenant, run=who.run, user=who.user, workflow=who.workflow,
            step=who.step, key=who.key, kind=kind, endpoint="", model=what, nanodollars=nanodollars,
            certainty="exact", reason=reason,
            charges=tuple([Charge(meter.id, nanodollars) for meter in meters]),
            saved_nanodollars=saved_nanodollars,
        )  # fmt: skip
        try:
            self._append(entry)
        except LedgerUnavailable:
            slices.give(entry.charges if nanodollars else ())
            raise
        slices.give(entry.charges if nanodollars else (), nanodollars)
        await self._durable()
        return entry

    async def admit_rates(self, who: Attribution, tokens: int) -> tuple[Charge, ...]:
        """Take one request and `tokens` (an estimate) from the call's rates. Raises RateLimited."""
        now, slices = self._clock.now(), self._teller.slices
        taken: list[Charge] = []
        for meter in self._book.rates(who, now):
            amount = 1 if meter.unit == "requests" else min(tokens, meter.limit)
            if not await self._teller.take_rate(slices, meter, amount):
                slices.give(taken)
                wait = max(1.0, (meter.resets_at or now) - now)
                raise RateLimited(
                    f"{meter.name}: {meter.limit} {meter.unit} a minute are used up", retry_after_seconds=wait
                )
            taken.append(Charge(meter.id, amount))
        return tuple(taken)

    def finish_rates(self, taken: tuple[Charge, ...], tokens: int) -> None:
        """Replace the estimate of `admit_rates` by the tokens really used."""
        slices = self._teller.slices
        for charge in taken:
            slice = slices.known(charge.meter)
            # Where the slices are new, this one was not taken from them.
            if slice is not None and slice.held >= charge.amount:
                slices.give((charge,), charge.amount if slice.meter.unit == "requests" else tokens)

    async def _take_slowly(
        self, slices: Slices, meters: tuple[Meter, ...], amount: int, take: Take | None = None
    ) -> None:
        """Take from every meter or from none. Raises BudgetExceeded, LedgerUnavailable."""
        taken: list[Charge] = []
        try:
            for meter in sorted(meters, key=lambda m: m.id):
                await (take or self._teller.take)(slices, meter, amount)
                taken.append(Charge(meter.id, amount))
            if slices is not self._teller.slices:
                raise StoreUnavailable("this process was given up for dead and begins anew")
        except StoreUnavailable as error:
            slices.give(taken)
            raise _away(error) from error
        except BaseException:
            slices.give(taken)
            raise

    def _append(self, entry: Entry) -> None:
        try:
            self._writer.append(entry)
        except OSError as error:
            raise _unwritable(error) from error

    async def _durable(self) -> None:
        """Raises LedgerUnavailable."""
        if self._settings.durability != "disk":
            return
        try:
            await self._writer.journal.sync()
        except OSError as error:
            raise _unwritable(error) from error


def _away(error: StoreUnavailable) -> LedgerUnavailable:
    """Where the database stands and what it said is for the log, not for clients."""
    _log.warning("no money can be set aside while the database is away: %s", error)
    return LedgerUnavailable("no money can be set aside while the database is away", retry_after_seconds=2)


def _unwritable(error: OSError) -> LedgerUnavailable:
    _log.error("the journal cannot be written: %s", error)
    return LedgerUnavailable(
        "the journal cannot be written; the gateway's log says why", retry_after_seconds=5
    )
