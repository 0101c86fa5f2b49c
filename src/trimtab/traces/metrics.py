"""Prometheus metrics: counted as calls are recorded, gathered when somebody asks.

Counting is on the way of every call, so it is plain additions to dictionaries on the event loop; text is made
at scrape. Labels are bounded: clients choose names of workflows and models, and must not fill our memory.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from trimtab.core import CallRecord
from trimtab.traces.engines import EngineFigures, engine_metrics

_OTHER = "other"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_CALLS = ("workflow", "model", "endpoint", "status", "surface")
_KINDS = ("input", "cached", "cache_write", "output", "reasoning")


def _nothing() -> Mapping[str, float]:
    return {}


def _none() -> Mapping[str, int]:
    return {}


class ControllerFigures(msgspec.Struct, frozen=True):
    """What one controller did in this process. `drift_index` None: it says nothing of its validation."""

    controller: str
    version: str
    state: str
    answered: int
    abstained: int
    troubles: Mapping[str, int]
    drift_index: float | None
    drifts: bool


class Gauges(msgspec.Struct, frozen=True):
    """What is read at scrape; `app/` gives the readers. The first three say it by endpoint."""

    in_flight: Callable[[], Mapping[str, float]] = _nothing
    queued: Callable[[], Mapping[str, float]] = _nothing
    breaker_open: Callable[[], Mapping[str, float]] = _nothing
    desired_replicas: Callable[[], Mapping[str, float]] = _nothing
    open_holds: Callable[[], float] | None = None
    journal_lag_bytes: Callable[[], float] | None = None
    database_up: Callable[[], float] | None = None
    controllers: Callable[[], Iterable[ControllerFigures]] = tuple
    shadows_dropped: Callable[[], int] = int
    engines: Callable[[], Iterable[EngineFigures]] = tuple
    engine_loads: Callable[[], Mapping[str, int]] = _none


class Names:
    """The first `most` distinct values of a label; what comes later is `other`."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._known: dict[str, str] = {}

    def of(self, value: str) -> str:
        """The value to show."""
        shown = self._known.get(value)
        if shown is not None:
            return shown
        if self._left <= 0:
            return _OTHER
        self._left -= 1
        self._known[value] = value
        return value


class Histogram:
    """Counts by bucket, and the sum, of one label set."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, as Prometheus wants them."""
        counts, running, shown = list(self.counts), 0, []
        for bound, count in zip([*map(str, _SECONDS), "+Inf"], counts, strict=True):
            running += count
            shown.append((bound, float(running)))
        return shown


class Lanes:
    """Label sets of workflow, model and endpoint: at most `most`, of at most `most_values` names each.

    Later ones share the lane in which everything is `other`.
    """

    def __init__(self, most_values: int, most: int) -> None:
        self._names = (Names(most_values), Names(most_values), Names(most_values))
        self._most = most
        self._made: set[tuple[str, str, str]] = set()

    def of(self, workflow: str, model: str, endpoint: str) -> tuple[str, str, str]:
        """The labels to count under."""
        lane = (workflow, model, endpoint)
        return lane if lane in self._made else self._new(*lane)

    def _new(self, workflow: str, model: str, endpoint: str) -> tuple[str, str, str]:
        if len(self._made) >= self._most:
            return (_OTHER, _OTHER, _OTHER)
        workflows, models, endpoints = self._names
        lane = (workflows.of(workflow), models.of(model), endpoints.of(endpoint))
        self._made.add(lane)
        return lane


