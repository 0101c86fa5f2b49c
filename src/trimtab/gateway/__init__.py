"""The gateway: HTTP doors to the hallway; what other doors need to stand beside them."""

from trimtab.gateway.asgi import Gone, read_body, send_bytes
from trimtab.gateway.calls import fault_of, is_loopback
from trimtab.gateway.errors import error_reply, status_of
from trimtab.gateway.hints import hints_of
from trimtab.gateway.house import HouseDoor
from trimtab.gateway.query import is_yes, limit_of, whole_of
from trimtab.gateway.routes import CALL_PATHS, Gateway, build_gateway
from trimtab.gateway.runs import RunDoor
from trimtab.gateway.trees import TreeDoor

__all__ = [
    "CALL_PATHS",
    "Gateway",
    "Gone",
    "HouseDoor",
    "RunDoor",
    "TreeDoor",
    "build_gateway",
    "error_reply",
    "fault_of",
    "hints_of",
    "is_loopback",
    "is_yes",
    "limit_of",
    "read_body",
    "send_bytes",
    "status_of",
    "whole_of",
]
