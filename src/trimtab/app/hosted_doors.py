"""The doors and the background work that come with a host of workflows."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING

from trimtab.config import TenantSettings
from trimtab.core import IdSource

if TYPE_CHECKING:
    from trimtab.app.house import House
    from trimtab.config import Settings
    from trimtab.workflows import AllowanceOf, Host, HostedGraph, TenantStore

Work = Coroutine[object, object, None]


def open_hosted_doors(
    house: "House",
    settings: "Settings",
    host: "Host",
    graphs: "Mapping[str, HostedGraph]",
    store_of: "Callable[[str], TenantStore]",
) -> list[Work]:
    """Put the doors in their places; the tasks that go with them."""
    from trimtab.app.acts import HostedActs
    from trimtab.reception import (
        Desk,
        ForkDoor,
        HostedRunDoor,
        Signal,
        assistant_routes,
        cron_routes,
        described,
        fork_routes,
        hosted_run_routes,
        inbox_routes,
        item_routes,
        signal_routes,
        thread_routes,
    )
    from trimtab.workflows import Assistants, BacklogReader, Crons, Forks, Inbox, Threads

    database, clock = house.database, house.clock
    desk = Desk(house.keyring, settings.server.max_body_bytes)
    allowance_of = _allowances(settings.tenant)
    threads, assistants = (
        Threads(database, graphs, clock, allowance_of),
        Assistants(database, graphs, clock),
    )
    crons = Crons(database, assistants, clock, IdSource(), host.start, allowance_of)
    inbox = Inbox(database)
    signal = Signal(BacklogReader(database, settings.hosting, graphs, clock), lambda: inbox.escalated)
    forks = Forks(host, graphs, database)
    house.acts = HostedActs(database, inbox, host, forks)
    runs = HostedRunDoor(host, threads, assistants, database, clock)
    # Routes of crons stand before those of runs: their paths begin alike.
    routes = [
        *assistant_routes(desk, assistants, threads.delete_of),
        *cron_routes(desk, crons),
        *fork_routes(desk, ForkDoor(forks, host, database)),
        *item_routes(desk, store_of, allowance_of),
        *inbox_routes(desk, inbox),
        *signal_routes(desk, signal),
        *hosted_run_routes(desk, runs),
        *thread_routes(desk, threads),
    ]
    house.gateway.add(routes, described(routes))
    house.gateway.measure(signal.metrics)
    return [crons.run(), inbox.run()]


def _allowances(tenants: Sequence[TenantSettings]) -> "AllowanceOf":
    """What each tenant may keep."""
    from trimtab.workflows import Allowance

    told = {
        tenant.name: Allowance(tenant.max_threads, tenant.max_crons, tenant.max_items)
        for tenant in (TenantSettings(name="*"), *tenants)
    }
    return lambda tenant: told.get(tenant, told["*"])
