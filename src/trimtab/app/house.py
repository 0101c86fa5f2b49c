"""Builds the house: settings in, a wired gateway out. The only place where rooms meet."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from trimtab.app.console import LazyConsole
from trimtab.app.hosting import hosting
from trimtab.app.policies import check_rules, policies_of, verifier_functions
from trimtab.app.seating import silence_of
from trimtab.app.store import controller_folder, database_for, journal_root
from trimtab.app.verifying import verify_controllers
from trimtab.app.watchers import build_watchers
from trimtab.budgets import BudgetBook
from trimtab.config import Loaded, Settings, prices_of, secrets_of
from trimtab.controllers import Registry, Roster
from trimtab.core import Clock, IdSource, SystemClock, nanodollars_of
from trimtab.core.errors import ConfigError, StoreUnavailable
from trimtab.dispatch import (
    Decider,
    Desk,
    Dispatch,
    Journey,
    Onlooker,
    Placing,
    Recording,
    Rooms,
    Router,
    ToolPrices,
)
from trimtab.gateway import Gateway, HouseDoor, RunDoor, TreeDoor, build_gateway
from trimtab.ledger import Keeper, Ledger, Teller
from trimtab.pool import Http, Pool, Scheduler
from trimtab.pool.engines import Engines
from trimtab.recall import ExactRecall
from trimtab.routing import Verifiers
from trimtab.store import Database, Journal, Writer, bury, migrate, processes, recover_journals
from trimtab.tenants import Keyring
from trimtab.traces import Retention, standing_of

if TYPE_CHECKING:
    from trimtab.console import Acts
    from trimtab.workflows import Host

_LAST_TRY_SECONDS = 3.0


class House:
    """A whole process. Made by `open_house`; `gateway` is its ASGI application."""

    def __init__(self, loaded: Loaded, database: Database, clock: Clock) -> None:
        settings = self.settings = loaded.settings
        check_rules(loaded)
        self.database, self.clock = database, clock
        ids = IdSource()
        self.process = ids.new(clock.now())
        self.root = journal_root(settings)
        self.journal = Journal(self.root / self.process)
        self.writer = Writer(database, self.journal, self.process, clock, settings.ledger.apply_seconds)
        self.teller = Teller(
            database, self.process, clock, settings.ledger.wait_seconds, settings.ledger.lease_seconds
        )
        self.writer.on_fenced = self.teller.forget
        self.keeper = Keeper(database, self.writer, self.teller, clock, settings.ledger, self.root)
        self.keyring = Keyring(database, clock)
        book = BudgetBook(settings.budget, settings.rate, settings.tenant, self.keyring.limit_of)
        self.ledger = Ledger(book, self.writer, self.teller, clock, settings.ledger)
        self.http = Http()
        self._retention = Retention(database, clock, settings.traces.retention_days)
        self.pool = Pool(
            settings, secrets_of(settings, os.environ, loaded.source), prices_of(settings), clock
        )
        self.engines = Engines(self.pool.endpoints, clock, random.random)
        self.pool.among = self.engines.residence.among
        self.scheduler = _scheduler(loaded, self.pool, clock)
        registry = Registry(controller_folder(settings))
        self.roster = Roster(registry, database, silence=partial(silence_of, settings))
        self.onlooker = Onlooker(settings, self.roster)
        self.watchers = build_watchers(
            settings,
            self.pool,
            self.scheduler,
            clock,
            self.engines,
            self.ledger,
            self.writer,
            self.roster,
        )
        self.dispatch = self._dispatch(settings, ids)
        runs = RunDoor(self.keyring, self.ledger, self.writer, database, clock)
        house = HouseDoor(self.keyring, self.pool, self.watchers.metrics.render, self._not_ready)
        trees = TreeDoor(self.keyring, self.writer, database, lambda: standing_of(settings, clock.now()))
        self.gateway: Gateway = build_gateway(
            self.dispatch, runs, trees, house, settings.server.max_body_bytes
        )
        self.draining = False
        self.workflows: Host | None = None
        self.acts: Acts | None = None
        self.console = LazyConsole(self, loaded)
        self.gateway.add(self.console.routes(), {})

    def _dispatch(self, settings: Settings, ids: IdSource) -> Dispatch:
        clock = self.clock
        desk = Desk(self.ledger, self.http, clock, ids)
        verifiers = Verifiers(verifier_functions(settings) | verify_controllers(settings, self.roster))
        placing = Placing(desk, self.pool, self.scheduler, settings.workflow)
        journey = Journey(desk, self.pool, placing, verifiers, settings.hedging.share, random.random)
        tools = {tool.name: nanodollars_of(tool.price_usd) for tool in settings.tool}
        rooms = Rooms(
            keyring=self.keyring,
            pool=self.pool,
            router=Router(settings, self.pool, policies_of(settings)),
            journey=journey,
            ledger=self.ledger,
            recall=ExactRecall(self.database, self.writer, clock),
            tools=ToolPrices(tools, self.ledger) if tools else None,
            recording=Recording(self.writer, self.ledger, clock, self.watchers.all),
            decider=Decider(settings, self.roster, verifiers),
            onlooker=self.onlooker,
        )
        return Dispatch(settings, rooms, clock, ids)

    def host(self) -> "Host":
        """The host of workflows. Raises ConfigError where no workflow has a graph."""
        if self.workflows is None:
            raise ConfigError(
                'no workflow is hosted; give one a `graph = "package.module:graph"`', key="workflow"
            )
        return self.workflows

    def _not_ready(self) -> str:
        """Why calls cannot be served; '' when they can."""
        if self.draining:
            return "the process is shutting down"
        return ""

    async def start(self) -> None:
        """Bring the store up to date and take our place in it. Raises StoreUnavailable."""
        now, host, pid = self.clock.now(), socket.gethostname(), os.getpid()
        await asyncio.to_thread(migrate, self.database)
        await asyncio.to_thread(recover_journals, self.database, self.root, now)
        heard_at = self.clock.monotonic()
        await self.database.run(lambda c: processes.enter(c, self.process, host, pid, now))
        self.teller.renew(heard_at)
        await self.keyring.load()
        await self.roster.load()
        await self.http.start()

    def tasks(self) -> list[Coroutine[object, object, None]]:
        """The house's background work, each to run as long as the house stands."""
        return [
            self.writer.run(),
            self.keeper.run(),
            self.keyring.run(),
            self._share_out(),
            self._retention.run(),
            self.roster.run(),
            self.onlooker.run(),
            self.engines.run(),
        ]

    async def _share_out(self) -> None:
        """Divide endpoints' concurrency among the processes that live."""
        sharers = 1
        while True:
            await asyncio.sleep(0.5)
            if self.teller.sharers != sharers:
                sharers = self.teller.sharers
                for endpoint in self.pool.endpoints.values():
                    endpoint.share_out(sharers)
                if self.scheduler is not None:
                    self.scheduler.share_out()

    async def stop(self) -> None:
        """Bring everything in, give back what is leased, leave nothing open."""
        self.console.close()
        await self.http.close()
        await self.engines.close()
        await asyncio.to_thread(self.watchers.close)
        await self.roster.close()
        clean = await self._bring_in()
        self.journal.close(remove=clean)
        await asyncio.to_thread(self.database.close)

    async def _bring_in(self) -> bool:
        """True when the journal holds nothing the database lacks."""
        try:
            async with asyncio.timeout(None if self.writer.available else _LAST_TRY_SECONDS):
                await self.writer.flush()
            if self.ledger.open_holds:
                return False
            await self.database.run(lambda c: bury(c, self.process, self.clock.now()))
        except (StoreUnavailable, TimeoutError):
            return False
        return True


@asynccontextmanager
async def open_house(loaded: Loaded, clock: Clock | None = None) -> AsyncIterator[House]:
    """A running house. Raises ConfigError, StoreUnavailable."""
    house = House(loaded, database_for(loaded), clock or SystemClock())
    await house.start()
    tasks = [asyncio.ensure_future(work) for work in house.tasks()]
    try:
        async with hosting(house, loaded) as house.workflows:
            yield house
    finally:
        house.writer.stop()
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await house.stop()


def _scheduler(loaded: Loaded, pool: Pool, clock: Clock) -> Scheduler | None:
    """Raises ConfigError that names the line in the file."""
    settings = loaded.settings.scheduling
    if not settings.policy:
        return None
    try:
        return Scheduler(settings, pool, clock)
    except ConfigError as error:
        raise loaded.source.error(("scheduling", "policy"), error.message) from error
