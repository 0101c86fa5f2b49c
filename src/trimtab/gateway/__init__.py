"""The gateway: HTTP doors to the hallway."""

from trimtab.gateway.errors import error_reply
from trimtab.gateway.house import HouseDoor
from trimtab.gateway.routes import CALL_PATHS, Gateway, build_gateway
from trimtab.gateway.runs import RunDoor
from trimtab.gateway.trees import TreeDoor

__all__ = ["CALL_PATHS", "Gateway", "HouseDoor", "RunDoor", "TreeDoor", "build_gateway", "error_reply"]
