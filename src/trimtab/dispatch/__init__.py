"""The hallway every call walks, whatever door it came through."""

from trimtab.dispatch.asking import read_asking
from trimtab.dispatch.attribution import bounded
from trimtab.dispatch.decide import Decider, question_of
from trimtab.dispatch.hallway import Dispatch, Rooms
from trimtab.dispatch.inbound import NO_HINTS, Hints, Inbound, PlainReply, Reply, StreamReply
from trimtab.dispatch.journey import Journey
from trimtab.dispatch.onlooking import Onlooker
from trimtab.dispatch.placing import Placing
from trimtab.dispatch.recording import Recording
from trimtab.dispatch.router import Router
from trimtab.dispatch.settlement import Desk
from trimtab.dispatch.tools import ToolPrices

__all__ = [
    "NO_HINTS",
    "Decider",
    "Desk",
    "Dispatch",
    "Hints",
    "Inbound",
    "Journey",
    "Onlooker",
    "Placing",
    "PlainReply",
    "Recording",
    "Reply",
    "Rooms",
    "Router",
    "StreamReply",
    "ToolPrices",
    "bounded",
    "question_of",
    "read_asking",
]
