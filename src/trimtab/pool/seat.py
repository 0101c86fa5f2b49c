"""A call's place at an endpoint that the scheduler gave it: sent, first token, usage, left. Each at most once."""

from typing import Protocol

from trimtab.core import Call, Usage
from trimtab.pool.endpoint import Endpoint
from trimtab.scheduling import Demand, Standing


class Keeper(Protocol):
    """Whoever gave the place."""

    def monotonic(self) -> float:
        """Seconds of a clock that is never set."""
        ...

    def started(self, seat: "Seat") -> None:
        """A first token came."""
        ...

    def left(self, seat: "Seat", usage: Usage | None, nanodollars: int, waited_seconds: float | None) -> None:
        """It is free again; its first token came `waited_seconds` later than was predicted, None where nobody knows."""
        ...


class Seat:
    """Mutable, owned by one attempt. `rank` orders it among waiting calls, the least first: passed on to engines.
    `held_nanodollars`: of its run's allowance for others' APIs, where it spilled."""

    __slots__ = (
        "_began",
        "_endpoint",
        "_heard",
        "_keeper",
        "_predicted",
        "_sent_at",
        "_started_at",
        "_steady",
        "_wait",
        "call",
        "demand",
        "held_nanodollars",
        "hit_tokens",
        "is_sent",
        "rank",
        "standing",
    )

    def __init__(
        self,
        keeper: Keeper,
        demand: Demand,
        standing: Standing,
        call: Call,
        hit_tokens: int,
        predicted_seconds: float,
        rank: float,
    ) -> None:
        self._keeper, self.demand, self.standing, self.call = keeper, demand, standing, call
        self.hit_tokens, self._predicted, self.rank = hit_tokens, predicted_seconds, rank
        self.held_nanodollars = 0
        self._endpoint: Endpoint | None = None
        self._sent_at = self._started_at = 0.0
        self._steady, self._wait, self._began, self._heard = 0.0, 0.0, False, True
        self.is_sent = False

    @property
    def endpoint(self) -> str:
        """Where it is."""
        return self.standing.name

    @property
    def _tokens(self) -> float:
        return self.demand.input_tokens + 0.5 * self.demand.output_tokens

    @property
    def _missing(self) -> int:
        return self.demand.input_tokens - self.hit_tokens

    def take(self, endpoint: Endpoint, *, heard: bool) -> None:
        """From now on it counts against the endpoint; `heard`: its first token will be told."""
        self._endpoint = endpoint
        endpoint.in_flight += 1
        self._wait = self.standing.unstarted_seconds if self.standing.unstarted else 0.0
        self._sent_at = self._keeper.monotonic()
        self.standing.sent(self._missing, self._tokens, self._predicted)
        self._heard = heard
        if not heard:
            self._begin(self._sent_at)

    def sent(self) -> None:
        """The request goes out now: what was waited for before (a load, money) is not the endpoint's pace."""
        self.is_sent, self._sent_at = True, self._keeper.monotonic()
        if not self._heard:
            self._started_at = self._sent_at

    def first_token(self) -> None:
        """Heard, of a streamed reply."""
        if self._began or self._endpoint is None:
            return
        self._begin(self._keeper.monotonic())
        self._keeper.started(self)

    def _begin(self, now: float) -> None:
        self._began, self._started_at = True, now
        self.standing.started(self._missing, self._tokens, self._predicted)
        self._steady = self.standing.token_seconds / self.standing.decode_pace

    def leave(self, usage: Usage | None = None, nanodollars: int = 0) -> None:
        """Give the place back; `usage` of a whole reply teaches, `nanodollars` were charged."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is None:
            return
        now, waited = self._keeper.monotonic(), None
        if not self._began:
            self._begin(now)
        elif usage is not None and usage.output_tokens:
            waited = self._learn(usage, now)
        self.standing.ended(self._tokens)
        endpoint.leave()
        self._keeper.left(self, usage, nanodollars, waited)

    def _learn(self, usage: Usage, now: float) -> float | None:
        """How fast prompts and tokens go there; seconds that the first token came later than was predicted."""
        standing, decode = self.standing, (usage.output_tokens - 1) * self._steady
        missing = max(1, usage.input_tokens - usage.cached_tokens)
        prefill = standing.terms.speed.prompt_seconds(missing, usage.cached_tokens)
        if not self._heard:
            whole = (now - self._sent_at) / (prefill + decode)
            standing.learn(whole, whole)
            return None
        took = self._started_at - self._sent_at
        if not self._wait:
            standing.learn(took / prefill, None)
        if decode:
            standing.learn(None, (now - self._started_at) / decode)
        return took - self._predicted - self._wait
