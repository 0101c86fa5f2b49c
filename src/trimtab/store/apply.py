"""Turns journal records into rows, exactly once: rows, counters and position in one transaction."""

from collections.abc import Collection, Iterable, Sequence

import msgspec
from sqlalchemy import Connection

from trimtab.core import Attribution, CallRecord, Charge, Entry, Hold, OutcomeRecord, Release
from trimtab.store import calls, entries, meters, processes, recalls, runs, sums
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
) -> None:
    """Apply a live process's records from `start` to `upto`. Raises processes.Fenced and processes.Moved.

    `late` are ids of entries whose money was leased before the process was given up for dead and came back:
    burial may have charged them already, and the lease they were taken from is gone.
    """
    processes.advance(connection, process, start, upto, now)
    batch = _insert(connection, process, records)
    lines = [line for line in batch.entries if line.id not in late] if late else batch.entries
    added, repeated = _insert_entries(connection, lines)
    overdue = [line for line in batch.entries if line.id in late] if late else []
    unleased = entries.insert_new_entries(connection, overdue)
    _sum_up(connection, batch, [*added, *unleased])
    meters.settle(connection, process, _charges(added))
    meters.give_back(connection, process, meters.summed(_charges(repeated)))
    meters.settle_unleased(connection, _charges(unleased))


def replay_records(
    connection: Connection, process: str, records: Sequence[Record], start: Position, upto: Position
) -> None:
    """Apply what a dead process still had in its journal; `bury` must follow. Raises processes.Moved.

    Its leases are left as they are: burial gives them back whole, or already has.
    """
    processes.replay(connection, process, start, upto)
    batch = _insert(connection, process, records)
    added = entries.insert_new_entries(connection, batch.entries)
    _sum_up(connection, batch, added)
    meters.settle_unleased(connection, _charges(added))


def _insert(connection: Connection, process: str, records: Sequence[Record]) -> Batch:
    """Calls, recalls and holds. Meters, which all processes share, are locked last and so for the shortest time."""
    batch = sort_records(records)
    calls.insert_calls(connection, batch.calls)
    recalls.keep(connection, batch.recalls)
    meters.insert_holds(connection, process, list(batch.opened.values()))
    meters.delete_holds(connection, batch.closed)
    return batch


def _insert_entries(connection: Connection, lines: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Those added, and those that were there already.

    Model entries carry our own attempt ids and are new; others bring the caller's idempotency key.
    """
    own = [line for line in lines if line.kind == "model"]
    foreign = [line for line in lines if line.kind != "model"]
    entries.insert_entries(connection, own)
    new = entries.insert_new_entries(connection, foreign)
    known = {id(line) for line in new}
    return [*own, *new], [line for line in foreign if id(line) not in known]


def _charges(lines: Iterable[Entry]) -> Iterable[Charge]:
    return (charge for line in lines for charge in line.charges)


def bury(connection: Connection, process: str, now: float) -> list[Entry]:
    """Settle a dead process: open holds as worst case, all its leases back. Returns the entries made."""
    processes.state_of(connection, process)
    holds = meters.open_holds(connection, process)
    lines = entries.insert_new_entries(connection, [worst_case(hold, now) for hold in holds])
    sums.add(connection, (), lines)
    meters.settle_unleased(connection, _charges(lines))
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


def _sum_up(connection: Connection, batch: Batch, lines: Sequence[Entry]) -> None:
    """What runs, days and minutes come to by the calls and the entries that are new, and what was said of runs."""
    said = [(Attribution(each.tenant, each.run), each.at) for each in batch.outcomes]
    said += [(Attribution(each.tenant, each.run), each.at) for each in batch.ends]
    sums.add(connection, batch.calls, lines, said)
    runs.record_outcomes(connection, batch.outcomes)
    runs.end(connection, batch.ends)
