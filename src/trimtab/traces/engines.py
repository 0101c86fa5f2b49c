"""What `/metrics` shows of the engines behind endpoints: their own words, as lately scraped."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class EngineFigures(msgspec.Struct, frozen=True):
    """One engine. `fresh`: whether its report is young enough to be believed; None is not said, or too old."""

    endpoint: str
    fresh: bool
    age_seconds: float | None = None
    running: int | None = None
    waiting: int | None = None
    kv_used: float | None = None
    prefix_share: float | None = None
    adapters: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()


_GAUGES: Mapping[str, str] = {
    "age_seconds": "Since the engine last said how it is.",
    "running": "Calls the engine serves now, everybody's.",
    "waiting": "Calls that wait in the engine's own queue.",
    "kv_used": "Share of the engine's KV cache in use.",
    "prefix_share": "Share of prompt tokens lately found in its prefix cache.",
}


def engine_metrics(figures: Iterable[EngineFigures], loads: Mapping[str, int]) -> Iterator[Metric]:
    """Nothing where no engine is asked. `loads`: by endpoint or group of endpoints."""
    shown = list(figures)
    if shown:
        up = GaugeMetricFamily("trimtab_engine_up", "1 while an engine answers.", labels=("endpoint",))
        for each in shown:
            up.add_metric((each.endpoint,), float(each.fresh))
        yield up
        for name, about in _GAUGES.items():
            yield _gauge(name, about, shown)
        yield _loaded("adapter", shown, lambda each: each.adapters)
        yield _loaded("model", shown, lambda each: each.models)
    if loads:
        about = "Adapters, models and engines this process had loaded or woken."
        family = CounterMetricFamily("trimtab_engine_loads", about, labels=("at",))
        for at, count in loads.items():
            family.add_metric((at,), count)
        yield family


def _gauge(name: str, about: str, figures: list[EngineFigures]) -> Metric:
    family = GaugeMetricFamily(f"trimtab_engine_{name}", about, labels=("endpoint",))
    for each in figures:
        value = getattr(each, name)
        if value is not None:
            family.add_metric((each.endpoint,), float(value))
    return family


def _loaded(kind: str, figures: list[EngineFigures], of: Callable[[EngineFigures], frozenset[str]]) -> Metric:
    family = GaugeMetricFamily(
        f"trimtab_engine_{kind}", f"1 for every {kind} in its memory.", labels=("endpoint", kind)
    )
    for each in figures:
        for name in sorted(of(each)):
            family.add_metric((each.endpoint, name), 1.0)
    return family