class Metrics(Collector):
    """A watcher of calls, and what `/metrics` shows. `most_values` bounds each label that clients choose."""

    def __init__(self, gauges: Gauges, most_values: int = 100, most_lanes: int = 1000) -> None:
        self._gauges = gauges
        self._lanes = Lanes(most_values, most_lanes)
        self._tenants, self._codes = Names(most_values), Names(most_values)
        self._calls: dict[tuple[str, ...], int] = {}
        self._seconds: dict[tuple[str, str, str], Histogram] = {}
        self._first: dict[tuple[str, str, str], Histogram] = {}
        self._costs: dict[tuple[str, str], int] = {}
        self._refusals: dict[str, int] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self._tokens = dict.fromkeys(_KINDS, 0)
        self._recalls = 0
        self._decided = 0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def __call__(self, record: CallRecord) -> None:
        """Count one finished call. The time of refused ones is not observed: nothing was done in it."""
        call, who = record.call, record.call.who
        # Until it was routed, a model is any word a client may write.
        model = record.model or ("" if record.decision is None else call.model)
        lane = self._lanes.of(who.workflow, model, record.endpoint)
        calls = self._calls
        key = (*lane, record.status, call.surface)
        calls[key] = calls.get(key, 0) + 1
        if record.status == "refused":
            code = self._codes.of(record.code)
            self._refusals[code] = self._refusals.get(code, 0) + 1
        else:
            self._time(record, lane)
        if record.answered_by == "recall":
            self._recalls += 1
        elif record.answered_by == "controller":
            self._decided += 1
        if record.attempts:
            self._count_attempts(record, (self._tenants.of(who.tenant), lane[0]))

    def _time(self, record: CallRecord, lane: tuple[str, str, str]) -> None:
        seconds = self._seconds.get(lane)
        if seconds is None:
            seconds = self._seconds[lane] = Histogram()
            self._first[lane] = Histogram()
        seconds.observe(record.seconds)
        if record.first_token_seconds is not None:
            self._first[lane].observe(record.first_token_seconds)

    def _count_attempts(self, record: CallRecord, payer: tuple[str, str]) -> None:
        """Money and tokens are counted by attempt: those that failed or were rejected were paid for too."""
        attempts, tokens, spent = self._attempts, self._tokens, 0
        for attempt in record.attempts:
            key = (attempt.endpoint, attempt.outcome)
            attempts[key] = attempts.get(key, 0) + 1
            spent += attempt.nanodollars
            usage = attempt.usage
            tokens["input"] += usage.input_tokens
            tokens["output"] += usage.output_tokens
            if usage.cached_tokens or usage.cache_write_tokens or usage.reasoning_tokens:
                tokens["cached"] += usage.cached_tokens
                tokens["cache_write"] += usage.cache_write_tokens
                tokens["reasoning"] += usage.reasoning_tokens
        if spent:
            self._costs[payer] = self._costs.get(payer, 0) + spent

    def render(self) -> bytes:
        """Prometheus text, version 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """For the registry. Dictionaries are copied first, because scrapes may run in another thread."""
        yield _counter("trimtab_calls", "Finished calls.", _CALLS, dict(self._calls))
        lane = _CALLS[:3]
        yield _histogram("trimtab_call_seconds", "From request to reply.", lane, dict(self._seconds))
        yield _histogram("trimtab_first_token_seconds", "Until the first piece.", lane, dict(self._first))
        tokens = {(kind,): count for kind, count in self._tokens.items()}
        about = "Tokens of all attempts; cached and cache_write are part of input, reasoning of output."
        yield _counter("trimtab_tokens", about, ("kind",), tokens)
        about = "Money charged for attempts."
        yield _counter("trimtab_cost_nanodollars", about, ("tenant", "workflow"), dict(self._costs))
        refusals = {(code,): count for code, count in dict(self._refusals).items()}
        yield _counter("trimtab_refusals", "Calls that were not let in.", ("code",), refusals)
        about = "Tries at endpoints."
        yield _counter("trimtab_attempts", about, ("endpoint", "outcome"), dict(self._attempts))
        yield _counter("trimtab_recalls", "Calls answered from the cache.", (), {(): self._recalls})
        about = "Calls answered by a controller, without a model."
        yield _counter("trimtab_decided_calls", about, (), {(): self._decided})
        yield from self._read_gauges()
        yield from engine_metrics(self._gauges.engines(), self._gauges.engine_loads())
        yield from _controller_metrics(list(self._gauges.controllers()), self._gauges.shadows_dropped())

    def _read_gauges(self) -> Iterator[Metric]:
        read = self._gauges
        by_endpoint = {
            "trimtab_in_flight": ("Calls at an endpoint now.", read.in_flight),
            "trimtab_queued": ("Calls that wait for an endpoint.", read.queued),
            "trimtab_breaker_open": ("1 while an endpoint is left alone.", read.breaker_open),
        }
        for name, (about, values) in by_endpoint.items():
            family = GaugeMetricFamily(name, about, labels=("endpoint",))
            for endpoint, value in values().items():
                family.add_metric((endpoint,), float(value))
            yield family
        desired = self._gauges.desired_replicas()
        if desired:
            family = GaugeMetricFamily(
                "trimtab_desired_replicas", "Replicas to wish for, by models and bits.", labels=("kind",)
            )
            for kind, count in desired.items():
                family.add_metric((kind,), float(count))
            yield family
        plain = {
            "trimtab_open_holds": ("Holds neither settled nor released.", read.open_holds),
            "trimtab_journal_lag_bytes": ("Journal not yet in the database.", read.journal_lag_bytes),
            "trimtab_database_up": ("1 while the database answers.", read.database_up),
        }
        for name, (about, value_of) in plain.items():
            if value_of is not None:
                yield GaugeMetricFamily(name, about, value=float(value_of()))


def _controller_metrics(figures: list[ControllerFigures], dropped: int) -> Iterator[Metric]:
    """Nothing where no controller is at work."""
    if not figures:
        return
    labels = ("controller", "version", "state")
    decisions: dict[tuple[str, ...], int] = {}
    troubles: dict[tuple[str, ...], int] = {}
    index = GaugeMetricFamily(
        "trimtab_controller_drift", "Stability index against validation.", labels=labels
    )
    drifts = GaugeMetricFamily("trimtab_controller_drifts", "1 where it matters.", labels=labels)
    for each in figures:
        here = (each.controller, each.version, each.state)
        decisions[*here, "answered"] = each.answered
        decisions[*here, "abstained"] = each.abstained
        troubles |= {(*here, what): count for what, count in each.troubles.items()}
        drifts.add_metric(here, float(each.drifts))
        if each.drift_index is not None:
            index.add_metric(here, each.drift_index)
    yield _counter("trimtab_controller_decisions", "Decisions.", (*labels, "outcome"), decisions)
    about = "Times a controller was late or failed, and so abstained."
    yield _counter("trimtab_controller_troubles", about, (*labels, "trouble"), troubles)
    yield index
    yield drifts
    yield _counter("trimtab_shadows_dropped", "Calls not looked at: too many waited.", (), {(): dropped})


_Key = TypeVar("_Key", bound=tuple[str, ...])


def _counter(name: str, about: str, labels: tuple[str, ...], counts: Mapping[_Key, int]) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, count in counts.items():
        family.add_metric(key, count)
    return family


def _histogram(
    name: str, about: str, labels: tuple[str, ...], series: Mapping[tuple[str, str, str], Histogram]
) -> Metric:
    family = HistogramMetricFamily(name, about, labels=labels)
    for key, histogram in series.items():
        family.add_metric(key, histogram.buckets(), histogram.total)
    return family
