"""Small charts as SVG that stretches to its place; what they say stands beside them as text. Pure."""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup, escape

_HEIGHT, _ROOM = 100.0, 4.0


class Line(msgspec.Struct, frozen=True):
    """One line of a chart: a value for each place, None where there is none."""

    label: str
    values: Sequence[float | None]


class Chart(msgspec.Struct, frozen=True):
    """Up to three lines over the same places. `now` is what it says at last, `peak` its greatest value, as text."""

    title: str
    lines: Sequence[Line]
    first: str
    last: str
    now: str
    peak: str


def draw(chart: Chart) -> Markup:
    """A chart with its title, its latest value and its scale."""
    known = [value for line in chart.lines for value in line.values if value is not None]
    top = max(known, default=0.0) or 1.0
    width = max((len(line.values) for line in chart.lines), default=1)
    paths = Markup("").join(
        Markup('<polyline class="l s{}" points="{}"/>').format(number, points)
        for number, line in enumerate(chart.lines, 1)
        for points in _pieces(line.values, top)
    )
    key = Markup("")
    if len(chart.lines) > 1:
        key = Markup("").join(
            Markup('<span><i class="k{}"></i>{}</span>').format(number, line.label)
            for number, line in enumerate(chart.lines, 1)
        )
    return _figure(chart, key, max(width - 1, 1), paths)


def columns(chart: Chart) -> Markup:
    """A chart of its first line's values as columns, for sums of spans that stand apart, such as days."""
    values = chart.lines[0].values
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    path = "".join(
        f"M{place + 0.1:g} {_HEIGHT - 1:g}V{_HEIGHT - 1 - (_HEIGHT - _ROOM) * value / top:.1f}h.8V{_HEIGHT - 1:g}z"
        for place, value in enumerate(values)
        if value
    )
    return _figure(chart, Markup(""), len(values), Markup('<path class="fill1" d="{}"/>').format(path))


def _figure(chart: Chart, key: Markup, width: int, inside: Markup) -> Markup:
    return Markup(
        '<figure class="chart"><figcaption><span>{} <strong>{}</strong></span><span class="key">{}</span></figcaption>'
        '<svg viewBox="0 0 {} {:g}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<line class="grid" x1="0" x2="{}" y1="{:g}" y2="{:g}"/>{}</svg>'
        '<div class="axis"><span>{}</span><span>peak {}</span><span>{}</span></div></figure>'
    ).format(
        chart.title,
        chart.now,
        key,
        width,
        _HEIGHT,
        _about(chart),
        width,
        _HEIGHT - 1,
        _HEIGHT - 1,
        inside,
        chart.first,
        chart.peak,
        chart.last,
    )


def _about(chart: Chart) -> str:
    return f"{chart.title} from {chart.first} to {chart.last}: now {chart.now}, peak {chart.peak}"


def _pieces(values: Sequence[float | None], top: float) -> list[str]:
    """Points of unbroken stretches; a value alone is drawn as a short dash."""
    pieces: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            pieces.append([])
            continue
        y = _HEIGHT - 1 - (_HEIGHT - _ROOM) * value / top
        pieces[-1].append(f"{place},{y:.1f}")
    return [" ".join(piece if len(piece) > 1 else [*piece, _beside(piece[0])]) for piece in pieces if piece]


def _beside(point: str) -> str:
    x, _, y = point.partition(",")
    return f"{max(0.0, float(x) - 0.4):g},{y}" if float(x) else f"0.4,{y}"


def bar(part: float, whole: float, tone: str = "fill1", about: str = "") -> Markup:
    """A horizontal bar, as long as its part of a whole."""
    wide = min(100.0, 100 * part / whole) if whole > 0 else 0.0
    said = Markup(' role="img" aria-label="{}"').format(about) if about else Markup(' aria-hidden="true"')
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none"{}>'
        '<rect class="ground" width="100" height="10"/><rect class="{}" width="{:.2f}" height="10"/></svg>'
    ).format(said, escape(tone), wide)


def percentile(counts: Sequence[tuple[float, int]], share: float) -> float | None:
    """The upper bound of the bucket in which a share of all lies; `counts` are (bound, how many), by bound."""
    whole = sum(number for _, number in counts)
    if not whole:
        return None
    left = share * whole
    for bound, number in counts:
        left -= number
        if left <= 0:
            return bound
    return counts[-1][0]
