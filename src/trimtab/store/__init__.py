"""The database and the journal: everything that must outlive a process."""

from trimtab.store import (
    audit,
    calls,
    controllers,
    costs,
    drawn,
    entries,
    histories,
    keys,
    meters,
    processes,
    recalls,
    run_pages,
    runs,
    sessions,
    spend,
    sums,
    tallies,
    traffic,
    workflow_assistants,
    workflow_backlog,
    workflow_checkpoints,
    workflow_claims,
    workflow_crons,
    workflow_events,
    workflow_housekeeping,
    workflow_items,
    workflow_places,
    workflow_progress,
    workflow_questions,
    workflow_runs,
    workflow_threads,
    workflow_workers,
    workflow_writes,
)
from trimtab.store.apply import bury
from trimtab.store.audit import AuditRow
from trimtab.store.calls import PromptRow
from trimtab.store.controllers import ControllerAction, ControllerState, EventRow, StateRow
from trimtab.store.costs import (
    CompletionField,
    CompletionSums,
    CostField,
    CostSums,
    completion_sums,
    cost_sums,
)
from trimtab.store.database import Database, url_of
from trimtab.store.drawn import DrawnRun
from trimtab.store.histories import FactsRow, HistoryRow, Lane, OtherRow, Place, SpentRow
from trimtab.store.journal import EndRecord, Journal, RecallRecord
from trimtab.store.keys import KeyRow
from trimtab.store.meters import Ask, Grant, MeterRow
from trimtab.store.migrate import migrate, require_head
from trimtab.store.processes import Fenced
from trimtab.store.recover import bury_silent, recover_journals
from trimtab.store.run_pages import FoundRun, RunPlace, RunQuery, RunSorting, RunTimes
from trimtab.store.runs import Cursor, RunRow, RunStatus
from trimtab.store.selection import Selection, Standing
from trimtab.store.sessions import SessionRow
from trimtab.store.spend import SpendField, SpendSelection, SpendSums
from trimtab.store.statements import Statements
from trimtab.store.tallies import TallyMode, TallyRow
from trimtab.store.traffic import BOUNDS, MinuteSums
from trimtab.store.workflow_assistants import AssistantRow
from trimtab.store.workflow_backlog import BacklogRows, WaitingRow
from trimtab.store.workflow_checkpoints import CheckpointMark, CheckpointRow
from trimtab.store.workflow_claims import Hosting
from trimtab.store.workflow_crons import CronQuery, CronRow
from trimtab.store.workflow_events import Event
from trimtab.store.workflow_items import ItemRow
from trimtab.store.workflow_places import Limits, PlaceLimits
from trimtab.store.workflow_progress import Progress
from trimtab.store.workflow_questions import AskedRow, DuePlace, QuestionPlace, QuestionQuery, QuestionRow
from trimtab.store.workflow_runs import WorkflowRunRow, WorkflowState
from trimtab.store.workflow_threads import FoundThread, ThreadQuery, ThreadRow, ThreadStatus, key_of
from trimtab.store.workflow_workers import WorkerRow
from trimtab.store.workflow_writes import WriteRow
from trimtab.store.writer import Writer

__all__ = [
    "Ask",
    "AskedRow",
    "AssistantRow",
    "AuditRow",
    "BOUNDS",
    "BacklogRows",
    "CheckpointMark",
    "CheckpointRow",
    "CompletionField",
    "CompletionSums",
    "ControllerAction",
    "ControllerState",
    "CostField",
    "CostSums",
    "CronQuery",
    "CronRow",
    "Cursor",
    "Database",
    "DrawnRun",
    "DuePlace",
    "EndRecord",
    "Event",
    "EventRow",
    "FactsRow",
    "Fenced",
    "FoundRun",
    "FoundThread",
    "Grant",
    "HistoryRow",
    "Hosting",
    "ItemRow",
    "Journal",
    "KeyRow",
    "Lane",
    "Limits",
    "MeterRow",
    "MinuteSums",
    "OtherRow",
    "Place",
    "PlaceLimits",
    "Progress",
    "PromptRow",
    "QuestionPlace",
    "QuestionQuery",
    "QuestionRow",
    "RecallRecord",
    "RunPlace",
    "RunQuery",
    "RunRow",
    "RunSorting",
    "RunStatus",
    "RunTimes",
    "Selection",
    "SessionRow",
    "SpendField",
    "SpendSelection",
    "SpendSums",
    "SpentRow",
    "Standing",
    "StateRow",
    "Statements",
    "TallyMode",
    "TallyRow",
    "ThreadQuery",
    "ThreadRow",
    "ThreadStatus",
    "WaitingRow",
    "WorkerRow",
    "WorkflowRunRow",
    "WorkflowState",
    "WriteRow",
    "Writer",
    "audit",
    "bury",
    "bury_silent",
    "calls",
    "completion_sums",
    "controllers",
    "cost_sums",
    "costs",
    "drawn",
    "entries",
    "histories",
    "key_of",
    "keys",
    "meters",
    "migrate",
    "processes",
    "recalls",
    "recover_journals",
    "require_head",
    "run_pages",
    "runs",
    "sessions",
    "spend",
    "sums",
    "tallies",
    "traffic",
    "url_of",
    "workflow_assistants",
    "workflow_backlog",
    "workflow_checkpoints",
    "workflow_claims",
    "workflow_crons",
    "workflow_events",
    "workflow_housekeeping",
    "workflow_items",
    "workflow_places",
    "workflow_progress",
    "workflow_questions",
    "workflow_runs",
    "workflow_threads",
    "workflow_workers",
    "workflow_writes",
]
