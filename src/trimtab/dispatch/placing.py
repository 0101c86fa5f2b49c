"""Stage 6: which endpoint of those that serve the planned model takes the call, and when. Bound as late as can be."""

from collections.abc import Mapping

from trimtab.config import StepSettings, WorkflowSettings
from trimtab.core import PlannedAttempt
from trimtab.core.errors import DeadlineExceeded
from trimtab.dispatch.settlement import Desk
from trimtab.dispatch.visit import Visit
from trimtab.pool import Ask, Pool, Scheduler, Seat

_ANY = StepSettings()


class Placing:
    """Constructed by `app/`. Without a scheduler it `places` nothing: every attempt waits at the endpoint that
    the plan names."""

    def __init__(
        self, desk: Desk, pool: Pool, scheduler: Scheduler | None, workflows: Mapping[str, WorkflowSettings]
    ) -> None:
        self._desk, self._pool, self._scheduler, self._workflows = desk, pool, scheduler, workflows
        self.places = scheduler is not None

    async def place(
        self, visit: Visit, planned: PlannedAttempt, others: list[PlannedAttempt]
    ) -> tuple[PlannedAttempt, Seat | None]:
        """The attempt to make, and its place where a scheduler gives places. Where it is not `planned` but one of the
        `others` that serve the same model under the same checks, the two change places.

        Raises QueueFull, DeadlineExceeded.
        """
        if self._scheduler is None:
            return planned, None
        alike = [planned, *(one for one in others if _is_like(one, planned))]
        up = [one for one in alike if self._pool.endpoints[one.endpoint].available]
        if not up:
            # A plan's last attempt is made at an endpoint that is down, too.
            return planned, None
        longest = max(self._pool.endpoints[one.endpoint].settings.timeouts.total for one in up)
        left = min(visit.left_seconds(self._desk.clock.now()), longest)
        if left <= 0:
            raise DeadlineExceeded("the call's own deadline passed before an endpoint was asked")
        seat = await self._scheduler.seat(self._ask(visit, up), left)
        chosen = next(one for one in up if one.endpoint == seat.endpoint)
        if chosen is not planned:
            others[others.index(chosen)] = planned
        return chosen, seat

    def _ask(self, visit: Visit, alike: list[PlannedAttempt]) -> Ask:
        first = alike[0]
        return Ask(
            visit.call,
            first.model,
            visit.inbound.body,
            tuple(one.endpoint for one in alike),
            visit.weight,
            visit.max_queued,
            self._step(visit),
            heard=visit.call.stream and not first.verifiers,
        )

    def _step(self, visit: Visit) -> StepSettings:
        workflow = self._workflows.get(visit.call.who.workflow)
        return _ANY if workflow is None else workflow.step.get(visit.call.who.step, _ANY)


def _is_like(one: PlannedAttempt, planned: PlannedAttempt) -> bool:
    return one.model == planned.model and one.verifiers == planned.verifiers
