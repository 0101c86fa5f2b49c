"""How long to wait before the next try at an endpoint that failed."""

_DOUBLINGS = 40


def delay(
    attempt: int,
    unit: float,
    base_seconds: float,
    cap_seconds: float,
    retry_after_seconds: float | None = None,
    left_seconds: float | None = None,
) -> float | None:
    """Seconds to wait before retry number `attempt` (0 is the first), or None where waiting is of no use.

    Exponential with full jitter: `unit` in [0, 1) of base * 2**attempt, at most the cap. Never shorter than
    the endpoint's own Retry-After, which is spread by up to one base so that not all come back at once, and
    not cut by the cap. None where the wait would not end within `left_seconds`, the time to the deadline.
    Source: M. Brooker, Exponential Backoff and Jitter (AWS, 2015).
    """
    wait = unit * min(cap_seconds, base_seconds * 2.0 ** min(attempt, _DOUBLINGS))
    if retry_after_seconds is not None:
        wait = max(wait, retry_after_seconds + unit * base_seconds)
    if left_seconds is not None and wait >= left_seconds:
        return None
    return wait
