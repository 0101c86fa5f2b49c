"""What nobody needs any more of hosted workflows, deleted in small parts: old checkpoints of long runs, runs and
threads past their retention, events of runs that ended. Each function is the work of one short transaction.
"""

import math

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, union

from trimtab.store import workflow_checkpoints as checkpoints
from trimtab.store import workflow_runs, workflow_threads
from trimtab.store import workflow_writes as writes
from trimtab.store.workflow_runs import WorkflowState
from trimtab.store.workflow_schema import checkpoint, event, run, thread
from trimtab.store.workflow_threads import key_of

_UNDONE = (*workflow_runs.OPEN, "waiting", "parked")
_STATES = (*_UNDONE, *workflow_runs.OVER)
# Graphs with delta channels say so in a checkpoint's metadata: their state is put together from all before it.
_DELTAS = b"counters_since_delta_snapshot"


def crowded(connection: Connection, keep: int, since: float) -> list[str]:
    """Threads, by their keys, of runs that are driven or moved since a moment, with more than `keep` checkpoints in a
    namespace."""
    driven = select(run.c.tenant, run.c.thread).where(run.c.state == "running")
    moved = select(run.c.tenant, run.c.thread).where(run.c.state.in_(_STATES), run.c.updated_at >= since)
    named = union(driven, moved).subquery()
    joined = checkpoint.join(named, checkpoint.c.thread == named.c.tenant + "/" + named.c.thread)
    counted = select(checkpoint.c.thread).select_from(joined)
    grouped = counted.group_by(checkpoint.c.thread, checkpoint.c.namespace).having(func.count() > keep)
    return sorted(set(connection.scalars(grouped)))


def prune(connection: Connection, thread_key: str, keep: int) -> int:
    """Delete all but the newest `keep` checkpoints of a thread with what was written after them, and what subgraphs
    kept of steps before those; returns how many.

    The state the latest run began with stays: undoing the run goes back to it.
    """
    latest = checkpoints.marks(connection, thread_key, "", limit=1)
    if latest and _DELTAS in latest[0].metadata:
        return 0
    oldest, gone = checkpoints.oldest_kept(connection, thread_key, keep), 0
    began = checkpoints.before_run(connection, thread_key)
    for namespace, id in oldest.items():
        writes.remove_before(connection, thread_key, id, namespace, but=began)
        gone += checkpoints.remove_before(connection, thread_key, id, namespace, but=began)
    if "" in oldest:
        writes.remove_steps_before(connection, thread_key, oldest[""])
        gone += checkpoints.remove_steps_before(connection, thread_key, oldest[""])
    return gone


def drop_runs(connection: Connection, before: float, most: int) -> int:
    """Delete up to `most` runs that were over before a moment, with their questions and events; returns how many."""
    mine = and_(run.c.state.in_(workflow_runs.OVER), run.c.updated_at < before)
    chosen = select(run.c.id).where(mine).limit(most).with_for_update(skip_locked=True)
    ids = list(connection.scalars(chosen))
    for id in ids:
        workflow_runs.remove(connection, id)
    return len(ids)


def drop_idle_threads(connection: Connection, before: float, most: int, rows: int) -> int:
    """Delete up to `most` threads that nothing was done in since a moment and that have no run left; returns how much
    was done. Of one with more than `rows` checkpoints the oldest go first, the rest in later turns."""
    its = exists().where(run.c.tenant == thread.c.tenant, run.c.thread == thread.c.id)
    return _drop_threads(connection, and_(thread.c.updated_at < before, ~its), most, rows)


def drop_expired_threads(connection: Connection, now: float, most: int, rows: int) -> int:
    """The same for threads past the end they were given, with their runs; not while one is open, waits or is parked."""
    its = exists().where(
        run.c.tenant == thread.c.tenant, run.c.thread == thread.c.id, run.c.state.in_(_UNDONE)
    )
    return _drop_threads(connection, and_(thread.c.expires_at < now, ~its), most, rows)


def _drop_threads(connection: Connection, due: ColumnElement[bool], most: int, rows: int) -> int:
    chosen = select(thread.c.tenant, thread.c.id).where(due).limit(most)
    done = 0
    for tenant, id in connection.execute(chosen.with_for_update(skip_locked=True, of=thread)).all():
        done += 1
        key = key_of(tenant, id)
        next_oldest = checkpoints.oldest_after(connection, key, rows)
        if next_oldest:
            writes.remove_before(connection, key, next_oldest)
            checkpoints.remove_before(connection, key, next_oldest)
            break
        workflow_threads.remove(connection, tenant, id)
    return done


def drop_events(
    connection: Connection, state: WorkflowState, after: float, until: float, most: int
) -> float | None:
    """Delete the events of the next `most` runs that ended in a state between two moments; the moment to go on from,
    None where that was all."""
    mine = and_(run.c.state == state, run.c.updated_at >= after, run.c.updated_at < until)
    rows = connection.execute(
        select(run.c.id, run.c.updated_at).where(mine).order_by(run.c.updated_at).limit(most)
    ).all()
    connection.execute(delete(event).where(event.c.run.in_([row.id for row in rows])))
    if len(rows) < most:
        return None
    latest: float = rows[-1].updated_at
    return max(latest, math.nextafter(after, math.inf))
