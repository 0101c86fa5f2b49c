"""A continuous-batching server, as fluid: one chunked prefill at a time, decode of all others beside it.

Between two events every running call gets tokens at one rate, so an event costs O(log n) and no iteration is
played. KV cache and prefix cache share the memory; the prefix cache is least recently used. Not modelled: see
docs/simulator.md.
"""

from collections import OrderedDict
from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Protocol

from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.gpus import Profile
from trimtab.simulation.cluster.job import Job

_NEVER = float("inf")
_EPSILON = 1e-6


class Listener(Protocol):
    """Who hears of calls."""

    def started(self, job: Job, now: float) -> None:
        """Its first token came."""
        ...

    def finished(self, job: Job, now: float) -> None:
        """Its last token came."""
        ...


class Server:
    """One server. `progress` counts the tokens that a call running since the beginning would have."""

    __slots__ = (
        "_agenda",
        "_began_at",
        "_cache",
        "_cached",
        "_due",
        "_epoch",
        "_iterations",
        "_listener",
        "_most_calls",
        "_prefill_end",
        "_prefilling",
        "_progress",
        "_rate",
        "_running",
        "_since",
        "_used",
        "_waiting",
        "busy_seconds",
        "context",
        "hit_tokens",
        "index",
        "input_tokens",
        "profile",
    )

    def __init__(
        self, index: int, profile: Profile, most_calls: int, agenda: Agenda, listener: Listener
    ) -> None:
        """`most_calls` run or prefill at once (vLLM's max_num_seqs)."""
        self.index, self.profile, self._most_calls = index, profile, most_calls
        self._agenda, self._listener = agenda, listener
        self._waiting: list[tuple[float, int, Job]] = []
        self._prefilling: list[Job] = []
        self._running: list[tuple[float, int, Job]] = []
        self._cache: OrderedDict[Hashable, int] = OrderedDict()
        self._cached = self._used = self._epoch = self._iterations = 0
        self._progress = self._rate = self._since = self._began_at = 0.0
        self._due = self._prefill_end = _NEVER
        self.busy_seconds = self.context = 0.0
        self.hit_tokens = self.input_tokens = 0

    @property
    def idle(self) -> bool:
        """Nothing is here."""
        return not (self._waiting or self._prefilling or self._running)

    def accept(self, job: Job, now: float) -> None:
        """A call comes in; it waits in the engine's own queue, by its priority, until a prefill may begin."""
        heappush(self._waiting, (job.priority, job.number, job))
        if not self._prefilling:
            self._advance(now)
            self._begin_prefill(now)
            self._plan(now)

    def fail(self, now: float) -> list[Job]:
        """All is lost, the prefix cache too; the calls that were here."""
        self._advance(now)
        lost = (
            [entry[2] for entry in self._waiting] + self._prefilling + [entry[2] for entry in self._running]
        )
        self._waiting, self._prefilling, self._running = [], [], []
        self._cache.clear()
        self._cached = self._used = 0
        self.context = 0.0
        self._epoch += 1
        self._due = self._prefill_end = _NEVER
        return lost

    def _advance(self, now: float) -> None:
        elapsed = now - self._since
        if self._running:
            self._progress += self._rate * elapsed
            self.busy_seconds += elapsed
        elif self._prefilling:
            self.busy_seconds += elapsed
        self._since = now

    def _begin_prefill(self, now: float) -> None:
        """The next prompts that fit into memory and one chunk; a prompt longer than a chunk goes alone."""
        waiting, speed = self._waiting, self.profile.speed
        missing, work = 0, 0.0
        while waiting and len(self._running) + len(self._prefilling) < self._most_calls:
            job = waiting[0][2]
            plan = job.plan
            need = plan.input_tokens + job.output_tokens
            if self._used and self._used + need > self.profile.kv_tokens:
                break
            hit = self._hit(job)
            own = plan.input_tokens - hit
            if missing and missing + own > speed.chunk_tokens:
                break
            heappop(waiting)
            job.cached_tokens = hit
            missing += own
            work += own * (speed.prefill_seconds + speed.attention_seconds * (hit + 0.5 * own))
            self._used += need
            self.hit_tokens += hit
            self.input_tokens += plan.input_tokens
            self._prefilling.append(job)
        if not missing:
            return
        if self._cached > self.profile.kv_tokens - self._used:
            self._evict()
        self._iterations = -(-missing // speed.chunk_tokens)
        work = max(work, self._iterations * speed.base_seconds) if self._iterations == 1 else work
        decode = speed.call_seconds * len(self._running) + speed.context_seconds * self.context
        self._began_at = now
        self._prefill_end = now + work + self._iterations * decode
        self._agenda.at(self._prefill_end, self._prefilled, self._epoch)

    def _prefilled(self, epoch: int, now: float) -> None:
        if epoch != self._epoch:
            return
        self._advance(now)
        done, self._prefilling = self._prefilling, []
        for job in done:
            plan = job.plan
            self.context += plan.input_tokens + 0.5 * job.output_tokens
            ends = self._progress + (job.output_tokens - 1) * job.drag
            heappush(self._running, (ends, job.number, job))
            self._keep(job.context, plan.input_tokens)
            if plan.system_tokens:
                self._keep(plan.system, plan.system_tokens)
            job.started_at = now
        self._begin_prefill(now)
        self._plan(now)
        for job in done:
            self._listener.started(job, now)

    def _plan(self, now: float) -> None:
        """When the next running call ends at the rate from now on; the end of a prefill plans anew anyway."""
        running = self._running
        if not running:
            self._rate, self._due = 0.0, _NEVER
            return
        if self._prefilling:
            self._rate = self._iterations / (self._prefill_end - self._began_at)
        else:
            speed = self.profile.speed
            self._rate = 1.0 / (
                speed.base_seconds + speed.call_seconds * len(running) + speed.context_seconds * self.context
            )
        due = now + (running[0][0] - self._progress) / self._rate
        if due < now:
            due = now
        if self._prefilling and due > self._prefill_end:
            self._due = _NEVER
        elif due != self._due:
            self._due = due
            self._agenda.at(due, self._ended, due)

    def _ended(self, due: float, now: float) -> None:
        if due != self._due:
            return
        self._due = _NEVER
        self._advance(now)
        running, reached, done = self._running, self._progress + _EPSILON, []
        while running and running[0][0] <= reached:
            job = heappop(running)[2]
            whole = job.plan.input_tokens + job.output_tokens
            self.context -= whole - 0.5 * job.output_tokens
            self._used -= whole
            self._keep(job.context, whole)
            done.append(job)
        if self._cached > self.profile.kv_tokens - self._used:
            self._evict()
        if not self._prefilling:
            self._begin_prefill(now)
        self._plan(now)
        for job in done:
            self._listener.finished(job, now)

    def _hit(self, job: Job) -> int:
        plan = job.plan
        held = self._cache.get(job.context)
        if held is not None:
            hit = min(held, plan.shared_tokens)
            if hit > plan.system_tokens:
                return hit
        return plan.system_tokens if plan.system in self._cache else 0

    def _keep(self, key: Hashable, tokens: int) -> None:
        cache = self._cache
        old = cache.pop(key, 0)
        cache[key] = tokens if tokens > old else old
        self._cached += cache[key] - old

    def _evict(self) -> None:
        room, cache = self.profile.kv_tokens - self._used, self._cache
        while self._cached > room and cache:
            self._cached -= cache.popitem(last=False)[1]
