"""Hosts the workflows that have a graph, in a house that stands; LangGraph is imported only then."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from trimtab.app.hosted_doors import open_hosted_doors
from trimtab.app.store_encoder import store_encoder
from trimtab.config import Loaded, Settings, TenantSettings
from trimtab.core import Attribution, IdSource, nanodollars_of
from trimtab.core.errors import ConfigError
from trimtab.gateway import CALL_PATHS, error_reply
from trimtab.ledger import Ledger
from trimtab.store import Limits, PlaceLimits

if TYPE_CHECKING:
    from trimtab.app.house import House
    from trimtab.workflows import Host, HostedGraph, TenantStore


@asynccontextmanager
async def hosting(house: "House", loaded: Loaded) -> AsyncIterator["Host | None"]:
    """The host of the settings' graphs; None where no workflow has one. Raises ConfigError, StoreUnavailable."""
    if not any(workflow.graph for workflow in loaded.settings.workflow.values()):
        yield None
        return
    try:
        from trimtab.workflows import CallDoor, Housekeeping, TenantStore, UnsureSteps, in_process
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"`graph` of a workflow needs {error.name}: pip install 'trimtab[workflows]'", key="workflow"
        ) from error
    asking = [name for name, workflow in loaded.settings.workflow.items() if workflow.unsure == "ask"]
    unsure = UnsureSteps(house.database, asking)
    door = CallDoor(house.dispatch, house.clock, CALL_PATHS, error_reply, unsure)
    async with store_encoder(loaded) as embed:
        with in_process(door, asyncio.get_running_loop()):
            store_of = partial(TenantStore, house.database, embed=embed)
            settings, graphs = loaded.settings, load_graphs(loaded)
            host = _host(house, settings, graphs, store_of)
            await host.open()
            keeper = Housekeeping(settings.hosting, house.database, house.process, house.clock)
            doors = open_hosted_doors(house, settings, host, graphs, store_of)
            driving, *others = [asyncio.create_task(work) for work in (host.run(), keeper.run(), *doors)]
            try:
                yield host
            finally:
                for task in others:
                    task.cancel()
                await host.drain(settings.server.drain_seconds)
                await host.close()
                driving.cancel()
                await asyncio.gather(driving, *others, return_exceptions=True)


def _host(
    house: "House",
    settings: Settings,
    graphs: "Mapping[str, HostedGraph]",
    store_of: "Callable[[str], TenantStore]",
) -> "Host":
    from trimtab.workflows import Host

    needs = {name: nanodollars_of(workflow.needs_usd) for name, workflow in settings.workflow.items()}
    return Host(
        settings.hosting,
        limits_of(settings),
        graphs,
        house.database,
        house.process,
        house.clock,
        IdSource(),
        store_of,
        partial(_require, house.ledger, needs),
    )


async def _require(ledger: Ledger, needs: Mapping[str, int], who: Attribution) -> None:
    """Raises BudgetExceeded, LedgerUnavailable."""
    if least := needs.get(who.workflow, 0):
        await ledger.require(who, least)


def limits_of(settings: Settings) -> Limits:
    """What each tenant may have at once."""
    told = {tenant.name: _places(tenant) for tenant in settings.tenant}
    return Limits(told.pop("*", _places(TenantSettings(name="*"))), told)


def _places(tenant: TenantSettings) -> PlaceLimits:
    return PlaceLimits(
        tenant.max_runs, tenant.max_queued_runs, tenant.weight, tenant.runs_per_minute, tenant.partition
    )


def load_graphs(loaded: Loaded) -> "dict[str, HostedGraph]":
    """The graphs by workflow. Raises ConfigError that names the line in the file."""
    from trimtab.workflows import load_graph

    graphs = {}
    for name, workflow in loaded.settings.workflow.items():
        if workflow.graph:
            try:
                graphs[name] = load_graph(
                    name, workflow.graph, workflow.version, asks=workflow.unsure == "ask"
                )
            except ConfigError as error:
                raise loaded.source.error(("workflow", name, "graph"), error.message) from error
    return graphs
