"""Traces: what happened, what it cost, and how to take it elsewhere."""

from trimtab.store.costs import CostField
from trimtab.traces.costs import CompletionReport, CostReport, completion_report, cost_report

__all__ = ["CompletionReport", "CostField", "CostReport", "completion_report", "cost_report"]
