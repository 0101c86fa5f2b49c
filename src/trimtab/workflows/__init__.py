"""Hosts LangGraph graphs durably: runs that outlive their process, their model calls through `dispatch`."""

from trimtab.workflows.batch import Batch, LostRun
from trimtab.workflows.door import CallDoor
from trimtab.workflows.engine import Engine
from trimtab.workflows.graphs import HostedGraph, load_graph
from trimtab.workflows.host import Host, Order
from trimtab.workflows.inbox import Inbox
from trimtab.workflows.inprocess import HOST, in_process
from trimtab.workflows.place import idempotency_key
from trimtab.workflows.saver import RunSaver

__all__ = [
    "HOST",
    "Batch",
    "CallDoor",
    "Engine",
    "Host",
    "HostedGraph",
    "Inbox",
    "LostRun",
    "Order",
    "RunSaver",
    "idempotency_key",
    "in_process",
    "load_graph",
]
