"""The database and the journal: everything that must outlive a process."""

from trimtab.store import (
    calls,
    controllers,
    costs,
    entries,
    keys,
    meters,
    processes,
    recalls,
    runs,
    tallies,
    workflow_checkpoints,
    workflow_places,
    workflow_questions,
    workflow_runs,
    workflow_workers,
    workflow_writes,
)
from trimtab.store.apply import bury
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
from trimtab.store.journal import EndRecord, Journal, RecallRecord
from trimtab.store.meters import Ask, Grant
from trimtab.store.migrate import migrate
from trimtab.store.processes import Fenced
from trimtab.store.recover import bury_silent, recover_journals
from trimtab.store.runs import Cursor, RunRow, RunStatus
from trimtab.store.selection import Selection, Standing
from trimtab.store.tallies import TallyMode, TallyRow
from trimtab.store.workflow_checkpoints import CheckpointRow
from trimtab.store.workflow_places import Limits, PlaceLimits
from trimtab.store.workflow_questions import QuestionRow
from trimtab.store.workflow_runs import Hosting, WorkflowRunRow, WorkflowState
from trimtab.store.workflow_workers import WorkerRow
from trimtab.store.workflow_writes import WriteRow
from trimtab.store.writer import Writer

__all__ = [
    "Ask",
    "CheckpointRow",
    "CompletionField",
    "CompletionSums",
    "ControllerAction",
    "ControllerState",
    "CostField",
    "CostSums",
    "Cursor",
    "Database",
    "EndRecord",
    "EventRow",
    "Fenced",
    "Grant",
    "Hosting",
    "Journal",
    "Limits",
    "PlaceLimits",
    "QuestionRow",
    "RecallRecord",
    "RunRow",
    "RunStatus",
    "Selection",
    "Standing",
    "StateRow",
    "TallyMode",
    "TallyRow",
    "WorkerRow",
    "WorkflowRunRow",
    "WorkflowState",
    "WriteRow",
    "Writer",
    "bury",
    "bury_silent",
    "calls",
    "completion_sums",
    "controllers",
    "cost_sums",
    "costs",
    "entries",
    "keys",
    "meters",
    "migrate",
    "processes",
    "recalls",
    "recover_journals",
    "runs",
    "tallies",
    "url_of",
    "workflow_checkpoints",
    "workflow_places",
    "workflow_questions",
    "workflow_runs",
    "workflow_workers",
    "workflow_writes",
]
