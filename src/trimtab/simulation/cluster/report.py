"""What a simulation found, for people and machines: rows of medians with intervals, what is not modelled, drawings."""

from collections.abc import Mapping, Sequence
from html import escape

import msgspec

from trimtab.simulation.cluster.measure import Measure, Spread, summary

NOT_MODELLED = (
    "simulated: no figure here was measured on a server",
    "not modelled: preemption and swapping, speculative decoding, network time, tokenisation, the gateway's own time, "
    "KV blocks (tokens are counted), prefixes shared between users beyond the system prompt, iteration by iteration "
    "effects (decode is fluid between events), users who give up, output that depends on the model or the wait",
)
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720.0, 400.0, 70.0, 190.0, 50.0, 50.0
_COLOURS = ("#0b6fb8", "#a06a00", "#7b3fb5", "#2a8a4a", "#c23b3b", "#5b6675", "#0f8b8d", "#8a5a83")


class Row(msgspec.Struct, frozen=True):
    """One policy at one load; `load` is a multiple of the cluster's own."""

    policy: str
    load: float
    sessions_a_second: float
    seeds: int
    figures: Mapping[str, Spread | None]
    measures: tuple[Measure, ...]


class ClusterReport(msgspec.Struct, frozen=True):
    """`simulated` stands in it so that no reader of the JSON takes it for measured."""

    rows: tuple[Row, ...]
    allowed_seconds: Mapping[str, float]
    servers: tuple[str, ...]
    notes: tuple[str, ...]
    simulated: bool = True


def row(policy: str, load: float, sessions_a_second: float, measures: Sequence[Measure]) -> Row:
    """The medians of all seeds."""
    return Row(policy, load, sessions_a_second, len(measures), summary(measures), tuple(measures))


def cells(line: Row) -> tuple[str, ...]:
    """As the table shows it: medians, the interval of p95 and of SLO attainment."""
    figure = line.figures
    return (
        line.policy,
        f"{line.load:g}",
        _plain(figure["mean_seconds"]),
        _plain(figure["p50_seconds"]),
        _ranged(figure["p95_seconds"]),
        _plain(figure["p99_seconds"]),
        _ranged(figure["slo"], 100.0),
        _plain(figure["dollars_per_1000_in_slo"], digits=2),
        _plain(figure["cache_hits"], 100.0),
        _plain(figure["utilisation"], 100.0),
    )


COLUMNS = ("policy", "load", "mean s", "p50 s", "p95 s", "p99 s") + (
    "in SLO %",
    "$ / 1,000 in SLO",
    "cached %",
    "busy %",
)


def draw(report: ClusterReport, figure: str, title: str) -> str:
    """An SVG of one figure over load, a line for each policy, its interval behind it."""
    rows = [line for line in report.rows if line.figures.get(figure) is not None]
    policies = list(dict.fromkeys(line.policy for line in rows))
    points = {
        name: [(line.load, line.figures[figure]) for line in rows if line.policy == name] for name in policies
    }
    highest = (
        max((spread.high for line in points.values() for _, spread in line if spread), default=1.0) or 1.0
    )
    loads = sorted({line.load for line in rows}) or [1.0]
    parts = [*_frame(title, loads, highest)]
    for number, (name, line) in enumerate(points.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        told = [(load, spread) for load, spread in line if spread is not None]
        parts += _line(told, loads, highest, colour)
        y = _TOP + 18.0 * number
        parts.append(f'<text x="{_WIDTH - _RIGHT + 14:g}" y="{y:g}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(
    line: Sequence[tuple[float, Spread]], loads: Sequence[float], highest: float, colour: str
) -> list[str]:
    places = [(_x(load, loads), spread) for load, spread in line]
    path = " ".join(f"{x:.1f},{_y(spread.median, highest):.1f}" for x, spread in places)
    bars = [
        f'<path d="M{x:.1f} {_y(spread.low, highest):.1f}V{_y(spread.high, highest):.1f}" stroke="{colour}" '
        'stroke-width="4" opacity=".3"/>'
        for x, spread in places
    ]
    dots = [
        f'<circle cx="{x:.1f}" cy="{_y(spread.median, highest):.1f}" r="3.5" fill="{colour}"/>'
        for x, spread in places
    ]
    drawn = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return [*bars, drawn, *dots]


def _frame(title: str, loads: Sequence[float], highest: float) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui,sans-serif" font-size="12">'
        f'<rect width="{_WIDTH:g}" height="{_HEIGHT:g}" fill="#fff"/>'
        f'<text x="{_LEFT:g}" y="24" font-size="15" font-weight="600">{escape(title)} (simulated)</text>'
        f'<text x="{(_LEFT + right) / 2:g}" y="{_HEIGHT - 12:g}" text-anchor="middle">load</text>'
    ]
    for step in range(5):
        value = highest * step / 4
        y = _y(value, highest)
        parts.append(
            f'<path d="M{_LEFT:g} {y:.1f}H{right:g}" stroke="#dfe4ea"/>'
            f'<text x="{_LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        )
    for load in loads:
        parts.append(
            f'<text x="{_x(load, loads):.1f}" y="{bottom + 18:g}" text-anchor="middle">{load:g}</text>'
        )
    return parts


def _x(load: float, loads: Sequence[float]) -> float:
    span = loads[-1] - loads[0]
    share = (load - loads[0]) / span if span else 0.5
    return _LEFT + share * (_WIDTH - _RIGHT - _LEFT)


def _y(value: float, highest: float) -> float:
    return _HEIGHT - _BOTTOM - value / highest * (_HEIGHT - _TOP - _BOTTOM)


def _plain(spread: Spread | None, scale: float = 1.0, digits: int = 1) -> str:
    return "-" if spread is None else f"{scale * spread.median:,.{digits}f}"


def _ranged(spread: Spread | None, scale: float = 1.0) -> str:
    if spread is None:
        return "-"
    return f"{scale * spread.median:,.1f} ({scale * spread.low:,.1f} to {scale * spread.high:,.1f})"
