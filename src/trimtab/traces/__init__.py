"""Traces: what happened, what it cost, and how to take it elsewhere.

Metrics and spans watch calls as they are recorded; everything else works on the store. Nothing here serves
a call.
"""

from trimtab.store import CompletionField, CostField, CostSums, RunRow, RunStatus
from trimtab.traces.chat_import import Importer, ImportReport, read_line
from trimtab.traces.chat_line import ChatLine, LineMessage
from trimtab.traces.chat_records import request_before
from trimtab.traces.costs import CompletionLine, CompletionReport, CostReport, completion_report, cost_report
from trimtab.traces.engines import EngineFigures
from trimtab.traces.export import Exporter, chat_lines
from trimtab.traces.genai import providers_of
from trimtab.traces.hosted import asked_json, brief_json, facts_json, standing_json
from trimtab.traces.lines import LineReader, write_lines
from trimtab.traces.metrics import ControllerFigures, Gauges, Metrics
from trimtab.traces.retention import Pruned, Retention, prune
from trimtab.traces.runs import completed_at, find_run, list_runs, standing_of
from trimtab.traces.spans import Spans
from trimtab.traces.tree import CallNode, RunTree, StepNode, read_tree, read_tree_with_content, tree_of
from trimtab.traces.tree_json import tree_json

__all__ = [
    "CallNode",
    "ChatLine",
    "CompletionField",
    "CompletionLine",
    "CompletionReport",
    "ControllerFigures",
    "CostField",
    "CostReport",
    "CostSums",
    "EngineFigures",
    "Exporter",
    "Gauges",
    "ImportReport",
    "Importer",
    "LineMessage",
    "LineReader",
    "Metrics",
    "Pruned",
    "Retention",
    "RunRow",
    "RunStatus",
    "RunTree",
    "Spans",
    "StepNode",
    "asked_json",
    "brief_json",
    "chat_lines",
    "completed_at",
    "completion_report",
    "cost_report",
    "facts_json",
    "find_run",
    "list_runs",
    "providers_of",
    "prune",
    "read_line",
    "read_tree",
    "read_tree_with_content",
    "request_before",
    "standing_json",
    "standing_of",
    "tree_json",
    "tree_of",
    "write_lines",
]
