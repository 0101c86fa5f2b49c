"""What looks on as calls are recorded: metrics always, spans where a collector is configured."""

from collections.abc import Callable

from trimtab.config import Settings
from trimtab.controllers import Host, Roster
from trimtab.core import CallRecord, Clock
from trimtab.ledger import Ledger
from trimtab.pool import Pool, Replicas, Scheduler
from trimtab.pool.engines import Engines
from trimtab.store import Writer
from trimtab.traces import ControllerFigures, EngineFigures, Gauges, Metrics, Spans


class Watchers:
    """All watchers, and how they end."""

    def __init__(self, metrics: Metrics, spans: Spans | None) -> None:
        self.metrics, self._spans = metrics, spans
        self.all: tuple[Callable[[CallRecord], None], ...] = (metrics,) if spans is None else (metrics, spans)

    def close(self) -> None:
        """Send what waits; may take seconds while a collector is away."""
        if self._spans is not None:
            self._spans.close()


def build_watchers(
    settings: Settings,
    pool: Pool,
    scheduler: Scheduler | None,
    clock: Clock,
    engines: Engines,
    ledger: Ledger,
    writer: Writer,
    roster: Roster,
) -> Watchers:
    """The watchers the settings ask for. Raises ConfigError."""
    endpoints = pool.endpoints.values()
    replicas = None if scheduler is None else Replicas(settings.scheduling.autoscale, scheduler, clock)
    gauges = Gauges(
        in_flight=lambda: {endpoint.name: endpoint.in_flight for endpoint in endpoints},
        queued=lambda: {endpoint.name: endpoint.queued for endpoint in endpoints},
        breaker_open=lambda: {endpoint.name: not endpoint.available for endpoint in endpoints},
        desired_replicas=lambda: {} if replicas is None else replicas.desired,
        open_holds=lambda: ledger.open_holds,
        journal_lag_bytes=lambda: writer.lag_bytes,
        database_up=lambda: writer.available,
        controllers=lambda: [_figures(state, host) for state, host in roster.hosts],
        shadows_dropped=lambda: roster.tally.dropped,
        engines=lambda: engine_figures(engines),
        engine_loads=lambda: engines.residence.loads,
    )
    telemetry = settings.telemetry
    spans = Spans(telemetry, settings.endpoint) if telemetry.otlp_endpoint else None
    return Watchers(Metrics(gauges), spans)


def _figures(state: str, host: Host) -> ControllerFigures:
    manifest, drift = host.manifest, host.drift
    return ControllerFigures(
        controller=manifest.name,
        version=manifest.version,
        state=state,
        answered=host.answered,
        abstained=host.abstained,
        troubles=dict(host.troubles),
        drift_index=None if drift is None else drift.index,
        drifts=drift is not None and bool(drift.reasons),
    )


def engine_figures(engines: Engines) -> list[EngineFigures]:
    """What the engines behind endpoints said lately, by endpoint that is asked."""
    ages, shown = engines.ages, []
    for name, report in engines.reports.items():
        if report is None:
            shown.append(EngineFigures(name, fresh=False, age_seconds=ages.get(name)))
            continue
        figures = EngineFigures(
            endpoint=name,
            fresh=True,
            age_seconds=ages[name],
            running=report.running,
            waiting=report.waiting,
            kv_used=report.kv_used,
            prefix_share=report.prefix_share,
            adapters=report.adapters or frozenset(),
            models=report.models or frozenset(),
        )
        shown.append(figures)
    return shown
