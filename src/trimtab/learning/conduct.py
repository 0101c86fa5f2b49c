"""Recorded runs as a whole: who ran which task, what came of it and what it cost, over all conversations of the run."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trimtab.core import NANODOLLARS_PER_USD
from trimtab.traces import ChatLine, LineMessage

_COMPLETES = 0.5


@dataclass(frozen=True, slots=True)
class Conduct:
    """One run. `nanodollars` is None where a part of its cost is not known."""

    agent: str
    task: str
    user: str
    reward: float | None
    nanodollars: int | None
    conversations: tuple[tuple[LineMessage, ...], ...]

    def completed(self, threshold: float) -> bool:
        """Whether its reward reaches `threshold`; 0 is reached by unknown outcomes too."""
        return threshold == 0 if self.reward is None else self.reward >= threshold


def conducts(lines: Sequence[ChatLine]) -> list[Conduct]:
    """The runs in the order they came; conversations of one run are put together."""
    together: dict[tuple[str, str], list[ChatLine]] = {}
    for number, line in enumerate(lines):
        together.setdefault((line.tenant, line.run or f"line {number}"), []).append(line)
    return [_conduct(of_run) for of_run in together.values()]


def _conduct(lines: Sequence[ChatLine]) -> Conduct:
    first = lines[0]
    costs = [line.agent_cost_usd for line in lines]
    known = [int(cost * NANODOLLARS_PER_USD) for cost in costs if isinstance(cost, Decimal)]
    return Conduct(
        first.agent,
        first.task,
        first.user or first.task,
        first.reward,
        sum(known) if len(known) == len(costs) else None,
        tuple(line.messages for line in lines),
    )


def success_of(done: Sequence[Conduct], threshold: float) -> dict[str, float]:
    """The share of its runs that each agent completed, of those whose outcome is known."""
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for run in done:
        outcomes[run.agent].append(run.completed(threshold))
    return {agent: sum(each) / len(each) for agent, each in outcomes.items()}


def cheapest_completing(done: Sequence[Conduct], threshold: float) -> dict[str, str]:
    """For each task that several agents tried: the cheapest of those that complete it in half of their runs at least.

    Tasks nobody completes are left out: no choice would have helped.
    """
    tried: dict[str, dict[str, list[Conduct]]] = defaultdict(lambda: defaultdict(list))
    for run in done:
        if run.nanodollars:  # recorded as free means that nobody knew
            tried[run.task][run.agent].append(run)
    found = {}
    for task, agents in tried.items():
        prices = {
            agent: sum(run.nanodollars or 0 for run in runs) / len(runs)
            for agent, runs in agents.items()
            if sum(run.completed(threshold) for run in runs) >= _COMPLETES * len(runs)
        }
        if len(agents) > 1 and prices:
            found[task] = min(sorted(prices), key=prices.__getitem__)
    return found
