"""What request headers say of the run: `x-trimtab-*`, W3C `traceparent` and `baggage`, `idempotency-key`."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from trimtab.core.errors import BadRequest
from trimtab.dispatch import NO_HINTS, Hints

RawHeaders = Iterable[tuple[bytes, bytes]]
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_NO_TRACE = "0" * 32
_HIGHEST_PRIORITY = 1_000_000
_LONGEST_KEY = 1_000
_TEXTS = {
    b"x-trimtab-run": "run",
    b"x-trimtab-step": "step",
    b"x-trimtab-workflow": "workflow",
    b"x-trimtab-user": "user",
    b"x-trimtab-task": "task",
    b"x-trimtab-agent": "agent",
    b"x-trimtab-parent": "parent_call",
}


def hints_of(headers: RawHeaders) -> tuple[Hints, str]:
    """The hints and the presented key ('' if none). Raises BadRequest for a header that cannot be read."""
    found: dict[str, object] = {}
    key = ""
    for name, value in headers:
        if name == b"authorization":
            key = _bearer(value) or key
        elif name == b"x-api-key":
            key = key or value.decode("latin-1").strip()
        elif name == b"idempotency-key":
            found["idempotency"] = _text(value)[:_LONGEST_KEY]
        elif name == b"traceparent":
            found["trace"] = _trace(value.decode("latin-1"))
        elif name == b"baggage":
            found["baggage"] = _baggage(value.decode("latin-1"))
        elif name.startswith(b"x-trimtab-"):
            _read(name, value, found)
    return (Hints(**found) if found else NO_HINTS), key  # type: ignore[arg-type]


def _read(name: bytes, value: bytes, found: dict[str, object]) -> None:
    text = _text(value)
    field = _TEXTS.get(name)
    if field is not None:
        found[field] = text
    elif name == b"x-trimtab-priority":
        found["priority"] = _priority(name, text)
    elif name == b"x-trimtab-timeout-seconds":
        seconds = _number(name, text, float)
        if not 0 < seconds < 1e7:
            raise BadRequest(f"header {name.decode()} must be above 0 seconds", param=name.decode())
        found["timeout_seconds"] = seconds
    elif name == b"x-trimtab-end":
        found["ends_run"] = text.lower() in ("1", "true", "yes")
    elif name == b"x-trimtab-gateway":
        found["gateways"] = int(text) if re.fullmatch("[0-9]{1,6}", text) else 0


def _text(value: bytes) -> str:
    """Header text: UTF-8 where it is, Latin-1 else; without control characters."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    text = text.strip()
    return text if text.isprintable() else "".join(character for character in text if character.isprintable())


def _number(name: bytes, text: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(text)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"header {name.decode()} must be a number, not {text[:40]!r}", param=name.decode()
        ) from None


def _priority(name: bytes, text: str) -> float:
    priority = _number(name, text, int)
    if abs(priority) > _HIGHEST_PRIORITY:
        raise BadRequest(
            f"header {name.decode()} must be within {_HIGHEST_PRIORITY} of 0", param=name.decode()
        )
    return priority


def _bearer(value: bytes) -> str:
    scheme, _, token = value.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _trace(value: str) -> str:
    """The trace id; '' for a malformed header, which the W3C says to ignore."""
    match = _TRACEPARENT.fullmatch(value.strip())
    return match[1] if match and match[1] != _NO_TRACE else ""


def _baggage(value: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for member in value.split(",")[:64]:
        name, separator, rest = member.partition("=")
        if separator:
            pairs.append((name.strip(), unquote(rest.partition(";")[0].strip())))
    return tuple(pairs)
