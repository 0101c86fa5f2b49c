"""Recorded decisions made again: equal inputs must give equal answers, to the last bit of the confidence.

The controllers of the registry decide anew on what the traces, or an export of them, kept of each call.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from trimtab.app.store import controller_folder
from trimtab.config import Settings, WorkflowSettings
from trimtab.controllers import LOADERS, Desk, Host, Registry, open_host
from trimtab.core import CallRecord, ControllerDecision, Surface, SystemClock
from trimtab.core.errors import DataError
from trimtab.dispatch import question_of, read_asking
from trimtab.store import Cursor, Database, RunRow, Selection, Standing, calls, runs
from trimtab.traces import ChatLine, LineReader, request_before, standing_of

_PAGE = 100
_MOST_SHOWN = 50


class Recorded(msgspec.Struct, frozen=True):
    """A decision and the request it was made on; `where` says where it was found."""

    where: str
    surface: Surface
    request: bytes
    decision: ControllerDecision


class Difference(msgspec.Struct, frozen=True):
    """A decision that came out otherwise."""

    where: str
    controller: str
    recorded: str
    now: str


class Recheck(msgspec.Struct, frozen=True):
    """What came of it. `unchecked` counts by the reason why there was nothing to compare."""

    same: int
    differ: int
    unchecked: dict[str, int]
    differences: tuple[Difference, ...]


class Rechecker:
    """Loads each version once. Constructed for one command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = Registry(controller_folder(settings))
        self._desk = Desk(self._registry.cache, "recheck")
        self._hosts: dict[tuple[str, str], Host | str] = {}

    def check(self, recorded: Iterable[Recorded], progress: Callable[[], None] = lambda: None) -> Recheck:
        """Decide everything anew. Raises StoreUnavailable, DataError where the recorded cannot be read."""
        try:
            return self._check(recorded, progress)
        finally:
            self._desk.thread.shutdown(cancel_futures=True)

    def _check(self, recorded: Iterable[Recorded], progress: Callable[[], None]) -> Recheck:
        same, differ = 0, 0
        unchecked: Counter[str] = Counter()
        differences: list[Difference] = []
        for each in recorded:
            progress()
            found = self._compare(each)
            if isinstance(found, Difference):
                differ += 1
                differences = [*differences, found][:_MOST_SHOWN]
            elif found:
                unchecked[found] += 1
            else:
                same += 1
        return Recheck(same, differ, dict(unchecked), tuple(differences))

    def _compare(self, each: Recorded) -> Difference | str:
        """What differs, why there is nothing to compare, or '' where all is the same."""
        decision = each.decision
        if not decision.inputs:
            return "it was late, failed or could not read the call, so nothing was decided"
        host = self._host(decision.controller, decision.version)
        if isinstance(host, str):
            return host
        settings = self._settings.workflow.get(host.manifest.workflow, WorkflowSettings())
        asking = read_asking(each.surface, each.request, settings.tools)
        if asking is None:
            return "its request was not kept"
        now = host.decide(question_of(decision.kind, asking, settings, decision.agent))
        if now.inputs != decision.inputs:
            return (
                "its inputs are not there as they were (content redacted or rewritten, or settings changed)"
            )
        if now.said == decision.said:
            return ""
        return Difference(
            each.where,
            host.title,
            f"{decision.option or 'abstained'} at {decision.confidence!r}",
            f"{now.answer.option or 'abstained'} at {now.answer.confidence!r}",
        )

    def _host(self, controller: str, version: str) -> Host | str:
        known = self._hosts.get((controller, version))
        if known is None:
            workflow, _, kind = controller.rpartition("/")
            try:
                package = self._registry.open(workflow, kind, version)
                known = self._desk.thread.submit(open_host, package, self._desk, LOADERS).result()
            except DataError as error:
                known = f"{controller}@{version} cannot be loaded: {error}"
            self._hosts[controller, version] = known
        return known


def stored_decisions(settings: Settings, database: Database, selection: Selection) -> Iterator[Recorded]:
    """Every decision the selected runs recorded. Raises StoreUnavailable."""
    standing = standing_of(settings, SystemClock.now())
    after: Cursor | None = None
    while True:
        page = database.read(partial(_following, selection, standing, after))
        for run in page:
            for record in database.read(partial(_calls, run)):
                for decision in record.controllers:
                    where = f"run {run.id}, call {record.call.id}"
                    yield Recorded(where, record.call.surface, record.request, decision)
        if len(page) < _PAGE:
            return
        after = Cursor(page[-1].started_at, page[-1].tenant, page[-1].id)


def _following(
    selection: Selection, standing: Standing, after: Cursor | None, connection: Connection
) -> Sequence[RunRow]:
    return runs.following(connection, selection, standing, after, _PAGE)


def _calls(run: RunRow, connection: Connection) -> Sequence[CallRecord]:
    return calls.of_run_with_content(connection, run.tenant, run.id)


def exported_decisions(path: Path) -> Iterator[Recorded]:
    """Every decision in a file that `trimtab traces export` wrote. Raises DataError."""
    decoder = msgspec.json.Decoder(ChatLine)
    for number, text in LineReader(path):
        try:
            line = decoder.decode(text)
        except msgspec.DecodeError as error:
            remedy = "export the traces again"
            raise DataError(str(error), file=str(path), line=number, remedy=remedy) from error
        for place, message in enumerate(line.messages):
            for decision in message.decisions:
                where = f"{path.name}:{number}, message {place}"
                yield Recorded(where, "chat", request_before(line, place), decision)
