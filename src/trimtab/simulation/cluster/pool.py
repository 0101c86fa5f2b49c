"""The gateway's side of a simulated cluster: the standings it keeps, the waiting room, what it sends and learns.

Everything that decides is `trimtab.scheduling`; this only tells it what happens, as the live pool does.
"""

import random
from collections.abc import Callable

import msgspec

from trimtab.core.errors import QueueFull
from trimtab.scheduling import (
    LimitRules,
    MeanOf,
    PrefixBook,
    Roll,
    SchedulingPolicy,
    Standing,
    Terms,
    WaitingRoom,
    spill,
    worst_nanodollars,
)
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.gpus import Profile
from trimtab.simulation.cluster.job import Job
from trimtab.simulation.cluster.server import Server

_USUAL_TOKENS = 200.0
_MILLION = 1_000_000
Done = Callable[[Job, float], None]


class Stragglers(msgspec.Struct, frozen=True):
    """A `share` of calls decodes `factor` times as long, for reasons of the server's own."""

    share: float = 0.0
    factor: float = 1.0


class Pool:
    """Servers, others' APIs, and what is known of them. `on_done` hears of every call that is over."""

    __slots__ = (
        "_agenda",
        "_book",
        "_done",
        "_rng",
        "_rules",
        "_stragglers",
        "lengths",
        "policy",
        "refused",
        "retried",
        "roll",
        "room",
        "servers",
        "spilled_calls",
        "spilled_nanodollars",
    )

    def __init__(
        self,
        policy: SchedulingPolicy,
        agenda: Agenda,
        on_done: Done,
        rng: random.Random,
        stragglers: Stragglers | None = None,
    ) -> None:
        self.policy, self._agenda, self._done, self._rng = policy, agenda, on_done, rng
        self._stragglers = stragglers or Stragglers()
        self.servers: list[Server | None] = []
        self.roll = Roll()
        self._book = PrefixBook(())
        self._rules: list[LimitRules] = []
        self.room = WaitingRoom(self.roll, self._book, policy.chooser, policy.key)
        self.lengths = MeanOf(_USUAL_TOKENS)
        self.refused = self.retried = self.spilled_calls = self.spilled_nanodollars = 0

    def add(self, terms: Terms, profile: Profile | None) -> Standing:
        """One more endpoint, up at once; without a profile it is somebody else's API."""
        index = self._book.add_endpoint(terms.kv_tokens if profile else 0)
        self.servers.append(Server(index, profile, terms.most_calls, self._agenda, self) if profile else None)
        self._rules.append(LimitRules(most=terms.most_calls))
        standing = Standing(index, terms)
        self.roll.standings.append(standing)
        return standing

    def turn(self, standing: Standing, now: float, *, available: bool) -> None:
        """An endpoint goes up or down for new calls; what waits is offered anew."""
        standing.available = available
        self.roll.changed()
        for demand, chosen in self.room.reoffer():
            assert isinstance(demand.tag, Job)
            self._send(demand.tag, chosen, now)

    def fail(self, standing: Standing, now: float) -> list[Job]:
        """A server is gone, and its cache; the calls that were there."""
        server = self.servers[standing.index]
        assert server is not None
        lost = server.fail(now)
        for job in lost:
            tokens = job.plan.input_tokens + 0.5 * job.demand.output_tokens
            if job.started_at >= 0.0:
                standing.ended(tokens)
            else:
                standing.lost(job.predicted_missing, tokens, job.predicted_seconds)
            job.started_at, job.retries = -1.0, job.retries + 1
        self.retried += len(lost)
        self._book.clear(standing.index)
        self.turn(standing, now, available=False)
        return lost

    def take(self, job: Job, now: float) -> None:
        """A call arrives, or comes back after its server failed."""
        demand = job.demand
        if demand.run.spill_nanodollars and self._spill(job, now):
            return
        if not self.policy.holds:
            chosen = self.room.pick(demand)
            if chosen is not None:
                self._send(job, chosen, now)
                return
        try:
            arrived = self.room.arrive(demand)
        except QueueFull:
            self.refused += 1
            return
        if arrived is not None:
            self._send(job, arrived, now)

    def started(self, job: Job, now: float) -> None:
        """A first token: the call waits no more."""
        standing = job.standing
        assert standing is not None
        tokens = job.plan.input_tokens + 0.5 * job.demand.output_tokens
        standing.started(job.predicted_missing, tokens, job.predicted_seconds)
        if len(self.room):
            self._refill(standing, now)

    def finished(self, job: Job, now: float) -> None:
        """A last token, and usage with it."""
        standing, plan, demand = job.standing, job.plan, job.demand
        assert standing is not None
        self._learn(job, standing, now)
        standing.ended(plan.input_tokens + 0.5 * demand.output_tokens)
        if job.cached_tokens + job.predicted_missing < plan.input_tokens:
            self._book.correct(standing.index, demand.marks, job.cached_tokens)
        self._book.put(standing.index, _after(job), standing.terms.kv_tokens - standing.context)
        self.lengths.learn(demand.run.workflow, plan.step, job.output_tokens)
        self._done(job, now)
        if len(self.room):
            self._refill(standing, now)

    def _learn(self, job: Job, standing: Standing, now: float) -> None:
        """How fast prompts and tokens go there, and whether the engine let the call wait."""
        took, plan = job.started_at - job.sent_at, job.plan
        if not job.predicted_wait:
            own = standing.prompt_seconds(plan.input_tokens - job.cached_tokens, job.cached_tokens)
            standing.learn(took * standing.prefill_pace / own, None)
        if self.policy.holds:
            waited = took - job.predicted_seconds - job.predicted_wait
            rules = self._rules[standing.index]
            standing.limit = standing.limit.after(waited, standing.outstanding, now, rules)
        if job.output_tokens > 1:
            steady = standing.token_seconds / standing.decode_pace
            standing.learn(None, (now - job.started_at) / ((job.output_tokens - 1) * steady))

    def _refill(self, standing: Standing, now: float) -> None:
        for demand, chosen in self.room.freed(standing):
            assert isinstance(demand.tag, Job)
            self._send(demand.tag, chosen, now)

    def _send(self, job: Job, standing: Standing, now: float) -> None:
        plan, server = job.plan, self.servers[standing.index]
        assert server is not None
        hit = min(self._book.hit(standing.index, job.demand.marks), plan.input_tokens - 1)
        missing = plan.input_tokens - hit
        job.standing, job.sent_at, job.predicted_missing = standing, now, missing
        job.predicted_wait = standing.unstarted_seconds if standing.unstarted else 0.0
        job.predicted_seconds = standing.prompt_seconds(missing, hit)
        if self.policy.holds:
            job.priority = self.policy.key(job.demand, job.predicted_seconds)
        if self._stragglers.share:
            slow = self._rng.random() < self._stragglers.share
            job.drag = self._stragglers.factor if slow else 1.0
        standing.sent(missing, plan.input_tokens + 0.5 * job.demand.output_tokens, job.predicted_seconds)
        server.accept(job, now)

    def _spill(self, job: Job, now: float) -> bool:
        """Sends the call to an external API where the rule says so."""
        demand = job.demand
        standing = spill(
            demand,
            self.room.pick(demand),
            self.roll.external(demand),
            self._book.hits(demand.marks),
            now,
        )
        if standing is None:
            return False
        speed, plan = standing.terms.speed, job.plan
        job.standing, job.cached_tokens = standing, 0
        job.held_nanodollars = worst_nanodollars(demand, standing.terms)
        demand.run.spilled_nanodollars += job.held_nanodollars
        seconds = speed.prompt_seconds(plan.input_tokens, 0) + job.output_tokens * speed.base_seconds
        self._agenda.at(now + seconds, self._came_back, job)
        return True

    def _came_back(self, job: Job, now: float) -> None:
        """An external call is over: what it did not cost is given back to its run."""
        assert job.standing is not None
        terms, plan = job.standing.terms, job.plan
        total = plan.input_tokens * terms.input_price + job.output_tokens * terms.output_price
        cost = -(-total // _MILLION)
        job.demand.run.spilled_nanodollars += cost - job.held_nanodollars
        self.spilled_calls += 1
        self.spilled_nanodollars += cost
        self._done(job, now)


def _after(job: Job) -> tuple[tuple[object, int], ...]:
    own = (job.context, job.plan.input_tokens + job.output_tokens)
    if job.plan.system_tokens:
        return (job.plan.system, job.plan.system_tokens), own
    return (own,)
