"""The pool: endpoints, their state, and HTTP to them."""

from trimtab.pool.endpoint import Endpoint
from trimtab.pool.http import Answer, Http
from trimtab.pool.machine import MachineCost
from trimtab.pool.patience import Patience
from trimtab.pool.pool import Pool
from trimtab.pool.replicas import Replicas
from trimtab.pool.scheduler import Ask, Scheduler
from trimtab.pool.seat import Seat
from trimtab.pool.terms import OfferTerms

__all__ = [
    "Answer",
    "Ask",
    "Endpoint",
    "Http",
    "MachineCost",
    "OfferTerms",
    "Patience",
    "Pool",
    "Replicas",
    "Scheduler",
    "Seat",
]
