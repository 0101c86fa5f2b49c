"""What held-out runs said of a step controller, as tables: in all, by tool and by agent. Packed beside the model."""

from collections.abc import Iterator

from trimtab.learning.step_course import StepFigures
from trimtab.learning.step_judge import Tally


def held_out_markdown(figures: StepFigures) -> str:
    """The tables in Markdown. Shares are of all recorded replies; a precision is empty where nothing was emitted."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: StepFigures) -> Iterator[str]:
    yield "# On held-out tasks"
    yield from (
        "",
        "| mode | replies | saved % | of which repeats % | cost saved % | emissions | precision % |",
    )
    yield "|---|---|---|---|---|---|---|"
    for name, tally in (("eager", figures.eager), ("exact", figures.exact)):
        yield f"| {name} | {tally_cells(tally)} |"
    yield from ("", "## What limits coverage, by tool", "", *by_tool(figures))
    yield from ("", "## By agent", "", *by_agent(figures))


def tally_cells(tally: Tally) -> str:
    """The figures of one tally, as cells of a row."""
    cost = 100 * tally.saved_nanodollars / max(tally.nanodollars, 1)
    repeats = 100 * tally.repeats / max(tally.calls, 1)
    return (
        f"{tally.calls:,} | {100 * tally.saved_share:.1f} | {repeats:.1f} | {cost:.1f} | {tally.emitted} "
        f"| {_precision(tally.hits, tally.emitted)}"
    )


def by_tool(figures: StepFigures, lead: str = "") -> Iterator[str]:
    """One row a read-only tool: calls recorded, calls that could be filled, calls emitted in time."""
    head = "workflow | " if lead else ""
    yield f"| {head}read-only tool | recorded | could be filled | covered | emitted | precision % |"
    yield "|---|---|---|---|---|---|" + ("---|" if lead else "")
    for tool, recorded in figures.recorded.most_common():
        made = figures.eager.tools[tool]
        first = f"{lead} | {tool}" if lead else tool
        yield (
            f"| {first} | {recorded} | {figures.fillable[tool]} | {figures.covered[tool]} | {made} "
            f"| {_precision(figures.eager.tool_hits[tool], made)} |"
        )


def by_agent(figures: StepFigures, lead: str = "") -> Iterator[str]:
    """One row an agent."""
    head = "workflow | " if lead else ""
    yield f"| {head}agent | replies | eager saved % | precision % | exact saved % | precision % |"
    yield "|---|---|---|---|---|---|" + ("---|" if lead else "")
    for agent, (eager, exact) in sorted(figures.agents.items()):
        first = f"{lead} | {agent}" if lead else agent
        shares = (
            f"{100 * each.saved_share:.1f} | {_precision(each.hits, each.emitted)}" for each in (eager, exact)
        )
        yield f"| {first} | {eager.calls} | {' | '.join(shares)} |"


def _precision(hits: int, made: int) -> str:
    return f"{100 * hits / made:.1f}" if made else ""
