"""What looks on as calls are recorded: metrics always, spans where a collector is configured."""

from collections.abc import Callable

from trimtab.config import Settings
from trimtab.core import CallRecord
from trimtab.ledger import Ledger
from trimtab.pool import Pool
from trimtab.store import Writer
from trimtab.traces import Gauges, Metrics, Spans


class Watchers:
    """All watchers, and how they end."""

    def __init__(self, metrics: Metrics, spans: Spans | None) -> None:
        self.metrics, self._spans = metrics, spans
        self.all: tuple[Callable[[CallRecord], None], ...] = (metrics,) if spans is None else (metrics, spans)

    def close(self) -> None:
        """Send what waits; may take seconds while a collector is away."""
        if self._spans is not None:
            self._spans.close()


def build_watchers(settings: Settings, pool: Pool, ledger: Ledger, writer: Writer) -> Watchers:
    """The watchers the settings ask for. Raises ConfigError."""
    endpoints = pool.endpoints.values()
    gauges = Gauges(
        in_flight=lambda: {endpoint.name: endpoint.in_flight for endpoint in endpoints},
        queued=lambda: {endpoint.name: len(endpoint.queue) for endpoint in endpoints},
        breaker_open=lambda: {endpoint.name: not endpoint.available for endpoint in endpoints},
        open_holds=lambda: ledger.open_holds,
        journal_lag_bytes=lambda: writer.lag_bytes,
        database_up=lambda: writer.available,
    )
    telemetry = settings.telemetry
    spans = Spans(telemetry, settings.endpoint) if telemetry.otlp_endpoint else None
    return Watchers(Metrics(gauges), spans)
