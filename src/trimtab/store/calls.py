"""Calls: one row each, with decision and attempts as JSON beside the columns that are queried.

Decisions and attempts leave out what is at its default, two fifths of them: the defaults of these structs belong to the
format.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, case, delete, func, null, select

from trimtab.core import (
    AttemptRecord,
    Attribution,
    Call,
    CallRecord,
    ControllerDecision,
    Decision,
    Surface,
    Usage,
)
from trimtab.store.bulk import insert_rows
from trimtab.store.schema import call

_json = msgspec.json.Encoder()
_decision = msgspec.json.Decoder(Decision)
_controllers = msgspec.json.Decoder(tuple[ControllerDecision, ...])
_attempts = msgspec.json.Decoder(tuple[AttemptRecord, ...])
_CONTENT = ("request", "reply")
_TALKS = ("chat", "messages", "responses")


class PromptRow(msgspec.Struct, frozen=True):
    """What a model was sent and said in a call. `request_bytes` is 0 where content is not kept; `request` and `reply`
    are empty then, and where they are longer than was asked for."""

    workflow: str
    surface: Surface
    input_tokens: int
    cached_tokens: int
    request_bytes: int
    request: bytes
    reply: bytes


def row_of(record: CallRecord) -> dict[str, object]:
    """A call record as a row."""
    facts, who, usage = record.call, record.call.who, record.usage
    return {
        "id": facts.id,
        "at": facts.at,
        "tenant": who.tenant,
        "run": who.run,
        "parent": who.parent_call,
        "user": who.user,
        "key": who.key,
        "workflow": who.workflow,
        "step": who.step,
        "surface": facts.surface,
        "asked_model": facts.model,
        "model": record.model,
        "endpoint": record.endpoint,
        "stream": facts.stream,
        "status": record.status,
        "code": record.code,
        "http_status": record.http_status,
        "seconds": record.seconds,
        "first_token_seconds": record.first_token_seconds,
        "answered_by": record.answered_by,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "nanodollars": record.nanodollars,
        "policy": record.decision.policy if record.decision else "",
        "decision": _json.encode(record.decision) if record.decision else None,
        "attempts": _json.encode(record.attempts),
        "request": record.request or None,
        "reply": record.reply or None,
        "controllers": _json.encode(record.controllers) if record.controllers else None,
    }


def insert_calls(connection: Connection, records: Sequence[CallRecord]) -> None:
    """Append calls."""
    insert_rows(connection, call, [row_of(record) for record in records])


def of_run(connection: Connection, tenant: str, run: str) -> list[CallRecord]:
    """A run's calls in order, without what was said."""
    return _of_run(connection, tenant, run, [column for column in call.c if column.name not in _CONTENT])


def of_run_with_content(connection: Connection, tenant: str, run: str) -> list[CallRecord]:
    """A run's calls in order, with requests and replies as they were kept."""
    return _of_run(connection, tenant, run, call.c)


def find_with_content(connection: Connection, tenant: str, run: str, id: str) -> CallRecord | None:
    """A call of a run, with request and reply as they were kept."""
    mine = (call.c.id == id) & (call.c.run == run) & (call.c.tenant == tenant)
    row = connection.execute(select(*call.c).where(mine)).first()
    return None if row is None else _record(row)


def prompts_of_run(
    connection: Connection, tenant: str, run: str, named: Mapping[str, str], most: int, most_bytes: int
) -> list[PromptRow]:
    """The first `most` of a run's calls that models answered in conversations, with contents of at most `most_bytes`
    each. `named` narrows by step, model or endpoint."""
    contents = [
        case((func.length(call.c[name]) <= most_bytes, call.c[name]), else_=null()) for name in _CONTENT
    ]
    size = func.coalesce(func.length(call.c.request), 0)
    columns = [call.c[name] for name in ("workflow", "surface", "input_tokens", "cached_tokens")]
    mine = (call.c.run == run) & (call.c.tenant == tenant) & (call.c.answered_by == "model")
    said = (call.c.status == "ok") & (call.c.input_tokens > 0) & call.c.surface.in_(_TALKS)
    statement = select(*columns, size, *contents).where(mine, said)
    statement = statement.where(*[call.c[name] == value for name, value in named.items()])
    rows = connection.execute(statement.order_by(call.c.at, call.c.id).limit(most))
    return [PromptRow(*row[:5], row[5] or b"", row[6] or b"") for row in rows]


def which_exist(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that calls have."""
    return set(connection.scalars(select(call.c.id).where(call.c.id.in_(ids))))


def any_not_named(connection: Connection, tenant: str, run: str, prefix: str) -> bool:
    """Whether a run has calls whose ids do not begin with `prefix`."""
    mine = (call.c.run == run) & (call.c.tenant == tenant) & ~call.c.id.startswith(prefix)
    return connection.scalar(select(call.c.id).where(mine).limit(1)) is not None


def delete_of_run(connection: Connection, tenant: str, run: str, before: float, most: int) -> int:
    """Delete at most `most` of a run's calls made before a moment; returns how many were."""
    mine = (call.c.run == run) & (call.c.tenant == tenant) & (call.c.at < before)
    ids = select(call.c.id).where(mine).limit(most)
    return connection.execute(delete(call).where(call.c.id.in_(ids))).rowcount


def _of_run(connection: Connection, tenant: str, run: str, columns: Iterable[Any]) -> list[CallRecord]:
    mine = (call.c.run == run) & (call.c.tenant == tenant)
    rows = connection.execute(select(*columns).where(mine).order_by(call.c.at, call.c.id))
    return [_record(row) for row in rows]


def _record(row: Row[Any]) -> CallRecord:
    """The record of a row. Task and agent of a call that was never routed stand with its run only."""
    decision = _decided(row.decision)
    content = row._mapping
    return CallRecord(
        call=decision.call if decision is not None else _facts(row),
        status=row.status,
        seconds=row.seconds,
        first_token_seconds=row.first_token_seconds,
        code=row.code,
        http_status=row.http_status,
        model=row.model,
        endpoint=row.endpoint,
        usage=Usage(row.input_tokens, row.output_tokens, row.cached_tokens),
        nanodollars=row.nanodollars,
        answered_by=row.answered_by,
        decision=decision,
        attempts=_attempts.decode(row.attempts) if row.attempts else (),
        request=content.get("request") or b"",
        reply=content.get("reply") or b"",
        controllers=_controllers.decode(row.controllers) if row.controllers else (),
    )


def _decided(stored: bytes | None) -> Decision | None:
    """None also for a decision of an older shape: its call is still to be read."""
    try:
        return _decision.decode(stored) if stored else None
    except msgspec.ValidationError:
        return None


def _facts(row: Row[Any]) -> Call:
    who = Attribution(row.tenant, row.run, row.user, row.key, row.workflow, row.step, row.parent)
    return Call(row.id, row.at, row.surface, row.asked_model, who, row.input_tokens, 0, row.stream)
