"""Bodies that ask for runs, as the LangGraph SDKs send them, and the orders they are."""

from typing import Annotated, Any, Literal

import msgspec

from trimtab.core.errors import BadRequest
from trimtab.gateway import hints_of
from trimtab.reception.desk import Asked
from trimtab.reception.page import Word
from trimtab.reception.threads import Place
from trimtab.workflows import (
    Assistant,
    CommandTerms,
    Order,
    RunTerms,
    RunWishes,
    facts_text,
    terms_of,
    thread_name,
)

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class SendBody(msgspec.Struct, frozen=True):
    """LangGraph's `Send`."""

    node: str
    input: Any


class Command(msgspec.Struct, frozen=True):
    """LangGraph's `Command`."""

    resume: Any | msgspec.UnsetType = msgspec.UNSET
    update: dict[str, Any] | list[tuple[str, Any]] | None = None
    goto: str | SendBody | list[str | SendBody] | None = None


class RunBody(RunWishes, frozen=True, kw_only=True):
    """Body of every request for a run; what is not named here is ignored, as tracing and durability are."""

    assistant_id: Word
    input: msgspec.Raw = msgspec.Raw(b"null")
    command: Command | None = None
    metadata: dict[str, Any] | None = None
    checkpoint: Place | None = None
    checkpoint_id: Word | None = None
    if_not_exists: Literal["create", "reject"] | None = None
    on_completion: Literal["keep", "delete"] | None = None
    on_disconnect: Literal["cancel", "continue"] | None = None
    after_seconds: Seconds | None = None
    webhook: str | None = None


def order_of(
    asked: Asked, body: RunBody, assistant: Assistant, now: float, *, streams: bool, waits: bool
) -> Order:
    """The order that a body is; of a path without a thread a stateless one, whose thread goes with it unless it is to
    be kept. `waits`: nobody stands by for it.

    Raises BadRequest.
    """
    thread = asked.path.get("thread", "")
    makes = bool(thread) and body.if_not_exists == "create"
    if body.webhook:
        raise BadRequest("webhooks are not called; listen to the run's stream", param="webhook")
    hints, key = hints_of(asked.headers.raw)[0], asked.key
    late = hints.timeout_seconds
    return Order(
        workflow=assistant.workflow,
        input=bytes(body.input),
        tenant=key.tenant,
        user=key.user or hints.user,
        key=key.id,
        priority=int(hints.priority or 0),
        deadline=None if late is None else now + late,
        waits=waits,
        thread=thread_name(thread) if makes else thread,
        makes_thread=makes,
        assistant=assistant.id,
        terms=_terms(body, assistant, key.models, stateless=not thread, streams=streams),
        metadata=facts_text({**assistant.metadata, **(body.metadata or {})}).encode(),
        multitask=body.multitask_strategy or "enqueue",
        begin_at=now + body.after_seconds if body.after_seconds else 0.0,
        origin="http",
    )


def _terms(
    body: RunBody, assistant: Assistant, models: tuple[str, ...], *, stateless: bool, streams: bool
) -> RunTerms:
    at = body.checkpoint_id or (body.checkpoint.checkpoint_id if body.checkpoint else "") or ""
    command = None
    if body.command is not None:
        command = msgspec.convert(msgspec.to_builtins(body.command), CommandTerms)
    terms = terms_of(
        assistant,
        body,
        streamed=streams or bool(body.stream_mode) or bool(body.stream_resumable),
        on_completion=body.on_completion or ("delete" if stateless else "keep"),
        models=models,
    )
    return msgspec.structs.replace(terms, command=command, checkpoint=at)
