"""The doors to hosted workflows: the LangGraph SDKs' API, the inbox, forks, the signal. Imported only where a graph is
hosted."""

from trimtab.reception.assistants import assistant_routes
from trimtab.reception.crons import cron_routes
from trimtab.reception.description import described
from trimtab.reception.desk import Desk
from trimtab.reception.forks import ForkDoor, fork_routes
from trimtab.reception.inbox import inbox_routes
from trimtab.reception.items import item_routes
from trimtab.reception.runs import HostedRunDoor, hosted_run_routes
from trimtab.reception.signal import Signal, signal_routes
from trimtab.reception.threads import thread_routes

__all__ = [
    "Desk",
    "ForkDoor",
    "HostedRunDoor",
    "Signal",
    "assistant_routes",
    "cron_routes",
    "described",
    "fork_routes",
    "hosted_run_routes",
    "inbox_routes",
    "item_routes",
    "signal_routes",
    "thread_routes",
]
