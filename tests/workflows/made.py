"""Rows of runs and questions, laid without a host."""

from sqlalchemy import insert

from trimtab.store import QuestionRow, workflow_questions, workflow_workers
from trimtab.store.workflow_schema import run as table


def lay_run(connection, id, tenant="acme", workflow="work", state="waiting", **more):
    """A run as it stands after `state` was written."""
    now = workflow_workers.time_now(connection)
    texts = ("user", "key", "version", "assistant", "partition", "owner", "multitask", "origin", "error")
    row = dict.fromkeys(texts, "") | {
        "id": id,
        "tenant": tenant,
        "workflow": workflow,
        "thread": f"thread-{id}",
        "state": state,
        "claim": 1,
        "recoveries": 0,
        "driven_seconds": 0.0,
        "cancel_asked": False,
        "rolls_back": False,
        "priority": 0,
        "urgent_by": 1e12,
        "begin_at": 0.0,
        "created_at": now,
        "updated_at": now,
        "input": b"{}",
        "terms": b"{}",
        "metadata": "{}",
    }
    connection.execute(insert(table).values(row | more))


def lay_question(connection, run, id="q1", tenant="acme", due_seconds=None, **more):
    """An open question of a run."""
    now = workflow_workers.time_now(connection)
    row = {
        "run": run,
        "id": id,
        "tenant": tenant,
        "workflow": "work",
        "asked_at": now,
        "asked_of": "ada",
        "due_at": None if due_seconds is None else now + due_seconds,
        "escalate_to": "",
        "value": b'"well?"',
    }
    workflow_questions.ask(connection, [QuestionRow(**(row | more))])
