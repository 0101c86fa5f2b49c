"""The gateway: HTTP doors to the hallway."""

from trimtab.gateway.routes import Gateway, build_gateway
from trimtab.gateway.runs import HouseDoor, RunDoor

__all__ = ["Gateway", "HouseDoor", "RunDoor", "build_gateway"]
