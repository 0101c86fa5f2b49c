"""The console's front door: who comes in, on which session, with which token; errors become pages.

A session is a random cookie whose digest stands in the store, so every process of the house knows it.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import SplitResult, parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from trimtab.console.sheets import ROOT, Sheets, link
from trimtab.console.visitor import Visitor
from trimtab.core import Clock, Role
from trimtab.core.errors import (
    BadRequest,
    CallError,
    Forbidden,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
)
from trimtab.gateway import Gone, is_loopback, read_body, status_of
from trimtab.pool import Patience
from trimtab.store import Database, SessionRow, sessions
from trimtab.tenants import LOCAL, KeyFacts, Keyring

Motion = Callable[[Visitor], Awaitable[Response]]
COOKIE, OPEN_COOKIE = "trimtab_console", "trimtab_console_open"
_SESSION_SECONDS = 12 * 3_600
_MOST_BYTES = 1 << 20
_OWN_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_log = logging.getLogger(__name__)


class FrontDoor:
    """Constructed by the console."""

    def __init__(self, keyring: Keyring, database: Database, clock: Clock, sheets: Sheets) -> None:
        self._keyring, self._database, self._clock, self._sheets = keyring, database, clock, sheets
        self._patience = Patience()

    def page(self, motion: Motion, role: Role = "viewer") -> "Doorway":
        """A motion as an endpoint for who has at least this role; anything but a GET needs the form's token."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            send = _guarded(send)
            visitor: Visitor | None = None
            try:
                visitor, fresh = await self._enter(scope, receive)
                visitor.key.require(role)
                response = await motion(visitor)
                if fresh:
                    response.set_cookie(OPEN_COOKIE, fresh, path=ROOT, httponly=True, samesite="strict")
            except Unauthenticated as error:
                response = self._to_sign_in(scope, error)
            except Gone:
                return
            except Exception as error:  # the edge of the process: whatever it is, a page says so
                response = self._told(error, visitor)
            await response(scope, receive, send)

        return Doorway(serve)

    async def signing_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET` and `POST /console/sign-in`: a key is exchanged for a cookie."""
        send = _guarded(send)
        try:
            response = await self._sign_in(scope, receive)
        except Gone:
            return
        except Exception as error:  # the edge of the process: whatever it is, a page says so
            response = self._told(error, None)
        await response(scope, receive, send)

    async def _sign_in(self, scope: Scope, receive: Receive) -> Response:
        query = QueryParams(scope["query_string"])
        back = _own_path(query.get("next", ""))
        if scope["method"] != "POST":
            return self._sheets.page("sign_in", None, "Sign in", back=back, fault="")
        _require_own_page(Headers(scope=scope))
        form = await self._form(scope, receive)
        try:
            key = await self._keyring.open(form.get("key", "").strip(), loopback=False)
        except Unauthenticated as error:
            return self._sheets.page("sign_in", None, "Sign in", 401, back=back, fault=error.message)
        cookie, now = secrets.token_urlsafe(32), self._clock.now()
        row = SessionRow(_digest(cookie), key.id, now, now + _SESSION_SECONDS)
        await self._database.run(lambda connection: sessions.add(connection, row))
        response = RedirectResponse(back or ROOT, 303)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=_SESSION_SECONDS,
            path=ROOT,
            secure=_is_https(scope),
            httponly=True,
            samesite="lax",
        )
        return response

    async def static(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /console/static/{name}`: a file that goes with the pages."""
        response = self._sheets.static(scope["path_params"]["name"]) or Response("there is no such file", 404)
        await response(scope, receive, _guarded(send))

    async def nowhere(self, visitor: Visitor) -> Response:
        """Any other path below the console's."""
        raise NotFound(f"there is nothing at {visitor.path}")

    async def sign_out(self, visitor: Visitor) -> Response:
        """`POST /console/sign-out`."""
        await self._database.run(lambda connection: sessions.end(connection, visitor.session))
        response = RedirectResponse(link("/sign-in"), 303)
        response.delete_cookie(COOKIE, path=ROOT)
        return response

    async def _enter(self, scope: Scope, receive: Receive) -> tuple[Visitor, str]:
        """The visitor, and a cookie to set. Raises Unauthenticated, Forbidden, BadRequest, StoreUnavailable."""
        headers = Headers(scope=scope)
        cookies = cookie_parser(headers.get("cookie", ""))
        key, cookie, fresh = await self._key(scope, headers, cookies)
        token = hashlib.sha256(f"form:{cookie}".encode()).hexdigest()
        form: dict[str, str] = {}
        if scope["method"] not in ("GET", "HEAD"):
            _require_own_page(headers)
            form = await self._form(scope, receive)
            if not hmac.compare_digest(form.pop("token", "").encode(), token.encode()):
                raise Forbidden("this form is stale or not ours; load the page again and send it anew")
        query = QueryParams(scope["query_string"])
        for name, text in (*query.multi_items(), *form.items()):
            if "\0" in text:
                raise BadRequest(f"{name} has a NUL character; leave it out", param=name)
        session = "" if key is LOCAL else _digest(cookie)
        return Visitor(key, token, key is LOCAL, scope["path"], query, form, session), fresh

    async def _key(
        self, scope: Scope, headers: Headers, cookies: dict[str, str]
    ) -> tuple[KeyFacts, str, str]:
        """The key, the cookie that the token is made of, and one to set, '' for none."""
        if not self._keyring.is_locked:
            key = await self._keyring.open("", loopback=is_loopback(scope) and _is_own_name(headers))
            known = cookies.get(OPEN_COOKIE, "")
            fresh = "" if known else secrets.token_urlsafe(16)
            return key, known or fresh, fresh
        cookie, now = cookies.get(COOKIE, ""), self._clock.now()
        if not cookie:
            raise Unauthenticated("sign in with an API key")
        session = await self._database.run(lambda c: sessions.find(c, _digest(cookie), now))
        if session is None:
            raise Unauthenticated("the session is over; sign in again")
        return await self._keyring.holder(session.key), cookie, ""

    async def _form(self, scope: Scope, receive: Receive) -> dict[str, str]:
        body = await read_body(scope, receive, _MOST_BYTES, self._patience)
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200))
        except ValueError as error:
            raise BadRequest(f"the form cannot be read: {error}") from error

    def _to_sign_in(self, scope: Scope, error: Unauthenticated) -> Response:
        if not self._keyring.is_locked:
            return self._sheets.page("fault", None, "Not here", 401, status=401, said=error.message)
        path = scope["path"]
        if scope["method"] != "GET" or path.startswith(link("/live")):
            return self._sheets.page("sign_in", None, "Sign in", 401, back="", fault=error.message)
        query = scope["query_string"].decode("latin-1")
        return RedirectResponse(link("/sign-in", next=f"{path}?{query}" if query else path), 303)

    def _told(self, error: Exception, visitor: Visitor | None) -> Response:
        if isinstance(error, CallError):
            status, said = status_of(error), error.message
        elif isinstance(error, StoreUnavailable):
            status, said = 503, f"The store does not answer: {error}"
        else:
            _log.error("a page of the console failed", exc_info=error)
            status, said = 500, f"a fault of ours: {type(error).__name__}; the log says more"
        return self._sheets.page("fault", visitor, f"Error {status}", status, status=status, said=said)


class Doorway:
    """An object, because Starlette takes functions for request handlers."""

    def __init__(self, serve: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send)


def _guarded(send: Send) -> Send:
    """Every answer of the console carries the headers that keep foreign scripts and frames out."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return guarded


def _require_own_page(headers: Headers) -> None:
    """Raises Forbidden where another site's page sends the form."""
    origin = headers.get("origin")
    if origin is not None and _split(origin).netloc != headers.get("host", ""):
        raise Forbidden("this form comes from another site")


def _is_own_name(headers: Headers) -> bool:
    """Whether the browser knows this machine by a name no other site can take."""
    return (_split(f"//{headers.get('host', '')}").hostname or "") in _OWN_NAMES


def _split(address: str) -> SplitResult:
    """What cannot be read is nobody's."""
    try:
        return urlsplit(address)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _own_path(path: str) -> str:
    """A page of the console to go on to; '' for anything else."""
    return path if path == ROOT or path.startswith((f"{ROOT}/", f"{ROOT}?")) else ""


def _is_https(scope: Scope) -> bool:
    return scope["scheme"] == "https" or Headers(scope=scope).get("x-forwarded-proto") == "https"


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
