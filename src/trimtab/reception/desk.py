"""What the doors of hosted workflows stand behind: the key is opened, the body read and decoded, errors told in the
shape the LangGraph SDKs read (`{"detail": ...}`)."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from trimtab.core.errors import BadRequest, CallError, StoreUnavailable
from trimtab.gateway import Gone, error_reply, fault_of, hints_of, is_loopback, read_body, send_bytes
from trimtab.pool import Patience
from trimtab.tenants import KeyFacts, Keyring

T = TypeVar("T")
_AWAY_SECONDS = 2.0
_READS = ("/search", "/count", "/history", "/checkpoint", "/versions", "/namespaces")
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_LEAST, _GREATEST = -(2**63), 2**64 - 1
_json = msgspec.json.Encoder()


class Asked(msgspec.Struct, frozen=True):
    """One request, its bearer known and its body read."""

    key: KeyFacts
    path: Mapping[str, str]
    query: QueryParams
    headers: Headers
    body: bytes

    def decoded(self, kind: type[T]) -> T:
        """The body as `kind`; an empty one is `{}`. Raises BadRequest that names the field."""
        try:
            decoded = msgspec.json.decode(self.body or b"{}", type=kind)
            _require_numbers(self.body)
            return decoded
        except msgspec.ValidationError as error:
            text, _, path = str(error).partition(" - at `$.")
            field = path.rstrip("`")
            raise BadRequest(f"{field}: {text}" if field else text, param=field or None) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"the body is not JSON: {error}") from error


Motion = Callable[[Asked], Awaitable[ASGIApp]]


class Desk:
    """Constructed by `app/`."""

    def __init__(self, keyring: Keyring, max_body_bytes: int) -> None:
        self._keyring, self._most, self._patience = keyring, max_body_bytes, Patience()

    def door(self, motion: Motion) -> "Doorway":
        """The motion as an endpoint. Reading needs the role viewer, anything else operator."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                response = await motion(await self._open(scope, receive))
                await response(scope, receive, send)
            except CallError as error:
                await _tell(error, send)
            except StoreUnavailable as error:
                away = CallError(str(error), code="store_unavailable", retry_after_seconds=_AWAY_SECONDS)
                await _tell(away, send, 503)
            except Gone:
                return
            except Exception as error:  # the edge of the process
                await _tell(fault_of(error, scope.get("path_params", {}).get("run", "")), send)

        return Doorway(serve, _about(motion))

    async def _open(self, scope: Scope, receive: Receive) -> Asked:
        _, presented = hints_of(scope["headers"])
        key = await self._keyring.open(presented, loopback=is_loopback(scope))
        method = scope["method"]
        reads = method == "GET" or (method == "POST" and scope["path"].endswith(_READS))
        key.require("viewer" if reads else "operator")
        body = await read_body(scope, receive, self._most, self._patience)
        path, query = scope["path_params"], QueryParams(scope["query_string"])
        for name, text in (*path.items(), *query.multi_items()):
            if "\0" in text:
                raise BadRequest(f"{name} has a NUL character; leave it out", param=name)
        return Asked(key, path, query, Headers(scope=scope), body)


def _require_numbers(body: bytes) -> None:
    """Neither checkpoints nor databases keep whole numbers beyond 64 bits. Raises BadRequest."""
    if _LONG_NUMBER.search(body) is None:
        return
    whole = msgspec.json.decode(body)
    held = list(whole.items()) if isinstance(whole, dict) else [("", whole)]
    while held:
        field, value = held.pop()
        if isinstance(value, dict):
            held += [(field, inner) for inner in value.values()]
        elif isinstance(value, list):
            held += [(field, inner) for inner in value]
        elif isinstance(value, int) and not _LEAST <= value <= _GREATEST:
            said = "a whole number beyond 64 bits is not kept; send it as text"
            raise BadRequest(f"{field}: {said}" if field else said, param=field or None)


class Doorway:
    """An object, because Starlette takes functions for request handlers; `about` says in a line what it does."""

    def __init__(self, serve: ASGIApp, about: str) -> None:
        self._serve, self.about = serve, about

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send)


def _about(motion: Motion) -> str:
    """The first sentence of a motion's docstring, behind the paths in it; its name where there is none."""
    first = " ".join((motion.__doc__ or "").split("\n\n")[0].split())
    told = first.rpartition("`: ")[2] if first.startswith("`") else first
    name = getattr(motion, "__name__", "").replace("_", " ")
    return name if not told or told.startswith("`") else told.removesuffix(".")


async def _tell(error: CallError, send: Send, status: int | None = None) -> None:
    known, _, headers = error_reply(error)
    body = {"detail": error.message, "code": error.code, "param": error.param}
    await send_bytes(send, status or known, _json.encode(body), headers)


def said(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:  # noqa: ANN401 - any JSON
    """A value as JSON; `msgspec.Raw` in it stays as it is."""
    return Response(_json.encode(value), status, dict(headers or {}), "application/json")


def done() -> Response:
    """204: there is nothing to say."""
    return Response(status_code=204)
