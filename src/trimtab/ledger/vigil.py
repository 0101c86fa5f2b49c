"""Who has fallen silent: judged by what this process saw itself, without comparing clocks of different machines.

A process is silent when its last beat has stayed the same for a whole lease, while we looked without a gap. A gap
(the database was away, this process was stopped) proves nothing about others, and the wait begins anew.
"""

from collections.abc import Mapping


class Vigil:
    """Fed by the keeper with every heartbeat; times are monotonic seconds."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._seen: dict[str, tuple[float, float]] = {}
        self._looked_at = float("-inf")

    def look(self, beats: Mapping[str, float], now: float) -> dict[str, float]:
        """Note the last beats of all others that are said to live; returns those that are silent."""
        if now - self._looked_at > self._lease_seconds / 3:
            self._seen.clear()
        self._looked_at = now
        self._seen = {
            process: self._seen[process]
            if process in self._seen and self._seen[process][0] == beat_at
            else (beat_at, now)
            for process, beat_at in beats.items()
        }
        return {
            process: beat_at
            for process, (beat_at, since) in self._seen.items()
            if now - since > self._lease_seconds
        }
