"""The ledger: every attempt holds its worst case before it is sent and settles to the exact price after.

Called by `dispatch/`. Holds and entries are durable (in the journal) when these methods return; the
database follows. Limits are shared between processes through slices leased from the store.
"""

import asyncio
from collections.abc import Iterable

from trimtab.budgets import BudgetBook
from trimtab.config import LedgerSettings
from trimtab.core import Attribution, Certainty, Charge, Clock, Entry, EntryKind, Hold, Meter, Release, Usage
from trimtab.core.errors import LedgerUnavailable, RateLimited, StoreUnavailable
from trimtab.ledger.slices import Slices
from trimtab.ledger.teller import Teller
from trimtab.store import Writer


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
        now = self._clock.now()
        if meters and not self._teller.slices.take(meters, worst, now):
            await self._take_slowly(meters, worst)
        hold = Hold(
            id=id, call=call, at=now, tenant=who.tenant, run=who.run, user=who.user, workflow=who.workflow,
            step=who.step, key=who.key, endpoint=endpoint, model=model, nanodollars=worst,
            charges=tuple([Charge(meter.id, worst) for meter in meters]),
        )  # fmt: skip
        slices = self._teller.slices
        try:
            self._writer.append(hold)
            await self._durable()
        except OSError as error:
            slices.give(hold.charges)
            raise LedgerUnavailable(
                f"the journal cannot be written: {error}", retry_after_seconds=5
            ) from error
        self._open[hold.id] = slices
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
        """End a hold with what was really used. Durable when this returns. Idempotent by the hold's id."""
        entry = Entry(
            id=hold.id, call=hold.call, at=self._clock.now(), tenant=hold.tenant, run=hold.run, user=hold.user,
            workflow=hold.workflow, step=hold.step, key=hold.key, kind="model", endpoint=hold.endpoint,
            model=hold.model, nanodollars=nanodollars, certainty=certainty, usage=usage,
            upstream_nanodollars=upstream_nanodollars, reason=reason,
            charges=tuple([Charge(charge.meter, nanodollars) for charge in hold.charges]),
        )  # fmt: skip
        slices = self._open.pop(hold.id, None)
        if slices is None:
            return entry
        slices.give(hold.charges, nanodollars)
        self._writer.append(entry)
        await self._durable()
        return entry

    def release(self, hold: Hold, reason: str) -> None:
        """Give a hold back whole: the attempt cannot have been billed."""
        slices = self._open.pop(hold.id, None)
        if slices is not None:
            slices.give(hold.charges)
            self._writer.append(Release(hold.id, reason))

    async def charge(
        self,
        id: str,
        call: str,
        who: Attribution,
        kind: EntryKind,
        what: str,
        nanodollars: int,
        reason: str = "",
    ) -> Entry:
        """Enter a cost that happened without a hold (a tool, compute). `id` is its idempotency key."""
        now = self._clock.now()
        meters = self._book.budgets(who, now)
        for meter in meters:
            await self._teller.force(meter, nanodollars)
        entry = Entry(
            id=id, call=call, at=now, tenant=who.tenant, run=who.run, user=who.user, workflow=who.workflow,
            step=who.step, key=who.key, kind=kind, endpoint="", model=what, nanodollars=nanodollars,
            certainty="exact", reason=reason,
            charges=tuple([Charge(meter.id, nanodollars) for meter in meters]),
        )  # fmt: skip
        self._writer.append(entry)
        await self._durable()
        return entry

    async def admit_rates(self, who: Attribution, tokens: int) -> tuple[Charge, ...]:
        """Take one request and `tokens` (an estimate) from the call's rates. Raises RateLimited."""
        now = self._clock.now()
        taken: list[Charge] = []
        for meter in self._book.rates(who, now):
            amount = 1 if meter.unit == "requests" else min(tokens, meter.limit)
            if not await self._teller.take_rate(meter, amount):
                self._teller.slices.give(taken)
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
            is_requests = charge.meter.split("|", 1)[0].split("#", 1)[0].endswith("/requests")
            slices.give((charge,), charge.amount if is_requests else tokens)

    async def _take_slowly(self, meters: tuple[Meter, ...], amount: int) -> None:
        taken: list[Charge] = []
        try:
            for meter in sorted(meters, key=lambda m: m.id):
                await self._teller.take(meter, amount)
                taken.append(Charge(meter.id, amount))
        except StoreUnavailable as error:
            self._teller.slices.give(taken)
            raise LedgerUnavailable(
                f"no money can be set aside while the database is away: {error}", retry_after_seconds=2
            ) from error
        except BaseException:
            self._teller.slices.give(taken)
            raise

    async def _durable(self) -> None:
        if self._settings.durability == "disk":
            await self._writer.journal.sync()
