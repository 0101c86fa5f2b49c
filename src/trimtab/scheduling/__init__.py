"""Order and patience: whose turn it is, when an endpoint is left alone, how long to wait."""

from trimtab.scheduling.backoff import delay
from trimtab.scheduling.breaker import Breaker, BreakerRules, Event, admits, after
from trimtab.scheduling.fair import FairQueue
from trimtab.scheduling.hedge import HedgeBudget, hedge_budget
from trimtab.scheduling.latency import Latency

__all__ = [
    "Breaker",
    "BreakerRules",
    "Event",
    "FairQueue",
    "HedgeBudget",
    "Latency",
    "admits",
    "after",
    "delay",
    "hedge_budget",
]
