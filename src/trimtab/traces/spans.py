"""OpenTelemetry spans of calls over OTLP/HTTP, as a watcher. Nothing of OpenTelemetry is imported before.

A span's trace is the run's, its parent the call it was made for, so that gateways behind gateways join up.
"""

from trimtab.config import EndpointSettings, TelemetrySettings
from trimtab.core import CallRecord
from trimtab.core.errors import ConfigError
from trimtab.traces.genai import providers_of

_KEY = "telemetry.otlp_endpoint"


class Spans:
    """Exports every call it sees to `settings.otlp_endpoint`, which is set. `close` sends what still waits.

    Raises ConfigError where OpenTelemetry is not installed or the URL is none.
    """

    def __init__(self, settings: TelemetrySettings, endpoints: tuple[EndpointSettings, ...]) -> None:
        if not settings.otlp_endpoint.startswith(("http://", "https://")):
            raise ConfigError(f"{settings.otlp_endpoint!r} is no http:// or https:// URL", key=_KEY)
        try:
            from trimtab.traces.otlp_spans import Batches
        except ImportError as error:
            remedy = "spans need OpenTelemetry, which is not installed: pip install 'trimtab[otel]'"
            raise ConfigError(remedy, key=_KEY) from error
        self._batches = Batches(
            settings.otlp_endpoint,
            settings.service_name,
            providers_of(endpoints),
            with_content=settings.content,
        )

    def __call__(self, record: CallRecord) -> None:
        """Queue one finished call."""
        self._batches.add(record)

    def close(self) -> None:
        """Send what waits and stop; takes up to a few seconds while the collector is away."""
        self._batches.close()
