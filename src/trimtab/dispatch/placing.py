"""Stage 6: which endpoint of those that serve the planned model takes the call, and when. Bound as late as can be."""

from collections.abc import Mapping

from trimtab.config import StepSettings, WorkflowSettings
from trimtab.core import PlannedAttempt, nanodollars_of
from trimtab.core.errors import DeadlineExceeded
from trimtab.dispatch.settlement import Desk
from trimtab.dispatch.visit import Visit
from trimtab.pool import Ask, Pool, Scheduler, Seat
from trimtab.routing import can_serve

_ANY, _UNKNOWN = StepSettings(), WorkflowSettings()


class Placing:
    """Constructed by `app/`. Without a scheduler it `places` nothing: every attempt waits at the endpoint that
    the plan names."""

    def __init__(
        self, desk: Desk, pool: Pool, scheduler: Scheduler | None, workflows: Mapping[str, WorkflowSettings]
    ) -> None:
        self._desk, self._pool, self._scheduler, self._workflows = desk, pool, scheduler, workflows
        self.places = scheduler is not None

    async def place(
        self, visit: Visit, planned: PlannedAttempt, others: list[PlannedAttempt] | None
    ) -> tuple[PlannedAttempt, Seat | None]:
        """The attempt to make, and its place where a scheduler gives places. Where it is not `planned` but one of the
        `others` that serve the same model under the same checks, the two change places. Without `others` (a retry, a
        hedge) it is made where it was planned.

        Raises QueueFull, DeadlineExceeded, UpstreamError.
        """
        if self._scheduler is None:
            return planned, None
        alike = [planned] if others is None else self._alike(visit, planned, others)
        ours = [one for one in alike if not self._is_external(one.endpoint)]
        if not ours and all(self._is_external(name) for name in self._pool.serving(planned.model)):
            # A model that others alone serve needs no leave to go there.
            return planned, None
        up = [one for one in alike if self._pool.endpoints[one.endpoint].available]
        ask = self._ask(visit, alike, up)
        if ours and not (ask.among or ask.external):
            # A plan's last attempt is made at an endpoint that is down, too.
            able = self._scheduler.pick_able(ask, [one.endpoint for one in ours])
            chosen = next(one for one in ours if one.endpoint == able)
            visit.placed.add((chosen.endpoint, chosen.model))
            return self._instead(planned, chosen, others), None
        totals = [self._pool.endpoints[one.endpoint].settings.timeouts.total for one in up]
        left = min(visit.left_seconds(self._desk.clock.now()), *totals) if totals else 0.0
        if totals and left <= 0:
            raise DeadlineExceeded("the call's own deadline passed before an endpoint was asked")
        seat = await self._scheduler.seat(ask, left)
        chosen = next(one for one in up if one.endpoint == seat.endpoint)
        visit.placed.add((chosen.endpoint, chosen.model))
        return self._instead(planned, chosen, others), seat

    def _is_external(self, endpoint: str) -> bool:
        return self._pool.endpoints[endpoint].settings.external

    def _alike(
        self, visit: Visit, planned: PlannedAttempt, others: list[PlannedAttempt]
    ) -> list[PlannedAttempt]:
        """All that may take its place: a plan's own first, then whoever can serve the model and was not tried."""
        alike = [planned, *(one for one in others if _is_like(one, planned))]
        known = {(one.endpoint, one.model) for one in alike} | visit.placed
        for (endpoint, model), offer in visit.offers.items():
            if model == planned.model and (endpoint, model) not in known and can_serve(visit.call, offer):
                alike.append(PlannedAttempt(endpoint, model, planned.verifiers, "scheduled"))
        return alike

    def _instead(
        self, planned: PlannedAttempt, chosen: PlannedAttempt, others: list[PlannedAttempt] | None
    ) -> PlannedAttempt:
        """A plan never grows, and loses none of its other attempts."""
        if others is not None and chosen in others:
            others[others.index(chosen)] = planned
        return chosen

    def _ask(self, visit: Visit, alike: list[PlannedAttempt], up: list[PlannedAttempt]) -> Ask:
        first, who = alike[0], visit.call.who
        workflow = self._workflows.get(who.workflow, _UNKNOWN)
        return Ask(
            visit.call,
            first.model,
            visit.inbound.body,
            tuple(one.endpoint for one in up if not self._is_external(one.endpoint)),
            visit.weight,
            visit.max_queued,
            workflow.step.get(who.step, _ANY),
            tuple(one.endpoint for one in up if self._is_external(one.endpoint))
            if workflow.spill_usd
            else (),
            nanodollars_of(workflow.spill_usd),
            heard=visit.call.stream and not first.verifiers,
        )


def _is_like(one: PlannedAttempt, planned: PlannedAttempt) -> bool:
    return one.model == planned.model and one.verifiers == planned.verifiers
