"""What `--since` and `--until` say."""

from trimtab.core import SystemClock, in_past
from trimtab.core.errors import ConfigError


def selected(since: str, until: str) -> tuple[float | None, float | None]:
    """What `--since` and `--until` say; None where they say nothing. Raises ConfigError."""
    now = SystemClock.now()
    begin = in_past(since, now) if since else None
    end = in_past(until, now) if until else None
    if begin is not None and end is not None and begin >= end:
        raise ConfigError(f"--since {since} is not before --until {until}")
    return begin, end
