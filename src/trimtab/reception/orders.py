"""Bodies that ask for runs, as the LangGraph SDKs send them, and the orders they are."""

from typing import Annotated, Any, Literal

import msgspec

from trimtab.core.errors import BadRequest
from trimtab.gateway import hints_of
from trimtab.reception.desk import Asked
from trimtab.reception.threads import Place
from trimtab.workflows import (
    Assistant,
    CommandTerms,
    Multitask,
    Order,
    RunTerms,
    StreamMode,
    facts_text,
    terms_with,
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


class Config(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of LangGraph's `RunnableConfig` a client may say."""

    configurable: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    tags: list[str] = []
    recursion_limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None


class RunBody(msgspec.Struct, frozen=True):
    """Body of every request for a run; what is not named here is ignored, as tracing and durability are."""

    assistant_id: str
    input: msgspec.Raw = msgspec.Raw(b"null")
    command: Command | None = None
    config: Config | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    checkpoint: Place | None = None
    checkpoint_id: str | None = None
    interrupt_before: list[str] | Literal["*"] | None = None
    interrupt_after: list[str] | Literal["*"] | None = None
    multitask_strategy: Multitask | None = None
    if_not_exists: Literal["create", "reject"] | None = None
    on_completion: Literal["keep", "delete"] | None = None
    on_disconnect: Literal["cancel", "continue"] | None = None
    after_seconds: Seconds | None = None
    stream_mode: StreamMode | list[StreamMode] | None = None
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    webhook: str | None = None


def order_of(
    asked: Asked, body: RunBody, assistant: Assistant, now: float, *, thread: str, streams: bool, waits: bool
) -> Order:
    """The order that a body is; without a `thread` a stateless one, whose thread goes with it unless it is to be kept.
    `waits`: nobody stands by for it.

    Raises BadRequest.
    """
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
        thread=thread,
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
    modes = body.stream_mode if isinstance(body.stream_mode, list) else [body.stream_mode or "values"]
    at = body.checkpoint_id or (body.checkpoint.checkpoint_id if body.checkpoint else "") or ""
    config, context = terms_with(assistant, msgspec.to_builtins(body.config or {}), body.context)
    return RunTerms(
        command=None
        if body.command is None
        else msgspec.convert(msgspec.to_builtins(body.command), CommandTerms),
        config=config,
        context=context,
        checkpoint=at,
        interrupt_before=body.interrupt_before,
        interrupt_after=body.interrupt_after,
        stream_mode=tuple(modes),
        stream_subgraphs=bool(body.stream_subgraphs),
        streamed=streams or bool(body.stream_mode) or bool(body.stream_resumable),
        on_completion=body.on_completion or ("delete" if stateless else "keep"),
        models=models,
    )
