"""Windows of time that limits live in: a minute, a day, a month (UTC), or as long as a run."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

WindowName = Literal["run", "minute", "day", "month"]


class Window(msgspec.Struct, frozen=True, gc=False):
    """`label` names it within its kind; `resets_at` is epoch seconds, None where it never ends."""

    label: str
    resets_at: float | None


def window_at(name: WindowName, at: float) -> Window:
    """The window of kind `name` that holds the moment `at` (epoch seconds)."""
    if name == "run":
        return Window("run", None)
    moment = datetime.fromtimestamp(at, UTC)
    if name == "minute":
        start = moment.replace(second=0, microsecond=0)
        return Window(start.strftime("%Y-%m-%dT%H:%M"), (start + timedelta(minutes=1)).timestamp())
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if name == "day":
        return Window(start.strftime("%Y-%m-%d"), (start + timedelta(days=1)).timestamp())
    start = start.replace(day=1)
    following = (start + timedelta(days=32)).replace(day=1)
    return Window(start.strftime("%Y-%m"), following.timestamp())
