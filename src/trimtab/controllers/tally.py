"""Counts of what controllers decided, kept in memory and brought to the database now and then."""

import asyncio
import threading
from collections import Counter

from trimtab.controllers.drift import ABSTAINED, bin_of
from trimtab.controllers.host import Host
from trimtab.controllers.question import Decided
from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, TallyMode, TallyRow, tallies

WHOLE = "*"
_Key = tuple[str, str, str, TallyMode, str, int, str]
_MOST_ROWS = 10_000


class Tally:
    """`decided` counts an answer or abstention; `judged` what the model (or the champion) did in its place.

    Any thread may count. `dropped`: shadow decisions that were not made because too many waited.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._counts: Counter[_Key] = Counter()
        self.dropped = 0

    def decided(self, host: Host, mode: TallyMode, decided: Decided) -> int:
        """Count a decision: once as a whole, and for each tool it calls or the label it chose. Returns its bin.

        One that was not asked, was late or failed decided nothing: its troubles are counted, this is not.
        """
        answer = decided.answer
        if not decided.inputs:
            return ABSTAINED
        bin = ABSTAINED if answer.abstained else bin_of(answer.confidence)
        self._add(host, mode, WHOLE, bin, "decided")
        if not answer.abstained:
            for option in [call.name for call in answer.calls] or [answer.option]:
                self._add(host, mode, option, bin, "decided")
        return bin

    def judged(self, host: Host, mode: TallyMode, option: str, bin: int, *, agreed: bool) -> None:
        """Count whether the model did the same."""
        self._add(host, mode, option, bin, "judged")
        if agreed:
            self._add(host, mode, option, bin, "agreed")

    async def flush(self) -> None:
        """Write the counts. Raises StoreUnavailable; then they are kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await self._database.run(lambda connection: tallies.add(connection, _rows(counts)))
        except (StoreUnavailable, asyncio.CancelledError):
            # After a lost answer they may be counted twice: these are statistics, no money.
            with self._lock:
                self._counts.update(counts)
            raise

    def _add(self, host: Host, mode: TallyMode, option: str, bin: int, what: str) -> None:
        manifest = host.manifest
        key = (manifest.workflow, manifest.kind, manifest.version, mode, option, bin, what)
        with self._lock:
            if len(self._counts) < _MOST_ROWS or key in self._counts:
                self._counts[key] += 1


def _rows(counts: Counter[_Key]) -> list[TallyRow]:
    keys = dict.fromkeys(key[:-1] for key in counts)
    return [
        TallyRow(
            *key,
            decided=counts[*key, "decided"],
            agreed=counts[*key, "agreed"],
            judged=counts[*key, "judged"],
        )
        for key in keys
    ]
