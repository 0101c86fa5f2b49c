"""Traces: what happened, what it cost, and how to take it elsewhere.

Metrics and spans watch calls as they are recorded; everything else works on the store. Nothing here serves
a call.
"""

from trimtab.store import CompletionField, CostField, CostSums, RunRow, RunStatus
from trimtab.traces.chat_import import Importer, ImportReport
from trimtab.traces.chat_line import ChatLine
from trimtab.traces.costs import CompletionLine, CompletionReport, CostReport, completion_report, cost_report
from trimtab.traces.export import Exporter, chat_lines
from trimtab.traces.genai import providers_of
from trimtab.traces.lines import write_lines
from trimtab.traces.metrics import Gauges, Metrics
from trimtab.traces.retention import Pruned, Retention, prune
from trimtab.traces.runs import completed_at, find_run, list_runs, standing_of
from trimtab.traces.spans import Spans
from trimtab.traces.tree import CallNode, RunTree, StepNode, read_tree, read_tree_with_content

__all__ = [
    "CallNode",
    "ChatLine",
    "CompletionField",
    "CompletionLine",
    "CompletionReport",
    "CostField",
    "CostReport",
    "CostSums",
    "Exporter",
    "Gauges",
    "ImportReport",
    "Importer",
    "Metrics",
    "Pruned",
    "Retention",
    "RunRow",
    "RunStatus",
    "RunTree",
    "Spans",
    "StepNode",
    "chat_lines",
    "completed_at",
    "completion_report",
    "cost_report",
    "find_run",
    "list_runs",
    "providers_of",
    "prune",
    "read_tree",
    "read_tree_with_content",
    "standing_of",
    "write_lines",
]
