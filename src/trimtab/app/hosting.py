"""Hosts the workflows that have a graph, in a house that stands; LangGraph and DBOS are imported only then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from trimtab.app.store import data_folder
from trimtab.config import Loaded, Settings, TenantSettings
from trimtab.core import IdSource
from trimtab.core.errors import ConfigError
from trimtab.gateway import CALL_PATHS, error_reply
from trimtab.store import Limits, PlaceLimits

if TYPE_CHECKING:
    from trimtab.app.house import House
    from trimtab.workflows import Host, HostedGraph


@asynccontextmanager
async def hosting(house: "House", loaded: Loaded) -> AsyncIterator["Host | None"]:
    """The host of the settings' graphs; None where no workflow has one. Raises ConfigError, StoreUnavailable."""
    if not any(workflow.graph for workflow in loaded.settings.workflow.values()):
        yield None
        return
    try:
        from trimtab.workflows import CallDoor, in_process
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"`graph` of a workflow needs {error.name}: pip install 'trimtab[workflows]'", key="workflow"
        ) from error
    door = CallDoor(house.dispatch, house.clock, CALL_PATHS, error_reply)
    with in_process(door, asyncio.get_running_loop()):
        host = _host(house, loaded)
        await host.open()
        running = asyncio.create_task(host.run())
        try:
            yield host
        finally:
            await host.drain(loaded.settings.server.drain_seconds)
            await host.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _host(house: "House", loaded: Loaded) -> "Host":
    from trimtab.workflows import Engine, Host

    settings, database = loaded.settings, house.database
    engine = Engine(database.url, data_folder(settings), house.process)
    graphs = load_graphs(loaded)
    return Host(
        settings.hosting,
        limits_of(settings),
        graphs,
        database,
        engine,
        house.process,
        house.clock,
        IdSource(),
    )


def limits_of(settings: Settings) -> Limits:
    """What each tenant may have at once."""
    told = {
        tenant.name: PlaceLimits(tenant.max_runs, tenant.max_queued_runs, tenant.weight)
        for tenant in settings.tenant
    }
    others = TenantSettings(name="*")
    default = PlaceLimits(others.max_runs, others.max_queued_runs, others.weight)
    return Limits(told.pop("*", default), told)


def load_graphs(loaded: Loaded) -> "dict[str, HostedGraph]":
    """The graphs by workflow. Raises ConfigError that names the line in the file."""
    from trimtab.workflows import load_graph

    graphs = {}
    for name, workflow in loaded.settings.workflow.items():
        if workflow.graph:
            try:
                graphs[name] = load_graph(name, workflow.graph, workflow.version)
            except ConfigError as error:
                raise loaded.source.error(("workflow", name, "graph"), error.message) from error
    return graphs
