"""What a simulated session will do: its runs, their steps, how they hang together. True lengths stand here.

Plans are shared by every session drawn from them; the loop keeps the little that changes. Policies never see them.
"""

from collections.abc import Sequence

import msgspec

from trimtab.simulation.cluster.gpus import Profile


class StepPlan(msgspec.Struct, frozen=True):
    """One call as it will turn out. Tokens and seconds.

    `shared_tokens`: of its prompt, seen before in `context` (a conversation, numbered within the session);
    `system_tokens`: of the shared beginning named `system`. `gap_seconds`: tool or think time before it.
    """

    step: str
    input_tokens: int
    output_tokens: int
    shared_tokens: int = 0
    context: int = 0
    system: str = ""
    system_tokens: int = 0
    gap_seconds: float = 0.0
    parents: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    tolerant: bool = False


class RunPlan(msgspec.Struct, frozen=True):
    """One run of a workflow; steps in an order in which parents come before children.

    `gap_seconds`: tool time on the path with the most of it, which no scheduler can take away.
    """

    workflow: str
    steps: tuple[StepPlan, ...]
    think_seconds: float = 0.0
    gap_seconds: float = 0.0

    def ideal_seconds(self, profile: Profile) -> float:
        """Alone on a server that has cached all it may, tool time in it."""
        speed = profile.speed
        return _longest(
            self.steps,
            [
                step.gap_seconds
                + speed.prompt_seconds(step.input_tokens - step.shared_tokens, step.shared_tokens)
                + step.output_tokens * speed.token_seconds(1, step.input_tokens)
                for step in self.steps
            ],
        )


class SessionPlan(msgspec.Struct, frozen=True):
    """One user's runs, each begun when the one before is over and its user has thought."""

    runs: tuple[RunPlan, ...]


def linked(workflow: str, steps: Sequence[StepPlan], think_seconds: float = 0.0) -> RunPlan:
    """A run of steps that name their parents; their children are filled in."""
    children: list[list[int]] = [[] for _ in steps]
    for index, step in enumerate(steps):
        for parent in step.parents:
            children[parent].append(index)
    whole = tuple(
        msgspec.structs.replace(step, children=tuple(own)) for step, own in zip(steps, children, strict=True)
    )
    return RunPlan(workflow, whole, think_seconds, _longest(whole, [step.gap_seconds for step in whole]))


def _longest(steps: Sequence[StepPlan], seconds: Sequence[float]) -> float:
    ends: list[float] = []
    for step, own in zip(steps, seconds, strict=True):
        ends.append(own + max((ends[parent] for parent in step.parents), default=0.0))
    return max(ends, default=0.0)
