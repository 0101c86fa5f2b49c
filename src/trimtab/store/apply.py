"""Turns journal records into rows, exactly once: rows, counters and position in one transaction."""

from collections.abc import Collection, Iterable, Sequence

import msgspec
from sqlalchemy import Connection

from trimtab.core import CallRecord, Charge, Entry, Hold, OutcomeRecord, Release
from trimtab.store import calls, entries, meters, processes, recalls, runs
from trimtab.store.journal import EndRecord, Position, RecallRecord, Record


class Batch(msgspec.Struct):
    """Journal records sorted by kind. `opened` are holds not closed within the same batch."""

    opened: dict[str, Hold] = {}
    closed: list[str] = []
    entries: list[Entry] = []
    calls: list[CallRecord] = []
    outcomes: list[OutcomeRecord] = []
    ends: list[EndRecord] = []
    recalls: list[RecallRecord] = []


def sort_records(records: Iterable[Record]) -> Batch:
    """Sort records into a batch."""
    batch = Batch()
    for record in records:
        if isinstance(record, Hold):
            batch.opened[record.id] = record
        elif isinstance(record, Entry | Release):
            if isinstance(record, Entry):
                batch.entries.append(record)
            if batch.opened.pop(record.id, None) is None:
                batch.closed.append(record.id)
        elif isinstance(record, CallRecord):
            batch.calls.append(record)
        elif isinstance(record, OutcomeRecord):
            batch.outcomes.append(record)
        elif isinstance(record, EndRecord):
            batch.ends.append(record)
        else:
            batch.recalls.append(record)
    return batch


def apply_records(
    connection: Connection,
    process: str,
    records: Sequence[Record],
    start: Position,
    upto: Position,
    now: float,
    *,
    late: Collection[str] = (),
    checked: bool = False,
) -> None:
    """Apply a process's records from `start` to `upto`. Raises processes.Fenced and processes.Moved.

    `late` are ids of holds that were charged as worst case while the process was silent; `checked` (after a
    crash) looks before it inserts any entry.
    """
    processes.advance(connection, process, start, upto, now)
    batch = sort_records(records)
    meters.insert_holds(connection, process, list(batch.opened.values()))
    meters.delete_holds(connection, batch.closed)
    overdue = [line for line in batch.entries if line.id in late]
    lines = [line for line in batch.entries if line.id not in late] if overdue else batch.entries
    meters.settle(connection, process, _charges(_insert_entries(connection, lines, checked)))
    if overdue:
        meters.settle_unleased(connection, _charges(entries.insert_new_entries(connection, overdue)))
    _insert_traces(connection, batch)


def _insert_entries(connection: Connection, lines: Sequence[Entry], checked: bool) -> list[Entry]:
    """Model entries carry our own attempt ids and are new; others bring the caller's idempotency key."""
    own = [] if checked else [line for line in lines if line.kind == "model"]
    foreign = lines if checked else [line for line in lines if line.kind != "model"]
    entries.insert_entries(connection, own)
    return [*own, *entries.insert_new_entries(connection, foreign)]


def _charges(lines: Iterable[Entry]) -> Iterable[Charge]:
    return (charge for line in lines for charge in line.charges)


def apply_late(connection: Connection, records: Sequence[Record], now: float) -> None:
    """Apply what a buried process still had in its journal.

    Entries that its burial already charged as worst case stay as they are; the rest is added to what is
    settled. Holds that nobody had seen are charged as worst case.
    """
    batch = sort_records(records)
    lost = [worst_case(hold, now) for hold in batch.opened.values()]
    added = entries.insert_new_entries(connection, [*batch.entries, *lost])
    meters.settle_unleased(connection, _charges(added))
    _insert_traces(connection, batch)


def bury(connection: Connection, process: str, now: float) -> list[Entry]:
    """Settle a dead process: open holds as worst case, unspent leases back. Returns the entries made."""
    holds = meters.open_holds(connection, process)
    lines = entries.insert_new_entries(connection, [worst_case(hold, now) for hold in holds])
    meters.settle(connection, process, _charges(lines))
    meters.delete_holds(connection, [hold.id for hold in holds])
    meters.release_leases(connection, process)
    processes.bury(connection, process)
    return lines


def worst_case(hold: Hold, now: float) -> Entry:
    """The entry of a hold whose process died before it could settle."""
    shared = {name: getattr(hold, name) for name in Hold.__struct_fields__ if name != "at"}
    return Entry(
        **shared, at=now, kind="model", certainty="worst_case", reason="its process died before it settled"
    )


def _insert_traces(connection: Connection, batch: Batch) -> None:
    calls.insert_calls(connection, batch.calls)
    runs.touch(connection, batch.calls)
    runs.record_outcomes(connection, batch.outcomes)
    runs.end(connection, batch.ends)
    recalls.keep(connection, batch.recalls)
