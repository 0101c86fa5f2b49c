"""A run as a waterfall: its steps and calls one under another, each as a bar in the run's time; the critical path
marked. Pure."""

from collections.abc import Iterable, Sequence

import msgspec
from markupsafe import Markup

from trimtab.core import CallRecord
from trimtab.traces import CallNode, RunTree

_WIDE = 1_000.0
_LEAST = 3.0
# Calls that began within so many seconds of another's end may have waited for it.
_SLACK = 0.001


class Fall(msgspec.Struct, frozen=True):
    """A line of it: a step (`call` is None) or a call. Seconds are after the run's beginning."""

    name: str
    depth: int
    begin: float
    seconds: float
    nanodollars: int
    critical: bool
    node: CallNode | None = None


def falls_of(tree: RunTree) -> list[Fall]:
    """All lines in order: each step, then its calls with those made on their behalf."""
    records = list(_records(tree))
    start = min([tree.run.started_at, *[record.call.at for record in records]])
    critical = critical_path(records)
    lines: list[Fall] = []
    for step in tree.steps:
        calls = [line for node in step.calls for line in _lines(node, 1, start, critical)]
        begin = min((line.begin for line in calls), default=0.0)
        end = max((line.begin + line.seconds for line in calls), default=begin)
        marked = any(line.critical for line in calls)
        lines.append(Fall(step.name, 0, begin, end - begin, step.nanodollars, marked))
        lines += calls
    return lines


def _lines(node: CallNode, depth: int, start: float, critical: frozenset[str]) -> Iterable[Fall]:
    record = node.record
    name = record.model or record.call.model
    id, begin = record.call.id, record.call.at - start
    yield Fall(name, depth, begin, record.seconds, node.nanodollars, id in critical, node)
    for inner in node.nested:
        yield from _lines(inner, min(depth + 1, 3), start, critical)


def _records(tree: RunTree) -> Iterable[CallRecord]:
    waiting = [node for step in tree.steps for node in step.calls]
    while waiting:
        node = waiting.pop()
        yield node.record
        waiting += node.nested


def critical_path(records: Sequence[CallRecord]) -> frozenset[str]:
    """Ids of the calls that the run's length hangs on: the one that ended last, before it the one that ended last of
    those over when it began, and so on. What waited for what is not recorded: this is what the times allow."""
    left = sorted(records, key=lambda record: record.call.at + record.seconds)
    path: list[str] = []
    horizon = float("inf")
    while left:
        last = left.pop()
        if last.call.at + last.seconds <= horizon + _SLACK:
            path.append(last.call.id)
            horizon = last.call.at
    return frozenset(path)


def bar_of(fall: Fall, whole: float) -> Markup:
    """A line's bar within the run's whole length."""
    scale = _WIDE / whole if whole > 0 else 0.0
    x = min(fall.begin * scale, _WIDE - _LEAST)
    wide = max(_LEAST, min(fall.seconds * scale, _WIDE - x))
    tone = "fill2" if fall.node is None else ("critical" if fall.critical else "fill1")
    return Markup(
        '<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="ground" width="1000" height="10"/>'
        '<rect class="{}" x="{:.1f}" width="{:.1f}" height="10"/></svg>'
    ).format(tone, x, wide)
