"""From rounds to a report: medians, overheads against the upstream, ratios, the printed table."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Plan, Round

NOISY = 0.1


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the rounds of one target. `added_*` is its latency minus the upstream's in the same round.

    `others` is the worst round's; `rps_spread` is (highest - lowest) / median over the rounds.
    None stands for "does not apply".
    """

    rounds: int
    rps: float
    rps_spread: float
    cpu_us: float | None
    busy: float | None
    others: float
    open_rate: float
    p50_ms: float | None
    p99_ms: float | None
    added_p50_ms: float | None
    added_p99_ms: float | None
    first_p50_ms: float | None
    added_first_p50_ms: float | None
    cold_seconds: float | None
    idle_rss_mib: float | None
    idle_pss_mib: float | None
    loaded_rss_mib: float | None
    loaded_pss_mib: float | None


def summarise(name: str, rounds: Mapping[str, Sequence[Round]]) -> Summary:
    """The medians of `name`, with the upstream's own rounds as the floor."""
    own = rounds[name]
    pairs = [] if name == "direct" else list(zip(own, rounds["direct"], strict=False))
    rates = [each.closed.rps for each in own]
    middle = statistics.median(rates)
    return Summary(
        rounds=len(own),
        rps=round(middle, 1),
        rps_spread=round((max(rates) - min(rates)) / middle, 3),
        cpu_us=median(each.closed.cpu_us for each in own),
        busy=median(each.closed.busy for each in own),
        others=round(max(each.others for each in own), 3),
        open_rate=min(each.rate for each in own),
        p50_ms=median(each.plain.p50_ms for each in own),
        p99_ms=median(each.plain.p99_ms for each in own),
        added_p50_ms=median(minus(a.plain.p50_ms, b.plain.p50_ms) for a, b in pairs),
        added_p99_ms=median(minus(a.plain.p99_ms, b.plain.p99_ms) for a, b in pairs),
        first_p50_ms=median(each.stream.first_p50_ms for each in own),
        added_first_p50_ms=median(minus(a.stream.first_p50_ms, b.stream.first_p50_ms) for a, b in pairs),
        cold_seconds=median(each.cold_seconds for each in own),
        idle_rss_mib=median(each.idle.rss_mib for each in own if each.idle),
        idle_pss_mib=median(each.idle.pss_mib for each in own if each.idle),
        loaded_rss_mib=median(each.loaded.rss_mib for each in own if each.loaded),
        loaded_pss_mib=median(each.loaded.pss_mib for each in own if each.loaded),
    )


def median(values: Iterable[float | None]) -> float | None:
    """The median of those that are numbers, to three places; None when none is."""
    numbers = [value for value in values if value is not None]
    return round(statistics.median(numbers), 3) if numbers else None


def minus(value: float | None, floor: float | None) -> float | None:
    """The difference, when both are known."""
    return None if value is None or floor is None else value - floor


@dataclass(frozen=True, slots=True)
class Results:
    """All that one run of the benchmark found."""

    versions: Mapping[str, str]
    missing: Mapping[str, str]
    plan: Plan
    rounds: Mapping[str, Sequence[Round]]

    def summaries(self) -> dict[str, Summary]:
        """Medians by target, in the order they were measured."""
        return {name: summarise(name, self.rounds) for name in self.rounds if self.rounds[name]}

    def document(self) -> str:
        """The whole report as JSON."""
        medians = self.summaries()
        fields = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": dict(self.versions),
            "plan": asdict(self.plan),
            "median": {name: asdict(summary) for name, summary in medians.items()},
            "trimtab_over": ratios(medians),
            "rounds": {name: [asdict(each) for each in rounds] for name, rounds in self.rounds.items()},
            "not_measured": dict(self.missing),
        }
        return json.dumps(fields, indent=2) + "\n"


def ratios(medians: Mapping[str, Summary]) -> dict[str, float]:
    """Trimtab's calls a second over each other target's; empty when Trimtab was not measured."""
    own = medians.get("trimtab")
    if own is None:
        return {}
    return {name: round(own.rps / other.rps, 2) for name, other in medians.items() if name != "trimtab"}


def machine() -> dict[str, str | int | float]:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(pages / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


COLUMNS = (
    ("", "target", 11),
    ("calls/s", "one core", 9),
    ("trimtab", "is x of", 8),
    ("CPU us", "a call", 8),
    ("cores", "busy", 7),
    ("others", "cores", 8),
    ("added ms", "p50", 9),
    ("added ms", "p99", 9),
    ("token1 ms", "added p50", 10),
    ("cold s", "1st reply", 10),
    ("idle MiB", "RSS / PSS", 12),
    ("after MiB", "RSS / PSS", 12),
)


def table(results: Results) -> str:
    """The report for people: one line a target, then what the columns cannot say."""
    medians = results.summaries()
    over = ratios(medians)
    lines = [
        "".join(first.rjust(width) for first, _, width in COLUMNS),
        "".join(second.rjust(width) for _, second, width in COLUMNS),
    ]
    for name, summary in medians.items():
        cells = row_of(name, summary, over.get(name))
        lines.append("".join(cell.rjust(width) for cell, (_, _, width) in zip(cells, COLUMNS, strict=True)))
    lines.append("")
    for name, summary in medians.items():
        if summary.open_rate < results.plan.rate:
            lines.append(
                f"{name}: one core does not carry {results.plan.rate:.0f} calls/s with room to spare, so its"
                f" latency is at {summary.open_rate:.0f} calls/s"
            )
        if summary.others > NOISY:
            lines.append(f"{name}: other work took {summary.others:.2f} cores in its worst round: noisy")
    lines += [f"{name}: not measured: {why}" for name, why in results.missing.items()]
    lines.append("versions: " + ", ".join(f"{name} {version}" for name, version in results.versions.items()))
    return "\n".join(lines) + "\n"


def row_of(name: str, summary: Summary, over: float | None) -> tuple[str, ...]:
    """The cells of one line."""
    return (
        name,
        f"{summary.rps:,.0f}",
        number(over, 2),
        number(summary.cpu_us, 0),
        number(summary.busy, 2),
        number(summary.others, 2),
        number(summary.added_p50_ms, 2),
        number(summary.added_p99_ms, 2),
        number(summary.added_first_p50_ms, 2),
        number(summary.cold_seconds, 2),
        f"{number(summary.idle_rss_mib, 0)} / {number(summary.idle_pss_mib, 0)}",
        f"{number(summary.loaded_rss_mib, 0)} / {number(summary.loaded_pss_mib, 0)}",
    )


def number(value: float | None, places: int) -> str:
    """A number for a cell; `-` when it does not apply."""
    return "-" if value is None else f"{value:,.{places}f}"
