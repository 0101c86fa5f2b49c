"""The hallway every call walks, whatever door it came through."""

from trimtab.dispatch.attempt import Desk
from trimtab.dispatch.attribution import bounded
from trimtab.dispatch.hallway import Dispatch, Rooms
from trimtab.dispatch.inbound import NO_HINTS, Hints, Inbound, PlainReply, Reply, StreamReply
from trimtab.dispatch.journey import Journey
from trimtab.dispatch.policies import Router
from trimtab.dispatch.recording import Recording
from trimtab.dispatch.tools import ToolPrices

__all__ = [
    "NO_HINTS",
    "Desk",
    "Dispatch",
    "Hints",
    "Inbound",
    "Journey",
    "PlainReply",
    "Recording",
    "Reply",
    "Rooms",
    "Router",
    "StreamReply",
    "ToolPrices",
    "bounded",
]
