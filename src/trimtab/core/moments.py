"""Moments and spans of time as people write them, on a command line or in a form. Pure."""

import re
from datetime import UTC, datetime

from trimtab.core.errors import ConfigError

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def in_past(text: str, now: float) -> float:
    """`7d`, `24h` (so long before `now`) or a date as epoch seconds. Raises ConfigError."""
    span = _span(text)
    return now - span if span is not None else _moment(text)


def in_future(text: str, now: float) -> float:
    """`30d` (so long after `now`) or a date as epoch seconds. Raises ConfigError."""
    span = _span(text)
    moment = now + span if span is not None else _moment(text)
    if moment <= now:
        raise ConfigError(f"{text!r} lies in the past")
    return moment


def shown_time(moment: float | None) -> str:
    """Epoch seconds for people, in UTC."""
    if moment is None:
        return ""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _span(text: str) -> float | None:
    match = _SPAN.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time: write a span (90m, 24h, 7d) or a date (2026-11-01, 2026-11-01T12:00)"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
