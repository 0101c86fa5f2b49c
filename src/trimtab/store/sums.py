"""Brings runs and sums up to what was written: called once a transaction, behind its calls and entries.

Meters come after. So rows that several processes write are locked in one order: runs, spending, minutes, meters.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from trimtab.core import Attribution, CallRecord, Entry
from trimtab.store import runs, spend, traffic


def add(
    connection: Connection,
    made: Sequence[CallRecord],
    lines: Sequence[Entry],
    said: Iterable[tuple[Attribution, float]] = (),
) -> None:
    """Calls and entries that are new in the store. `said` are runs of which more is written after, and when it
    was said."""
    runs.touch(connection, made, lines, said)
    spend.add(connection, lines)
    traffic.add(connection, made)
