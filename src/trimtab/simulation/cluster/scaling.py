"""Servers that come and go as the autoscaling policy asks; a new one is paid for from its start, and cold till then."""

from collections.abc import Callable

from trimtab.scheduling import PoolLoad, Scale, ScaleRules, Standing, rescale
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.pool import Pool
from trimtab.simulation.cluster.settings import ScalingSettings

_PATIENCE_SECONDS = 5.0


class Fleet:
    """Who is on, since when, and what it costs. Without settings nothing changes."""

    def __init__(
        self,
        settings: ScalingSettings | None,
        pool: Pool,
        agenda: Agenda,
        make: Callable[[], Standing],
        until: float,
        late_share: Callable[[float], float],
    ) -> None:
        """`make` adds one more server of the kind that scales; `late_share` is that of runs without slack."""
        self._settings, self._pool, self._agenda, self._make = settings, pool, agenda, make
        self._until, self._late_share = until, late_share
        self._on: dict[int, tuple[float, float]] = {}
        self._draining: set[int] = set()
        self._starting = 0
        self._scaled: list[Standing] = []
        self.dollars = 0.0
        self.most_on = 0

    def begin(self, standings: list[Standing], scaled: int) -> None:
        """These are on from the start; the first `scaled` of them are of the kind that scales."""
        for one in standings:
            self._on[one.index] = (0.0, one.hour_dollars)
        self._scaled = standings[:scaled]
        self.most_on = len(standings)
        if self._settings is not None:
            self._rules = ScaleRules(
                self._settings.least,
                self._settings.most,
                self._settings.wait_seconds,
                self._settings.late_share,
                self._settings.calls_each,
                self._settings.cool_down_seconds,
                self._settings.cold_start_seconds,
            )
            self._scale = Scale(scaled)
            self._agenda.at(self._settings.every_seconds, self._look, None)

    def settle(self, now: float) -> float:
        """Dollars of machine time up to now."""
        running = sum((now - since) / 3600.0 * price for since, price in self._on.values())
        return self.dollars + running

    def _look(self, _: None, now: float) -> None:
        assert self._settings is not None
        ready = [one for one in self._scaled if one.available]
        waits = [one.backlog_seconds for one in ready]
        calls = sum(one.outstanding + one.waiting for one in ready)
        mean = sum(waits) / len(waits) if waits else _PATIENCE_SECONDS
        load = PoolLoad(len(ready), self._starting, mean, calls, self._late_share(now))
        self._scale = rescale(self._scale, load, now, self._rules)
        self._follow(ready, now)
        if now < self._until:
            self._agenda.at(now + self._settings.every_seconds, self._look, None)

    def _follow(self, ready: list[Standing], now: float) -> None:
        present = len(ready) + self._starting
        for _ in range(self._scale.replicas - present):
            self._starting += 1
            self._agenda.at(now + self._rules.cold_start_seconds, self._ready, now)
        if self._scale.replicas < len(ready) and not self._starting:
            leaving = min(ready, key=lambda one: (one.outstanding + one.waiting, one.name))
            self._pool.turn(leaving, now, available=False)
            self._draining.add(leaving.index)
        self._stop_idle(now)

    def _ready(self, since: float, now: float) -> None:
        self._starting -= 1
        standing = self._make()
        self._scaled.append(standing)
        self._on[standing.index] = (since, standing.hour_dollars)
        self.most_on = max(self.most_on, len(self._on))
        self._pool.turn(standing, now, available=True)

    def _stop_idle(self, now: float) -> None:
        for index in list(self._draining):
            server = self._pool.servers[index]
            if server is not None and server.idle:
                since, price = self._on.pop(index)
                self.dollars += (now - since) / 3600.0 * price
                self._draining.discard(index)
