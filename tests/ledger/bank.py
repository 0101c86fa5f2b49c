"""Processes without HTTP: a ledger, a teller, a writer and a keeper each, over one database. They can be killed."""

import asyncio
import itertools

from trimtab.budgets import BudgetBook
from trimtab.config import BudgetSettings, LedgerSettings, RateSettings, TenantSettings
from trimtab.core import Attribution, Usage
from trimtab.ledger import Keeper, Ledger, Teller
from trimtab.store import Journal, Writer, bury, processes, recover_journals

DAY_LIMIT, RUN_LIMIT = 10_000, 3_000
LEASE_SECONDS = 6.0


def who(run="run-1", tenant="acme", **more):
    return Attribution(tenant=tenant, run=run, user="ada", source="headers", **more)


def book(day=DAY_LIMIT, run=RUN_LIMIT, rates=(), tenants=()):
    """A budget a day for the tenant and one for each run, in nanodollars."""
    budgets = [BudgetSettings(scope="tenant", limit_usd=day / 1e9, window="day")]
    if run:
        budgets.append(BudgetSettings(scope="run", limit_usd=run / 1e9, window="run"))
    return BudgetBook(budgets, rates, tenants)


def rate(requests=0, tokens=0):
    return RateSettings(scope="tenant", requests_per_minute=requests, tokens_per_minute=tokens)


def tenant(name, requests=0):
    return TenantSettings(name=name, requests_per_minute=requests)


class Branch:
    """One process of the bank. `open` enters it, `crash` ends it as kill -9 does, `close` as SIGTERM does."""

    numbers = itertools.count(1)

    def __init__(self, database, root, clock, the_book=None, **settings):
        self.name = f"b{next(self.numbers):06d}"
        self.database, self.root, self.clock = database, root, clock
        self.settings = LedgerSettings(**{"lease_seconds": LEASE_SECONDS, "wait_seconds": 0.0} | settings)
        self.journal = Journal(root / self.name)
        self.writer = Writer(database, self.journal, self.name, clock, self.settings.apply_seconds)
        wait, lease = self.settings.wait_seconds, self.settings.lease_seconds
        self.teller = Teller(database, self.name, clock, wait, lease)
        self.writer.on_fenced = self.teller.forget
        self.keeper = Keeper(database, self.writer, self.teller, clock, self.settings, root)
        self.ledger = Ledger(the_book or book(), self.writer, self.teller, clock, self.settings)
        self.open_holds = {}
        self.ids = itertools.count(1)

    def open(self):
        """Take up what the dead left and enter. Raises StoreUnavailable."""
        now = self.clock.now()
        recover_journals(self.database, self.root, now)
        self.database.transact(lambda c: processes.enter(c, self.name, "host", 1, now))
        self.teller.renew(self.clock.monotonic())
        return self

    async def hold(self, worst, run="run-1", id=None):
        """Set money aside for a call of `run`."""
        caller = who(run)
        meters = self.ledger.meters(caller, self.clock.now())
        id = id or f"{self.name}-{next(self.ids)}"
        held = await self.ledger.hold(id, f"call-{id}", caller, meters, "main", "small", worst)
        self.open_holds[id] = held
        return held

    async def settle(self, id, amount, certainty="exact"):
        """The call was answered."""
        return await self.ledger.settle(self.open_holds.pop(id), amount, Usage(), certainty)

    def release(self, id):
        """The call was never sent."""
        self.ledger.release(self.open_holds.pop(id), "refused")

    async def tool(self, id, amount, run="run-1"):
        """A tool was used."""
        return await self.ledger.charge(id, "", who(run), "tool", "search", amount)

    @property
    def at_rest(self):
        """Whether memory and database must agree now."""
        doubtful = self.teller._unsure or +self.teller._asking
        return self.writer.applied == self.journal.position and not doubtful and self.teller.stands

    def wholes(self):
        """What this process thinks it has leased, by meter."""
        amounts = {m: sum(both) for m, both in self.teller.slices.totals().items()}
        return {m: amount for m, amount in amounts.items() if amount}

    def crash(self):
        self.journal.close()

    async def close(self):
        """Bring everything in, like a house that stops."""
        await self.writer.flush()
        await self.database.run(lambda c: bury(c, self.name, self.clock.now()))
        self.journal.close(remove=not self.ledger.open_holds)


def soon(runner, work):
    """Run a coroutine to its end."""
    return runner.run(work) if asyncio.iscoroutine(work) else work
