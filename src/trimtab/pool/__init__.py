"""The pool: endpoints, their state, and HTTP to them."""

from trimtab.pool.endpoint import Endpoint
from trimtab.pool.http import Answer, Http
from trimtab.pool.machine import MachineCost
from trimtab.pool.patience import Patience
from trimtab.pool.pool import Pool

__all__ = ["Answer", "Endpoint", "Http", "MachineCost", "Patience", "Pool"]
