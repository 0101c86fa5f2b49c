"""Order and patience: who serves a call, whose turn it is, how long to wait, when an endpoint is left alone."""

from trimtab.scheduling.autoscale import PoolLoad, Scale, ScaleRules, rescale
from trimtab.scheduling.backoff import delay
from trimtab.scheduling.breaker import Breaker, BreakerRules, Event, admits, after
from trimtab.scheduling.choosers import Chooser, Eta, LeastLoaded, PrefixLoad, RoundRobin
from trimtab.scheduling.demand import Demand, Mark, Role, RunStanding
from trimtab.scheduling.eligibility import Roll, keeps_floors, meets
from trimtab.scheduling.fair import FairQueue
from trimtab.scheduling.graph import paths_behind
from trimtab.scheduling.hedge import HedgeBudget, hedge_budget
from trimtab.scheduling.latency import Latency
from trimtab.scheduling.limit import Limit, LimitRules
from trimtab.scheduling.orders import ORDERS, order, overtaking_seconds
from trimtab.scheduling.policies import CHOOSERS, NAMED, SchedulingPolicy, scheduling_policy
from trimtab.scheduling.predictors import MeanOf, RemainingService
from trimtab.scheduling.prefixes import PrefixBook
from trimtab.scheduling.residency import Move, ResidencyRules, Resident, Reuse, Wish, free_in, move
from trimtab.scheduling.speed import Speed
from trimtab.scheduling.spill import spill, worst_nanodollars
from trimtab.scheduling.standing import Standing, Terms
from trimtab.scheduling.waiting import WaitingRoom

__all__ = [
    "Breaker",
    "BreakerRules",
    "CHOOSERS",
    "Chooser",
    "Demand",
    "Eta",
    "Event",
    "FairQueue",
    "HedgeBudget",
    "Latency",
    "LeastLoaded",
    "Limit",
    "LimitRules",
    "Mark",
    "MeanOf",
    "Move",
    "NAMED",
    "ORDERS",
    "PoolLoad",
    "PrefixBook",
    "PrefixLoad",
    "RemainingService",
    "ResidencyRules",
    "Resident",
    "Reuse",
    "Role",
    "Roll",
    "RoundRobin",
    "RunStanding",
    "Scale",
    "ScaleRules",
    "SchedulingPolicy",
    "Speed",
    "Standing",
    "Terms",
    "WaitingRoom",
    "Wish",
    "admits",
    "after",
    "delay",
    "free_in",
    "hedge_budget",
    "keeps_floors",
    "meets",
    "move",
    "order",
    "overtaking_seconds",
    "paths_behind",
    "rescale",
    "scheduling_policy",
    "spill",
    "worst_nanodollars",
]
