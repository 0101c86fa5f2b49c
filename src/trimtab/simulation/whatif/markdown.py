"""A what-if report as Markdown: the same tables a terminal shows, with what is assumed beneath."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from trimtab.core import usd_text
from trimtab.simulation.whatif.report import Completions, Latency, MoveLine, Sums, WhatIf
from trimtab.simulation.whatif.tally import Bounds

_MOST_LINES = 50


def markdown(report: WhatIf) -> str:
    """The report as a document."""
    return "\n".join([*_head(report), *_body(report)]) + "\n"


def between(cost: Bounds) -> str:
    """A cost with its bounds; one amount where it is exact."""
    if cost.low == cost.high:
        return f"${usd_text(cost.likely)}"
    return f"${usd_text(cost.likely)} (${usd_text(cost.low)} to ${usd_text(cost.high)})"


def change(recorded: int, new: Bounds) -> str:
    """By how much a cost changes, in USD with its sign."""
    difference = new.likely - recorded
    sign = "" if difference < 0 else "+"
    return f"{sign}${usd_text(difference)}".replace("$-", "-$")


def dollars(nanodollars: int | None) -> str:
    """An amount that may be unknown."""
    return "unknown" if nanodollars is None else f"${usd_text(nanodollars)}"


def completion_lines(done: Completions) -> list[str]:
    """What is known of completions, sentence by sentence."""
    if not done.known:
        return ["No run has a known outcome: nothing can be said of completions.", *_left_aside(done)]
    said = [f"{done.completed:,} of {done.known:,} runs with an outcome were completed."]
    if not done.touched:
        said.append("No run is touched: the same are completed.")
    else:
        said.append(
            f"{done.touched:,} runs are touched (an answer nobody has seen, or none); completed would be "
            f"{done.low:,} to {done.high:,}."
        )
    if done.matched.runs:
        match = done.matched
        said.append(
            f"Of the touched, {match.runs:,} are matched by {match.samples:,} recorded runs of their tasks at "
            f"the model that would serve them: about {match.likely:.1f} completed "
            f"({match.low:.1f} to {match.high:.1f}, 95 %)."
        )
    if unmatched := done.touched - done.matched.runs:
        said.append(f"{unmatched:,} touched runs are matched by nothing: their outcome is unknown.")
    said.append(f"Cost per completed run: {dollars(done.recorded_per_completed)} as recorded; {each(done)}.")
    return [*said, *_left_aside(done)]


def _left_aside(done: Completions) -> Iterator[str]:
    """Runs that no figure tells of."""
    if done.resumed:
        yield (
            f"{done.resumed:,} runs had a call refused or failed in fact that would be answered now: the calls they "
            "would then go on to make are in no cost and no bound."
        )
    if done.cut_off:
        yield f"{done.cut_off:,} runs began before the time asked for and are left out here."
    if done.unknown:
        yield f"{done.unknown:,} runs have no outcome."


def each(done: Completions) -> str:
    """The new cost per completed run."""
    if done.per_completed_low == done.per_completed_high and not done.touched:
        return f"{dollars(done.per_completed_low)} under the new settings"
    high = "no bound" if done.per_completed_high is None else dollars(done.per_completed_high)
    likely = "" if done.per_completed_likely is None else f", likely {dollars(done.per_completed_likely)}"
    return f"from {dollars(done.per_completed_low)} to {high} under the new settings{likely}"


def latency_cells(latency: Latency) -> list[str]:
    """Mean, p50, p95 and what is unknown."""
    figures = (latency.mean, latency.p50, latency.p95)
    return [*("-" if one is None else f"{one:.3f}" for one in figures), f"{latency.unknown:,}"]


def sums_cells(line: Sums) -> list[str]:
    """A line of a table by tenant, workflow or step."""
    mark, was = "≥ " if line.unpriced else "", "≥ " if line.unpriced_recorded else ""
    refused = f"{line.refused_recorded + line.failed_recorded:,} → {line.refused_new + line.failed_new:,}"
    return [
        line.value or "-",
        f"{line.calls:,}",
        f"{line.moved:,}",
        f"{line.unseen:,}",
        f"{was}${usd_text(line.recorded_nanodollars)}",
        mark + between(line.new_nanodollars),
        change(line.recorded_nanodollars, line.new_nanodollars),
        refused,
    ]


SUMS_COLUMNS = ("calls", "moved", "unseen", "recorded cost", "new cost", "change", "refused or failed")
MOVE_COLUMNS = ("from", "to", "workflow", "step", "calls", "recorded cost", "new cost", "change", "tokens")
LATENCY_COLUMNS = ("", "mean s", "p50 s", "p95 s", "unknown")


def move_cells(line: MoveLine) -> list[str]:
    """A line of the table of moves."""
    mark = "≥ " if line.unpriced else ""
    return [
        line.before, line.after, line.workflow or "-", line.step or "-", f"{line.calls:,}",
        f"${usd_text(line.recorded_nanodollars)}", mark + between(line.new_nanodollars),
        change(line.recorded_nanodollars, line.new_nanodollars), line.tokens or "as recorded",
    ]  # fmt: skip


def span(report: WhatIf) -> str:
    """From when to when, in UTC."""
    moments = (datetime.fromtimestamp(at, UTC) for at in (report.first_at, report.last_at))
    first, last = (moment.strftime("%Y-%m-%d %H:%M:%S") for moment in moments)
    return f"{first} to {last} UTC"


def _head(report: WhatIf) -> Iterator[str]:
    yield f"# What if: {report.policy}"
    yield ""
    yield (
        f"{report.calls:,} recorded calls of {report.source} ({span(report)}), replayed. "
        f"{report.moved:,} would have moved."
    )
    yield ""


def _body(report: WhatIf) -> Iterator[str]:
    yield from _table(("", *SUMS_COLUMNS), [sums_cells(report.total)])
    for field, lines in report.by.items():
        yield f"## By {field}"
        yield ""
        yield from _table((field, *SUMS_COLUMNS), [sums_cells(line) for line in lines[:_MOST_LINES]])
        yield from _left_out(len(lines))
    yield "## Moved calls"
    yield ""
    yield from _table(MOVE_COLUMNS, [move_cells(line) for line in report.moves[:_MOST_LINES]])
    yield from _left_out(len(report.moves))
    yield from _examples(report)
    yield "## Runs"
    yield ""
    yield from completion_lines(report.completions)
    yield ""
    yield "## Latency of calls"
    yield ""
    old, new = latency_cells(report.latency_recorded), latency_cells(report.latency_new)
    yield from _table(LATENCY_COLUMNS, [["recorded", *old], ["new", *new]])
    yield "## What is assumed"
    yield ""
    yield from (f"- {said}" for said in report.assumptions)


def _examples(report: WhatIf) -> Iterator[str]:
    if not report.examples:
        return
    columns = ("call", "run", "workflow", "step", "from", "to", "recorded cost", "likely cost", "answer")
    rows = [
        [
            one.call, one.run, one.workflow or "-", one.step or "-", one.before, one.after,
            f"${usd_text(one.recorded_nanodollars)}", f"${usd_text(one.likely_nanodollars)}",
            "seen" if one.seen else "unseen",
        ]
        for one in report.examples
    ]  # fmt: skip
    yield "Examples:"
    yield ""
    yield from _table(columns, rows)


def _left_out(lines: int) -> Iterator[str]:
    if lines > _MOST_LINES:
        yield f"and {lines - _MOST_LINES:,} more lines (`--json` has all)"
        yield ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(_plain(cell) for cell in row) + " |"
    yield ""


def _plain(cell: str) -> str:
    """What a client wrote must not break out of its cell."""
    return "".join(c if c.isprintable() else " " for c in cell).replace("\\", "\\\\").replace("|", "\\|")
