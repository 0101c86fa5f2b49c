"""Hosts LangGraph graphs durably: runs that outlive their process, their model calls through `dispatch`."""

from trimtab.workflows.assistants import (
    Assistant,
    AssistantQuery,
    Assistants,
    Changes,
    default_id,
    terms_with,
)
from trimtab.workflows.backlog import Backlog, BacklogReader
from trimtab.workflows.batch import Batch, LostRun
from trimtab.workflows.commands import cancel_run, move_run, retry_run
from trimtab.workflows.crons import CronChanges, CronOwner, CronPayload, CronPlan, Crons
from trimtab.workflows.door import CallDoor
from trimtab.workflows.engine import Engine
from trimtab.workflows.forks import Forks, ForkTerms
from trimtab.workflows.graphs import HostedGraph, load_graph
from trimtab.workflows.host import Host
from trimtab.workflows.housekeeping import Housekeeping
from trimtab.workflows.inbox import Inbox
from trimtab.workflows.inprocess import HOST, in_process
from trimtab.workflows.items import TenantStore, sweep_items
from trimtab.workflows.order import CommandTerms, Multitask, Order, RunTerms, StreamMode
from trimtab.workflows.place import idempotency_key
from trimtab.workflows.points import Point, points_of
from trimtab.workflows.saver import RunSaver, StateSaver, ThreadSaver
from trimtab.workflows.schemas import GraphSchemas
from trimtab.workflows.threads import Changed, Threads, json_text
from trimtab.workflows.unsure import UnsureSteps
from trimtab.workflows.values import json_of

__all__ = [
    "HOST",
    "Assistant",
    "AssistantQuery",
    "Assistants",
    "Backlog",
    "BacklogReader",
    "Batch",
    "CallDoor",
    "Changed",
    "Changes",
    "CommandTerms",
    "CronChanges",
    "CronOwner",
    "CronPayload",
    "CronPlan",
    "Crons",
    "Engine",
    "ForkTerms",
    "Forks",
    "GraphSchemas",
    "Host",
    "HostedGraph",
    "Housekeeping",
    "Inbox",
    "LostRun",
    "Multitask",
    "Order",
    "Point",
    "RunSaver",
    "RunTerms",
    "StateSaver",
    "StreamMode",
    "TenantStore",
    "ThreadSaver",
    "Threads",
    "UnsureSteps",
    "cancel_run",
    "default_id",
    "idempotency_key",
    "in_process",
    "json_of",
    "json_text",
    "load_graph",
    "move_run",
    "points_of",
    "retry_run",
    "sweep_items",
    "terms_with",
]
