"""Hosts LangGraph graphs durably: runs that outlive their process, their model calls through `dispatch`."""

from trimtab.workflows.allowance import Allowance, AllowanceOf, Room
from trimtab.workflows.assistants import (
    Assistant,
    AssistantQuery,
    Assistants,
    Changes,
    default_id,
    terms_of,
)
from trimtab.workflows.backlog import Backlog, BacklogReader
from trimtab.workflows.commands import cancel_run, move_run, retry_run
from trimtab.workflows.crons import CronChanges, CronOwner, CronPayload, CronPlan, Crons
from trimtab.workflows.door import CallDoor
from trimtab.workflows.forks import Forks, ForkTerms
from trimtab.workflows.graphs import HostedGraph, load_graph
from trimtab.workflows.host import Host
from trimtab.workflows.housekeeping import Housekeeping
from trimtab.workflows.inbox import Inbox, Verb
from trimtab.workflows.items import TenantStore
from trimtab.workflows.likeness import Embed
from trimtab.workflows.order import CommandTerms, Multitask, Order, RunConfig, RunTerms, RunWishes, StreamMode
from trimtab.workflows.place import idempotency_key
from trimtab.workflows.points import Point, points_of
from trimtab.workflows.schemas import GraphSchemas
from trimtab.workflows.threads import Changed, Threads, thread_name
from trimtab.workflows.transports import in_process
from trimtab.workflows.unsure import UnsureSteps
from trimtab.workflows.values import facts_text, failure_of, json_of

__all__ = [
    "Allowance",
    "AllowanceOf",
    "Assistant",
    "AssistantQuery",
    "Assistants",
    "Backlog",
    "BacklogReader",
    "CallDoor",
    "Changed",
    "Changes",
    "CommandTerms",
    "CronChanges",
    "CronOwner",
    "CronPayload",
    "CronPlan",
    "Crons",
    "Embed",
    "ForkTerms",
    "Forks",
    "GraphSchemas",
    "Host",
    "HostedGraph",
    "Housekeeping",
    "Inbox",
    "Multitask",
    "Order",
    "Point",
    "Room",
    "RunConfig",
    "RunTerms",
    "RunWishes",
    "StreamMode",
    "TenantStore",
    "Threads",
    "UnsureSteps",
    "Verb",
    "cancel_run",
    "default_id",
    "facts_text",
    "failure_of",
    "idempotency_key",
    "in_process",
    "json_of",
    "load_graph",
    "move_run",
    "points_of",
    "retry_run",
    "terms_of",
    "thread_name",
]
