"""The autoscaling signal: how much work of hosted workflows waits, for Prometheus and for KEDA's metrics-api scaler.

It tells of all tenants: for this machine and for admins only.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.routing import Route

from trimtab.core.errors import StoreUnavailable
from trimtab.reception.desk import Asked, Desk, said
from trimtab.workflows import Backlog, BacklogReader

_GAUGES = {
    "backlog_seconds": "Estimated seconds of queued work per place of living workers.",
    "queued_runs": "Runs that wait for a worker.",
    "running_runs": "Runs that are driven.",
    "oldest_queued_seconds": "How long the first of the queued runs waits.",
}


def signal_routes(desk: Desk, signal: "Signal") -> list[Route]:
    """The route of the signal."""
    return [Route("/v1/workflows/backlog", desk.door(signal.shown), methods=["GET"])]


class Signal:
    """Constructed by `app/`; `escalated` counts the questions this process passed on."""

    def __init__(self, backlog: BacklogReader, escalated: Callable[[], int]) -> None:
        self._backlog, self._escalated = backlog, escalated

    async def shown(self, asked: Asked) -> Response:
        """`GET /v1/workflows/backlog?partition=`: figures an autoscaler picks by name."""
        asked.key.require("admin")
        return said(await self._backlog.read(asked.query.get("partition")))

    async def metrics(self) -> bytes:
        """Text for /metrics. Without the store there are no gauges: an old figure would be taken for a new one."""
        try:
            backlog = await self._backlog.read()
        except StoreUnavailable:
            backlog = None
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(backlog, self._escalated()))
        return generate_latest(registry)


class _Families(Collector):
    """The text's parts, of one moment."""

    def __init__(self, backlog: Backlog | None, escalated: int) -> None:
        self._backlog, self._escalated = backlog, escalated

    def collect(self) -> Iterator[Metric]:
        about = "Questions of runs that were passed on because they were due."
        yield CounterMetricFamily("trimtab_workflow_questions_escalated", about, value=self._escalated)
        if self._backlog is None:
            return
        for name, said_of in _GAUGES.items():
            family = GaugeMetricFamily(f"trimtab_workflow_{name}", said_of, labels=("workflow",))
            for part in self._backlog.workflows:
                family.add_metric((part.workflow,), getattr(part, name.removesuffix("_runs")))
            yield family
