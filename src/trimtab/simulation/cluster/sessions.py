"""Closed-loop sessions: users come by chance, a step begins when its parents are over and its tool has answered.

It makes the demands that policies see: predictions from sessions that are over, never a true length, but for the
policy that is named oracle.
"""

import random
from collections.abc import Callable, Mapping, Sequence

from trimtab.scheduling import Demand, MeanOf, RemainingService, RunStanding, SchedulingPolicy, paths_behind
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.job import Job, LiveRun, LiveSession
from trimtab.simulation.cluster.plans import RunPlan, SessionPlan

_CONTEXTS = 1 << 10
_MOST_OUTPUT_TOKENS = 20_000
_TOKEN_SECONDS = 0.002
Take = Callable[[Job, float], None]


class RunRecord:
    """A run that is over: seconds on the wall, of these in tools, and what it was allowed."""

    __slots__ = ("began", "gap_seconds", "seconds", "slo_seconds", "workflow")

    def __init__(self, workflow: str, began: float, seconds: float, gap: float, slo: float) -> None:
        self.workflow, self.began, self.seconds = workflow, began, seconds
        self.gap_seconds, self.slo_seconds = gap, slo


class Sessions:
    """Who is at work. `take` is told of every call; `finished` must be told of its end."""

    def __init__(
        self,
        plans: Sequence[SessionPlan],
        slos: Mapping[str, float],
        policy: SchedulingPolicy,
        agenda: Agenda,
        rng: random.Random,
        strict_quality: float = 0.0,
        spill_nanodollars: int = 0,
    ) -> None:
        """`slos`: seconds allowed to a run, by workflow. Steps that are not tolerant need `strict_quality`; a run may
        spend `spill_nanodollars` on external APIs.
        """
        self._plans, self._slos, self._policy, self._agenda, self._rng = plans, slos, policy, agenda, rng
        self._strict_quality, self._spill = strict_quality, spill_nanodollars
        self._remaining = RemainingService()
        self._services = MeanOf(1.0)
        self._sessions = self._calls = 0
        self._rate = self._until = 0.0
        self._open: dict[str, RunStanding] = {}
        self.records: list[RunRecord] = []
        self.take: Take = _nobody
        self.lengths = MeanOf(200.0)

    @property
    def open_runs(self) -> int:
        """Runs under way."""
        return len(self._open)

    @property
    def calls(self) -> int:
        """How many were made so far."""
        return self._calls

    def late_share(self, now: float) -> float:
        """Of open runs, those that are past what they were allowed."""
        late = sum(1 for one in self._open.values() if one.deadline is not None and one.deadline < now)
        return late / max(1, len(self._open))

    def come(self, rate: float, until: float) -> None:
        """Sessions begin at `rate` a second (Poisson), up to the time `until`."""
        self._rate, self._until = rate, until
        self._agenda.at(self._rng.expovariate(rate), self._arrive, None)

    def finished(self, job: Job, now: float) -> None:
        """A call is over: its run goes on, or is over, or its session's next run begins."""
        run, standing = job.run, job.run.standing
        speed = job.standing.terms.speed if job.standing else None
        service = (
            speed.service_seconds(job.plan.input_tokens - job.cached_tokens, job.output_tokens)
            if speed
            else 0.0
        )
        standing.attained_seconds += service
        standing.steps_done += 1
        run.services.append((job.plan.step, service))
        run.left -= 1
        if self._policy.graph:
            self._services.learn(standing.workflow, job.plan.step, service)
        if not run.left:
            self._over(run, now)
            return
        for child in job.plan.children:
            run.missing[child] -= 1
            if not run.missing[child]:
                self._agenda.at(now + run.plan.steps[child].gap_seconds, self._release, (run, child))

    def _arrive(self, _: None, now: float) -> None:
        self._sessions += 1
        session = LiveSession(self._sessions, self._rng.choice(self._plans))
        self._begin_run(session, now)
        following = now + self._rng.expovariate(self._rate)
        if following < self._until:
            self._agenda.at(following, self._arrive, None)

    def _begin_run(self, session: LiveSession, now: float) -> None:
        plan = session.plan.runs[session.at_run]
        slo = self._slos[plan.workflow]
        name = f"{session.number}.{session.at_run}"
        run = LiveRun(
            plan,
            session,
            RunStanding(name, plan.workflow, now, now + slo, spill_nanodollars=self._spill),
            [len(step.parents) for step in plan.steps],
            len(plan.steps),
            [],
            [],
        )
        self._open[name] = run.standing
        if self._policy.graph:
            self._lay_out(run)
        for index, step in enumerate(plan.steps):
            if not step.parents:
                self._release((run, index), now)

    def _lay_out(self, run: LiveRun) -> None:
        """The graph is known from the beginning; how long its steps take is what earlier ones took."""
        steps, workflow = run.plan.steps, run.plan.workflow
        seconds = [self._services.expected(workflow, step.step) for step in steps]
        run.paths = paths_behind([step.children for step in steps], seconds)

    def _release(self, about: tuple[LiveRun, int], now: float) -> None:
        run, index = about
        plan, standing = run.plan.steps[index], run.standing
        self._calls += 1
        context = run.session.number * _CONTEXTS + plan.context
        own = (context, plan.shared_tokens)
        marks = ((plan.system, plan.system_tokens), own) if plan.system_tokens else (own,)
        if self._policy.knows == "truth":
            left = _true_left(run.plan, standing.steps_done)
            expected: float = plan.output_tokens
        else:
            left = self._remaining.left_seconds(standing.workflow, plan.step, standing.steps_done)
            expected = self.lengths.expected(standing.workflow, plan.step)
        job = Job(self._calls, run, index, plan, context, plan.output_tokens, _NO_DEMAND)
        job.demand = Demand(
            standing,
            plan.step,
            self._calls,
            now,
            plan.input_tokens,
            expected,
            left,
            marks,
            path_seconds=run.paths[index] if run.paths else None,
            tag=job,
            quality_floor=0.0 if plan.tolerant else self._strict_quality,
            most_output_tokens=_MOST_OUTPUT_TOKENS,
        )
        self.take(job, now)

    def _over(self, run: LiveRun, now: float) -> None:
        standing, plan, session = run.standing, run.plan, run.session
        del self._open[standing.id]
        slo = self._slos[plan.workflow]
        self.records.append(
            RunRecord(plan.workflow, standing.began, now - standing.began, plan.gap_seconds, slo)
        )
        self._remaining.learn(plan.workflow, run.services)
        session.at_run += 1
        if session.at_run < len(session.plan.runs):
            think = session.plan.runs[session.at_run].think_seconds
            self._agenda.at(now + think, self._next_run, session)

    def _next_run(self, session: LiveSession, now: float) -> None:
        self._begin_run(session, now)


def _true_left(plan: RunPlan, steps_done: int) -> float:
    """In seconds of a usual server's shared service; only the order among runs counts."""
    tokens = sum(step.output_tokens + 0.05 * step.input_tokens for step in plan.steps[steps_done:])
    return _TOKEN_SECONDS * tokens


def _nobody(job: Job, now: float) -> None:
    raise AssertionError("nobody takes calls")


_NO_DEMAND = Demand(RunStanding("", "", 0.0), "", 0, 0.0, 1, 1.0, 0.0)
