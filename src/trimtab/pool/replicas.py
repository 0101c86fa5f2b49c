"""How many replicas each kind of endpoint should have, as the autoscaling policy says of what the scheduler sees.

Endpoints that serve the same models in the same precision are one kind. Nothing here starts a server: whoever does
reads `trimtab_desired_replicas`.
"""

from collections.abc import Mapping

from trimtab.config import AutoscaleSettings
from trimtab.core import Clock
from trimtab.pool.scheduler import Scheduler
from trimtab.scheduling import PoolLoad, Scale, ScaleRules, Standing, rescale


class Replicas:
    """Constructed by `app/`. Asked at every scrape."""

    def __init__(self, settings: AutoscaleSettings, scheduler: Scheduler, clock: Clock) -> None:
        self._scheduler, self._clock = scheduler, clock
        self._rules = ScaleRules(
            settings.least,
            settings.most,
            settings.wait_seconds,
            settings.late_share,
            settings.calls_each,
            settings.cool_down_seconds,
            settings.cold_start_seconds,
        )
        self._kinds: dict[str, list[Standing]] = {}
        for standing in scheduler.standings.values():
            if not standing.terms.external:
                name = f"{'+'.join(sorted(standing.terms.models))}@{standing.terms.precision_bits}"
                self._kinds.setdefault(name, []).append(standing)
        self._scales = {name: Scale(len(standings)) for name, standings in self._kinds.items()}

    @property
    def desired(self) -> Mapping[str, int]:
        """By kind (`MODEL@BITS`)."""
        now, late = self._clock.monotonic(), self._scheduler.late_share
        for name, standings in self._kinds.items():
            ready, scale = [one for one in standings if one.available], self._scales[name]
            is_recent = now - scale.changed_at < self._rules.cold_start_seconds
            waits = [one.backlog_seconds for one in ready]
            load = PoolLoad(
                ready=len(ready),
                starting=max(0, scale.replicas - len(standings)) if is_recent else 0,
                queue_seconds=sum(waits) / len(waits) if waits else 2.0 * self._rules.wait_seconds,
                calls=sum(one.outstanding + one.waiting for one in standings),
                late_share=late,
            )
            self._scales[name] = rescale(scale, load, now, self._rules)
        return {name: scale.replicas for name, scale in self._scales.items()}
