"""Doors to hosted workflows: the LangGraph SDKs' API, the inbox, runs as trees. Imported only where
a graph is hosted."""

from trimtab.gateway.hosted.assistants import assistant_routes
from trimtab.gateway.hosted.crons import cron_routes
from trimtab.gateway.hosted.desk import Asked, Desk, done, said
from trimtab.gateway.hosted.forks import ForkDoor, fork_routes
from trimtab.gateway.hosted.inbox import inbox_routes
from trimtab.gateway.hosted.items import item_routes
from trimtab.gateway.hosted.runs import HostedRunDoor, hosted_run_routes
from trimtab.gateway.hosted.signal import Signal, signal_routes
from trimtab.gateway.hosted.threads import thread_routes

__all__ = [
    "Asked",
    "Desk",
    "ForkDoor",
    "HostedRunDoor",
    "Signal",
    "assistant_routes",
    "cron_routes",
    "done",
    "fork_routes",
    "hosted_run_routes",
    "inbox_routes",
    "item_routes",
    "said",
    "signal_routes",
    "thread_routes",
]
