"""The gateway: HTTP doors to the hallway."""

from trimtab.gateway.house import HouseDoor
from trimtab.gateway.routes import Gateway, build_gateway
from trimtab.gateway.runs import RunDoor

__all__ = ["Gateway", "HouseDoor", "RunDoor", "build_gateway"]
