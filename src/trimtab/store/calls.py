"""Calls: one row each, with decision and attempts as JSON beside the columns that are queried."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, insert

from trimtab.core import CallRecord
from trimtab.store.schema import call

_json = msgspec.json.Encoder()


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
    }


def insert_calls(connection: Connection, records: Sequence[CallRecord]) -> None:
    """Append calls."""
    if records:
        connection.execute(insert(call), [row_of(record) for record in records])
