"""What is sent to an endpoint: the client's body with as little changed as can be, and headers of our own."""

import hashlib
from urllib.parse import quote

import msgspec

from trimtab.config import EndpointSettings
from trimtab.dispatch.form import Form
from trimtab.dispatch.passing import NOTHING_KNOWN, Known, passed_on
from trimtab.dispatch.visit import Visit
from trimtab.pool import Endpoint
from trimtab.wire import names_service, rewrite

_ANTHROPIC_VERSION = "2023-06-01"
_json = msgspec.json.Encoder()


class _Streamed(msgspec.Struct, gc=False):
    stream_options: dict[str, object] | None = None


_STREAMED = msgspec.json.Decoder(_Streamed)


def endpoint_body(
    visit: Visit,
    settings: EndpointSettings,
    form: Form,
    model: str,
    attempt: str = "",
    known: Known = NOTHING_KNOWN,
) -> bytes:
    """The request body: the client's own bytes unless a field must differ.

    The model's upstream name, `stream_options.include_usage` (without it a stream's cost is unknown) and,
    under a budget, the maximum that was held are the only changes within one shape. Under a budget nobody may
    ask for dearer service than the price says: such fields are left out. An engine is told what its settings let it
    be told (`passing`).
    """
    body = form.request(visit.asked)
    changes: dict[str, bytes] = {}
    name = settings.upstream_names.get(model, model)
    if name != visit.call.model or form.translator is not None:
        changes["model"] = _json.encode(name)
    if form.speaks == "chat":
        if visit.call.stream and not (visit.facts.include_usage and form.translator is None):
            changes["stream_options"] = _with_usage(body)
        if visit.enforce_maximum or form.translator is not None:
            changes |= _maximum(visit, settings)
    if visit.enforce_maximum and names_service(body):
        changes |= dict.fromkeys(("service_tier", "speed", "inference_geo"), b"")
    if settings.engine:
        changes |= passed_on(body, settings, visit.call, attempt, known)
    return rewrite(body, changes) if changes else body


def _with_usage(body: bytes) -> bytes:
    """The client's `stream_options`, with usage asked for among them."""
    options = _STREAMED.decode(body).stream_options or {}
    return _json.encode(options | {"include_usage": True})


def _maximum(visit: Visit, settings: EndpointSettings) -> dict[str, bytes]:
    """The maximum that was held, in the one field the endpoint heeds: a hold it ignores would be no hold."""
    other = "max_tokens" if settings.max_tokens_field == "max_completion_tokens" else "max_completion_tokens"
    return {settings.max_tokens_field: b"%d" % visit.call.max_output_tokens, other: b""}


def endpoint_headers(visit: Visit, endpoint: Endpoint, attempt: str, model: str) -> dict[str, str]:
    """Headers of a request for a model; the run's ids go on only to another gateway of ours."""
    settings = endpoint.settings
    headers = {"content-type": "application/json"}
    if "request_id" in settings.pass_on:
        headers["x-request-id"] = attempt
    headers |= settings.headers
    if visit.inbound.hints.idempotency:
        headers["idempotency-key"] = _idempotency_key(visit, model)
    if settings.style == "anthropic":
        headers.setdefault("anthropic-version", _ANTHROPIC_VERSION)
        if endpoint.secret:
            headers["x-api-key"] = endpoint.secret
    elif endpoint.secret:
        headers["authorization"] = f"Bearer {endpoint.secret}"
    if settings.style == "trimtab":
        headers |= _run_headers(visit)
    return headers


def _idempotency_key(visit: Visit, model: str) -> str:
    """The same for every try at one model, so that a server which heeds it serves a call once.

    A client's own key is hashed with its tenant: two tenants behind us are one client to the server.
    """
    hints = visit.inbound.hints
    if hints.source == "hosted":
        return f"{hints.idempotency}:{quote(model, safe='/@. ')}"
    named = msgspec.json.encode((visit.key.tenant, hints.idempotency, model))
    return hashlib.sha256(named).hexdigest()


def _run_headers(visit: Visit) -> dict[str, str]:
    who = visit.call.who
    named = {
        "x-trimtab-run": who.run,
        "x-trimtab-step": who.step,
        "x-trimtab-workflow": who.workflow,
        "x-trimtab-user": who.user,
        "x-trimtab-task": who.task,
        "x-trimtab-agent": who.agent,
        "x-trimtab-parent": visit.call.id,
        "x-trimtab-gateway": str(visit.inbound.hints.gateways + 1),
    }
    return {name: value for name, value in named.items() if value}
