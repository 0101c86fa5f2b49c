"""Windows of time that limits live in: a minute, a day, a month (UTC), as long as a run, or for good."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

WindowName = Literal["run", "minute", "day", "month", "total"]


class Window(msgspec.Struct, frozen=True, gc=False):
    """`label` names it within its kind; both times are epoch seconds, `resets_at` None where it never ends."""

    label: str
    resets_at: float | None
    starts_at: float = 0.0


def window_at(name: WindowName, at: float) -> Window:
    """The window of kind `name` that holds the moment `at` (epoch seconds)."""
    if name in ("run", "total"):
        return Window(name, None)
    moment = datetime.fromtimestamp(at, UTC)
    if name == "minute":
        start = moment.replace(second=0, microsecond=0)
        return _window(start, start + timedelta(minutes=1), "%Y-%m-%dT%H:%M")
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if name == "day":
        return _window(start, start + timedelta(days=1), "%Y-%m-%d")
    start = start.replace(day=1)
    following = (start + timedelta(days=32)).replace(day=1)
    return _window(start, following, "%Y-%m")


def _window(start: datetime, end: datetime, label: str) -> Window:
    return Window(start.strftime(label), end.timestamp(), start.timestamp())
