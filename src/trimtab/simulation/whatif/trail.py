"""Recorded calls out of a store, in the order they were made. Memory holds a page of each lane.

A call that was routed tells its facts and offers itself (its decision); of another one (imported, refused at the
door, answered without a model) what its row tells is all there is.
"""

import heapq
from collections.abc import Iterator
from functools import partial
from itertools import chain

import msgspec
from sqlalchemy import Connection

from trimtab.core import AttemptRecord, Attribution, Call, ControllerDecision, Decision, Usage
from trimtab.store import Database, FactsRow, HistoryRow, Lane, Place, Selection, histories

_PAGE = 2_000
_LANES: tuple[Lane, ...] = ("served", "imported", "foreign")
# Imported calls are found by a scan for each page, so their pages are large.
_IMPORTED_PAGE = 50_000
_BYTES_A_TOKEN = 4
_ASKED_AT_ONCE = 500
_decision = msgspec.json.Decoder(Decision)
_attempts = msgspec.json.Decoder(tuple[AttemptRecord, ...])
_controllers = msgspec.json.Decoder(tuple[ControllerDecision, ...])


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A call, its row, and what was decided and tried. Without a decision `call` is put together from the row."""

    call: Call
    row: HistoryRow
    decision: Decision | None
    attempts: tuple[AttemptRecord, ...]
    controllers: tuple[ControllerDecision, ...]

    @property
    def usage(self) -> Usage:
        """Tokens of the answer, as exactly as they were kept."""
        for attempt in reversed(self.attempts):
            if attempt.outcome == "answered":
                return attempt.usage
        row = self.row
        return Usage(row.input_tokens, row.output_tokens, row.cached_tokens)

    def tokens(self) -> int:
        """Of the answer."""
        return self.usage.total_tokens


def recorded_calls(
    database: Database, selection: Selection, assumed_output_tokens: int
) -> Iterator[Recorded]:
    """The selected calls in order. `assumed_output_tokens`: the maximum of a call that does not tell its own.

    Raises StoreUnavailable.
    """
    lanes = [_lane(database, lane, selection, assumed_output_tokens) for lane in _LANES]
    begun = [chain((first,), lane) for lane in lanes if (first := next(lane, None)) is not None]
    return begun[0] if len(begun) == 1 else heapq.merge(*begun, key=_moment)


def _lane(
    database: Database, lane: Lane, selection: Selection, assumed_output_tokens: int
) -> Iterator[Recorded]:
    after: Place | None = None
    size = _IMPORTED_PAGE if lane == "imported" else _PAGE
    while True:
        rows = database.read(partial(_read, lane=lane, selection=selection, after=after, size=size))
        facts = _facts(database, [row.id for row in rows if row.decision is None])
        for row in rows:
            yield _recorded(database, row, facts, assumed_output_tokens)
        if len(rows) < size:
            return
        after = Place(rows[-1].at, rows[-1].id)


def _read(
    connection: Connection, lane: Lane, selection: Selection, after: Place | None, size: int
) -> list[HistoryRow]:
    return histories.page(connection, lane, selection, after, size)


def _recorded(
    database: Database, row: HistoryRow, facts: dict[str, FactsRow], assumed_output_tokens: int
) -> Recorded:
    decision = _decided(row)
    controllers = _controllers.decode(row.controllers) if row.controllers else ()
    attempts = _attempts.decode(row.attempts) if row.attempts else ()
    if decision is not None:
        return Recorded(decision.call, row, decision, attempts, controllers)
    told = facts.get(row.id) or _facts(database, [row.id])[row.id]
    call = _call(row, told, controllers, assumed_output_tokens)
    return Recorded(call, row, None, attempts, controllers)


def _decided(row: HistoryRow) -> Decision | None:
    """A decision of an older shape counts as none."""
    try:
        return _decision.decode(row.decision) if row.decision else None
    except msgspec.ValidationError:
        return None


def _facts(database: Database, ids: list[str]) -> dict[str, FactsRow]:
    found: dict[str, FactsRow] = {}
    for begin in range(0, len(ids), _ASKED_AT_ONCE):
        part = ids[begin : begin + _ASKED_AT_ONCE]
        found |= database.read(partial(histories.facts, ids=part))
    return found


def _call(
    row: HistoryRow,
    facts: FactsRow,
    controllers: tuple[ControllerDecision, ...],
    assumed_output_tokens: int,
) -> Call:
    who = Attribution(
        facts.tenant, facts.run, facts.user, facts.key, facts.workflow, facts.step, facts.parent,
        facts.task or "", facts.agent or "",
    )  # fmt: skip
    label = next((said.option for said in controllers if said.kind == "route" and said.followed), "")
    return Call(
        id=row.id,
        at=row.at,
        surface=facts.surface,  # type: ignore[arg-type]
        model=facts.asked_model,
        who=who,
        input_tokens=row.input_tokens * _BYTES_A_TOKEN or facts.request_bytes or 0,
        max_output_tokens=row.output_tokens or assumed_output_tokens,
        stream=bool(facts.stream),
        route=label,
    )


def _moment(recorded: Recorded) -> tuple[float, str]:
    return recorded.row.at, recorded.row.id
