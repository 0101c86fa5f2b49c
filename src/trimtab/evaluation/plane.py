"""The cost-quality plane as SVG: single models, the mixture line, floors, ceilings and policies. Pure text.

Labels are laid where there is room and never over one another; colours follow the reader's light or dark mode.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

import msgspec

Mark = Literal["single", "baseline", "ceiling", "policy"]
Box = tuple[float, float, float, float]

_WIDTH, _HEIGHT = 880.0, 540.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 24.0, 76.0, 56.0
_LETTER, _LINE = 7.1, 14.0
_STEPS = 12
_RADIUS = {"single": 3.5, "baseline": 4.5, "ceiling": 5.5, "policy": 5.0}
_FARTHEST = {"single": 18, "baseline": 50, "ceiling": 50, "policy": 72}
_NAMED_FIRST: tuple[Mark, ...] = ("policy", "ceiling", "baseline", "single")
# Colours stand in the rules themselves: many viewers of SVG know no CSS variables.
_STYLE = """
svg{font:12px system-ui,"DejaVu Sans",sans-serif}
text{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}.title{font-size:15px;font-weight:600}
.mixture,.curve{fill:none;stroke-width:1.5}.mixture{stroke-dasharray:5 4}.curve{opacity:.75}
.leader{stroke-width:.7}.bar{stroke-width:1.2}
.paper{fill:#ffffff}text{fill:#1c2430;stroke:#ffffff}.faint{fill:#5b6675}.rule{stroke:#dfe4ea}.leader{stroke:#5b6675}
.single{fill:#7a8594}.baseline{fill:#a06a00}.ceiling{fill:#7b3fb5}.policy{fill:#0b6fb8}
.mixture{stroke:#7a8594}.curve,.bar{stroke:#0b6fb8}
@media(prefers-color-scheme:dark){
.paper{fill:#14181e}text{fill:#e8ecf1;stroke:#14181e}.faint{fill:#a3afbd}.rule{stroke:#2d3540}.leader{stroke:#a3afbd}
.single{fill:#97a3b2}.baseline{fill:#e0a83a}.ceiling{fill:#c79bf2}.policy{fill:#5bb8f5}
.mixture{stroke:#97a3b2}.curve,.bar{stroke:#5bb8f5}}
"""


class PlanePoint(msgspec.Struct, frozen=True):
    """`low` and `high` bound its quality, where they are worth drawing."""

    label: str
    cost: float
    quality: float
    mark: Mark
    low: float | None = None
    high: float | None = None


class Plane(msgspec.Struct, frozen=True):
    """What is drawn. `mixture` and `curves` are (cost, quality) points by cost; costs in USD per run."""

    title: str
    points: tuple[PlanePoint, ...]
    mixture: tuple[tuple[float, float], ...] = ()
    curves: tuple[tuple[tuple[float, float], ...], ...] = ()
    cost_axis: str = "USD per run"
    quality_axis: str = "runs completed"


class _Scale:
    """Cost by its logarithm, quality as it is; both a little wider than what is drawn."""

    __slots__ = ("high", "left", "low", "right")

    def __init__(self, costs: Sequence[float], qualities: Sequence[float]) -> None:
        cheap, dear = math.log10(min(costs)), math.log10(max(costs))
        margin = max(0.06 * (dear - cheap), 0.06)
        self.left, self.right = cheap - margin, dear + margin
        room = max(0.08 * (max(qualities) - min(qualities)), 0.005)
        self.low, self.high = max(0.0, min(qualities) - room), min(1.0, max(qualities) + room)
        if self.high <= self.low:
            self.low, self.high = self.low - 0.01, self.low + 0.01

    def x(self, cost: float) -> float:
        share = (math.log10(cost) - self.left) / (self.right - self.left)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, quality: float) -> float:
        share = (quality - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def draw_plane(plane: Plane) -> str:
    """The SVG document. Points without a positive, finite cost cannot be drawn and are left out."""
    points = [point for point in plane.points if point.cost > 0 and math.isfinite(point.cost + point.quality)]
    lines = [_drawable(line) for line in (plane.mixture, *plane.curves)]
    if not points:
        return _document(plane, ['<text x="80" y="120" class="faint">nothing to draw</text>'])
    reach = [(point.cost, point.quality) for point in points] + [place for line in lines for place in line]
    reach += [(point.cost, end) for point in points for end in (point.low, point.high) if end is not None]
    scale = _Scale([cost for cost, _ in reach], [quality for _, quality in reach])
    parts = [*_axes(scale, plane), _path(scale, lines[0], "mixture")]
    parts += [_path(scale, line, "curve") for line in lines[1:]]
    parts += [_bar(scale, point) for point in points if point.low is not None and point.high is not None]
    parts += [_dot(scale, point) for point in sorted(points, key=_rank, reverse=True)]
    parts += _labels(scale, points)
    return _document(plane, [part for part in parts if part])


def _document(plane: Plane, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="{escape(plane.title)}"><style>{_STYLE}</style>'
        f'<rect class="paper" width="{_WIDTH:g}" height="{_HEIGHT:g}"/>'
        f'<text class="title" x="{_LEFT:g}" y="26">{escape(plane.title)}</text>'
    )
    return "\n".join([head, _legend(), *parts, "</svg>"]) + "\n"


def _legend() -> str:
    named = (
        ("single", "single model"),
        ("baseline", "baseline"),
        ("ceiling", "ceiling"),
        ("policy", "policy"),
    )
    parts, x = [], _LEFT + 5
    for mark, text in named:
        parts.append(
            f'<circle class="{mark}" cx="{x:g}" cy="46" r="5"/><text x="{x + 10:g}" y="50">{text}</text>'
        )
        x += 36 + _LETTER * len(text)
    parts.append(
        f'<path class="mixture" d="M{x:g} 46h30"/><text x="{x + 36:g}" y="50">mixture of singles</text>'
    )
    x += 72 + _LETTER * 18
    parts.append(
        f'<path class="curve" d="M{x:g} 46h30"/><text x="{x + 36:g}" y="50">policy by threshold</text>'
    )
    return "".join(parts)


def _axes(scale: _Scale, plane: Plane) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for cost in _cost_ticks(scale):
        x = scale.x(cost)
        parts.append(f'<path class="rule" d="M{x:.1f} {_TOP:g}V{bottom:g}"/>')
        parts.append(
            f'<text class="faint" x="{x:.1f}" y="{bottom + 18:g}" text-anchor="middle">{cost:g}</text>'
        )
    for quality in _quality_ticks(scale):
        y = scale.y(quality)
        parts.append(f'<path class="rule" d="M{_LEFT:g} {y:.1f}H{right:g}"/>')
        parts.append(
            f'<text class="faint" x="{_LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">{_percent(quality)}</text>'
        )
    middle = (_LEFT + right) / 2
    cost_axis = f"{plane.cost_axis} (logarithmic)"
    parts.append(
        f'<text x="{middle:g}" y="{_HEIGHT - 14:g}" text-anchor="middle">{escape(cost_axis)}</text>'
        f'<text x="{_LEFT:g}" y="{_TOP - 8:g}">{escape(plane.quality_axis)}</text>'
    )
    return parts


def _percent(share: float) -> str:
    return f"{round(share * 100, 1):g} %"


def _cost_ticks(scale: _Scale) -> list[float]:
    steps = (1, 2, 5) if scale.right - scale.left < 2.5 else (1, 3) if scale.right - scale.left < 4 else (1,)
    powers = range(math.floor(scale.left), math.ceil(scale.right) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if scale.left <= math.log10(tick) <= scale.right]


def _quality_ticks(scale: _Scale) -> list[float]:
    span = scale.high - scale.low
    step = next((size for size in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if span / size <= 9), 0.5)
    first = math.ceil(scale.low / step - 1e-9)
    return [number * step for number in range(first, math.floor(scale.high / step + 1e-9) + 1)]


def _drawable(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(cost, quality) for cost, quality in line if cost > 0 and math.isfinite(cost + quality)]


def _path(scale: _Scale, line: Sequence[tuple[float, float]], kind: str) -> str:
    if len(line) < 2:
        return ""
    # A coin between two points is straight in cost, so it is bent on a logarithmic axis.
    places = [
        (a[0] + (b[0] - a[0]) * step / _STEPS, a[1] + (b[1] - a[1]) * step / _STEPS)
        for a, b in zip(line, line[1:], strict=False)
        for step in range(_STEPS)
    ]
    steps = " ".join(f"{scale.x(cost):.1f},{scale.y(quality):.1f}" for cost, quality in [*places, line[-1]])
    return f'<polyline class="{kind}" points="{steps}"/>'


def _bar(scale: _Scale, point: PlanePoint) -> str:
    low, high = max(point.low or 0.0, scale.low), min(point.high or 0.0, scale.high)
    return f'<path class="bar" d="M{scale.x(point.cost):.1f} {scale.y(low):.1f}V{scale.y(high):.1f}"/>'


def _dot(scale: _Scale, point: PlanePoint) -> str:
    told = f"{point.label}: {_percent(point.quality)} at {point.cost:.4g}"
    return (
        f'<circle class="{point.mark}" cx="{scale.x(point.cost):.1f}" cy="{scale.y(point.quality):.1f}" '
        f'r="{_RADIUS[point.mark]:g}"><title>{escape(told)}</title></circle>'
    )


def _rank(point: PlanePoint) -> tuple[int, float]:
    return _NAMED_FIRST.index(point.mark), -point.quality


def _labels(scale: _Scale, points: Sequence[PlanePoint]) -> list[str]:
    """Policies first, then the best of the rest; a label without room is left to the point's tooltip."""
    taken = [_around(scale, point) for point in points]
    taken += [_barred(scale, point) for point in points if point.low is not None]
    parts = []
    for point in sorted(points, key=_rank):
        x, y, width = scale.x(point.cost), scale.y(point.quality), _LETTER * len(point.label) + 2
        for left, top in _places(x, y, width, _FARTHEST[point.mark]):
            box = (left, top, left + width, top + _LINE)
            if _inside(box) and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                parts.append(_leader(x, y, box))
                parts.append(f'<text x="{left:.1f}" y="{top + 11:.1f}">{escape(point.label)}</text>')
                break
    return parts


def _places(x: float, y: float, width: float, farthest: int) -> Iterable[tuple[float, float]]:
    for far in (place for place in (8, 18, 32, 50, 72) if place <= farthest):
        for across, down in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1)):
            left = x - width / 2 if not across else x + far if across > 0 else x - far - width
            yield left, y + down * far - _LINE / 2


def _around(scale: _Scale, point: PlanePoint) -> Box:
    x, y, r = scale.x(point.cost), scale.y(point.quality), _RADIUS[point.mark] + 1
    return x - r, y - r, x + r, y + r


def _barred(scale: _Scale, point: PlanePoint) -> Box:
    x = scale.x(point.cost)
    return x - 1, scale.y(point.high or 0.0), x + 1, scale.y(point.low or 0.0)


def _inside(box: Box) -> bool:
    return box[0] >= _LEFT and box[2] <= _WIDTH - 4 and box[1] >= _TOP + 2 and box[3] <= _HEIGHT - _BOTTOM - 2


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _leader(x: float, y: float, box: Box) -> str:
    """A thin line to a label that had to stand apart."""
    near_x, near_y = min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
    if math.hypot(near_x - x, near_y - y) < 12:
        return ""
    return f'<path class="leader" d="M{x:.1f} {y:.1f}L{near_x:.1f} {near_y:.1f}"/>'
