"""The last hour of calls and runs as figures and lines: what the page Now shows. Pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from trimtab.console.charts import Chart, Line, percentile
from trimtab.console.words import count, span, usd
from trimtab.store import BOUNDS, MinuteSums, RunTimes

MINUTES = 60
_LATELY = 5
_SHARES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))


class EndpointHour(msgspec.Struct, frozen=True):
    """An endpoint's calls of the last hour. `seconds` is their 95th percentile."""

    name: str
    calls: int
    failed: int
    seconds: float | None
    nanodollars: int
    cached: float | None


class Hour(msgspec.Struct, frozen=True):
    """The last hour, up to the minute before this one. Rates are of its last five minutes, percentiles in seconds."""

    calls_a_second: float
    runs_a_second: float
    call_seconds: dict[str, float | None]
    run_seconds: dict[str, float | None]
    calls: int
    failed: int
    refusals: dict[str, int]
    recalled: int
    decided: int
    nanodollars: int
    endpoints: list[EndpointHour]
    charts: list[Chart]
    sampled: bool


def hour_of(rows: Sequence[MinuteSums], runs: RunTimes, until: int, most: int) -> Hour:
    """What the calls of the minutes before `until`, and the newest runs (at most `most` were read), come to."""
    since = until - MINUTES
    answered = [row for row in rows if row.status != "refused"]
    lately = [row for row in rows if row.minute >= until - _LATELY]
    whole = Counter(int(at // 60) for at in runs.started_at)
    sampled = len(runs.started_at) == most
    refusals: Counter[str] = Counter()
    for row in rows:
        if row.status == "refused":
            refusals[row.code] += row.calls
    return Hour(
        calls_a_second=sum(row.calls for row in lately) / (_LATELY * 60),
        runs_a_second=sum(whole[minute] for minute in range(until - _LATELY, until)) / (_LATELY * 60),
        call_seconds={name: percentile(_buckets(answered), part) for name, part in _SHARES},
        run_seconds={name: _rank(runs.seconds, part) for name, part in _SHARES},
        calls=sum(row.calls for row in rows),
        failed=sum(row.calls for row in rows if row.status == "failed"),
        refusals=dict(refusals.most_common()),
        recalled=sum(row.calls for row in rows if row.answered_by == "recall"),
        decided=sum(row.calls for row in rows if row.answered_by == "controller"),
        nanodollars=sum(row.nanodollars for row in rows),
        endpoints=endpoints_of(rows),
        charts=_charts(rows, answered, whole, since, until),
        sampled=sampled,
    )


def _buckets(rows: Sequence[MinuteSums]) -> list[tuple[float, int]]:
    counts: Counter[int] = Counter()
    for row in rows:
        counts[row.bucket] += row.calls
    return [(BOUNDS[bucket], counts[bucket]) for bucket in sorted(counts)]


def _rank(values: Sequence[float], part: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def endpoints_of(rows: Sequence[MinuteSums]) -> list[EndpointHour]:
    """What each endpoint's calls come to, by name; those that we refused are nobody's."""
    named: dict[str, list[MinuteSums]] = defaultdict(list)
    for row in rows:
        if row.endpoint and row.status != "refused":
            named[row.endpoint].append(row)
    return [_endpoint(name, named[name]) for name in sorted(named)]


def _endpoint(name: str, rows: Sequence[MinuteSums]) -> EndpointHour:
    tokens = sum(row.input_tokens for row in rows)
    return EndpointHour(
        name=name,
        calls=sum(row.calls for row in rows),
        failed=sum(row.calls for row in rows if row.status == "failed"),
        seconds=percentile(_buckets(rows), 0.95),
        nanodollars=sum(row.nanodollars for row in rows),
        cached=sum(row.cached_tokens for row in rows) / tokens if tokens else None,
    )


def _charts(
    rows: Sequence[MinuteSums], answered: Sequence[MinuteSums], runs: Counter[int], since: int, until: int
) -> list[Chart]:
    minutes = range(since, until)
    calls, money = Counter[int](), Counter[int]()
    by_minute: dict[int, list[MinuteSums]] = defaultdict(list)
    for row in rows:
        calls[row.minute] += row.calls
        money[row.minute] += row.nanodollars
    for row in answered:
        by_minute[row.minute].append(row)
    parts = [_buckets(by_minute[minute]) for minute in minutes]
    times = [Line(name, [percentile(part, share) for part in parts]) for name, share in _SHARES]
    rates, begun = [calls[minute] / 60 for minute in minutes], [runs[minute] / 60 for minute in minutes]
    spent = [float(money[minute]) for minute in minutes]
    first, last = _clock(since), _clock(until - 1)
    latest = next((value for value in reversed(times[1].values) if value is not None), None)
    slowest = max((value for line in times for value in line.values if value is not None), default=None)
    return [
        Chart("Calls a second", [Line("calls", rates)], first, last, count(rates[-1]), count(max(rates))),
        Chart("Time of calls", times, first, last, f"p95 {span(latest)}", span(slowest)),
        Chart("Runs begun a second", [Line("runs", begun)], first, last, count(begun[-1]), count(max(begun))),
        Chart("Spent a minute", [Line("spent", spent)], first, last, usd(int(spent[-1])), usd(int(max(spent)))),
    ]  # fmt: skip


def _clock(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%H:%M")
