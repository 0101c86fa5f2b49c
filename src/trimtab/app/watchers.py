"""What looks on as calls are recorded: metrics always, spans where a collector is configured."""

from collections.abc import Callable

from trimtab.config import Settings
from trimtab.core import CallRecord
from trimtab.ledger import Ledger
from trimtab.pool import Pool
from trimtab.store import Writer


class Metrics:
    """Placeholder until traces.metrics lands."""

    def render(self) -> bytes:
        return b""


class Watchers:
    """All watchers, and how they end."""

    def __init__(self, all: tuple[Callable[[CallRecord], None], ...], close: Callable[[], None]) -> None:
        self.all, self.close = all, close


def build_metrics(pool: Pool, ledger: Ledger, writer: Writer) -> Metrics:
    return Metrics()


def build_watchers(settings: Settings, metrics: Metrics) -> Watchers:
    return Watchers((), lambda: None)
