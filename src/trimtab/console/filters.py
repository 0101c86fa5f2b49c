"""What of the runs is asked for, from the query of a page's URL and back into it. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TypeVar, get_args

import msgspec

from trimtab.core import in_past, nanodollars_of
from trimtab.core.errors import BadRequest, ConfigError
from trimtab.store import RunPlace, RunQuery, RunSorting, RunStatus, Selection, WorkflowState

STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
STATES: tuple[WorkflowState, ...] = get_args(WorkflowState)
SORTINGS: tuple[RunSorting, ...] = get_args(RunSorting)
_MOST_USD = 9_000_000_000
# What no database keeps: only forged places have it.
_UNKEPT = re.compile(rb"\0|\\u0000|[0-9]{19}")
T = TypeVar("T")
P = TypeVar("P", bound=msgspec.Struct)
FIELDS = (
    "workflow", "tenant", "user", "run", "status", "state", "cost_from", "cost_to", "seconds_from", "seconds_to",
    "since", "until", "sort",
)  # fmt: skip


def run_query(asked: Mapping[str, str], tenant: str | None, now: float) -> RunQuery:
    """The runs that a query names. Raises BadRequest that says which field cannot be read."""
    return RunQuery(
        selection=Selection(
            since=_moment(asked, "since", now),
            until=_moment(asked, "until", now),
            tenant=tenant,
            user=asked.get("user") or None,
            workflow=asked.get("workflow") or None,
            run=asked.get("run") or None,
        ),
        status=one_of(asked, "status", STATUSES),
        state=one_of(asked, "state", STATES),
        least_nanodollars=_money(asked, "cost_from"),
        most_nanodollars=_money(asked, "cost_to"),
        least_seconds=_number(asked, "seconds_from"),
        most_seconds=_number(asked, "seconds_to"),
        sorting=one_of(asked, "sort", SORTINGS) or "newest",
        after=place_of(asked.get("after", ""), RunPlace),
    )


def kept(asked: Mapping[str, str], names: tuple[str, ...] = FIELDS) -> dict[str, str]:
    """The part of a query that makes the page what it is."""
    return {name: text for name in names if (text := asked.get(name, ""))}


def one_of(asked: Mapping[str, str], name: str, options: tuple[T, ...]) -> T | None:
    """A field that has one of few values. Raises BadRequest."""
    text = asked.get(name, "")
    if not text:
        return None
    for option in options:
        if option == text:
            return option
    raise BadRequest(f"{name} is one of {', '.join(map(str, options))}, not {text[:60]!r}", param=name)


def _moment(asked: Mapping[str, str], name: str, now: float) -> float | None:
    text = asked.get(name, "")
    try:
        return in_past(text, now) if text else None
    except (ConfigError, OverflowError) as error:
        raise BadRequest(f"{name}: {error}", param=name) from error


def _number(asked: Mapping[str, str], name: str) -> float | None:
    text = asked.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MOST_USD:
        raise BadRequest(f"{name} is a number from 0 on, not {text[:60]!r}", param=name)
    return value


def _money(asked: Mapping[str, str], name: str) -> int | None:
    usd = _number(asked, name)
    return None if usd is None else nanodollars_of(usd)


def place_text(place: msgspec.Struct) -> str:
    """Where a page ended, for the URL of the next."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def place_of(text: str, kind: type[P]) -> P | None:
    """Where a page ended, as `place_text` told it; None for ''. Raises BadRequest."""
    if not text:
        return None
    try:
        told = base64.urlsafe_b64decode(text)
        if _UNKEPT.search(told):
            raise ValueError("a NUL, or a number beyond 64 bits")
        return msgspec.json.decode(told, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadRequest(
            "`after` is not where a page of ours ended; begin at the first page", param="after"
        ) from error


def start_of(asked: Mapping[str, str], name: str = "from") -> int:
    """Where a page begins, counted from 0. Raises BadRequest."""
    text = asked.get(name, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise BadRequest(f"{name} is a whole number, not {text[:60]!r}", param=name)
    return int(text)
