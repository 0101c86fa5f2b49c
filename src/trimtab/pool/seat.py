"""A call's place at an endpoint that the scheduler gave it: sent, first token, usage, left. Each at most once."""

from typing import Protocol

from trimtab.core import Call, Usage
from trimtab.pool.endpoint import Endpoint
from trimtab.scheduling import Demand, Standing


class Keeper(Protocol):
    """Whoever gave the place."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def started(self, seat: "Seat", waited_seconds: float | None) -> None:
        """A first token came."""
        ...

    def left(self, seat: "Seat", usage: Usage | None) -> None:
        """It is free again."""
        ...


class Seat:
    """Mutable, owned by one attempt. `rank` orders it among waiting calls, the least first: passed on to engines."""

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
        "hit_tokens",
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
        self._endpoint: Endpoint | None = None
        self._sent_at = self._started_at = 0.0
        self._steady, self._wait, self._began, self._heard = 0.0, 0.0, False, True

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
        self._wait = self.standing.unstarted_seconds
        self._sent_at = self._keeper.now()
        self.standing.sent(self._missing, self._tokens, self._predicted)
        self._heard = heard
        if not heard:
            self._begin(self._sent_at)

    def first_token(self) -> None:
        """Heard, of a streamed reply."""
        if self._began or self._endpoint is None:
            return
        now, standing = self._keeper.now(), self.standing
        took = now - self._sent_at
        self._begin(now)
        if not self._wait:
            standing.learn(took * standing.prefill_pace / self._predicted, None)
        self._keeper.started(self, took - self._predicted - self._wait)

    def _begin(self, now: float) -> None:
        self._began, self._started_at = True, now
        self.standing.started(self._missing, self._tokens, self._predicted)
        self._steady = self.standing.token_seconds / self.standing.decode_pace

    def leave(self, usage: Usage | None = None) -> None:
        """Give the place back; `usage` of a whole reply teaches."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is None:
            return
        endpoint.in_flight -= 1
        now, standing = self._keeper.now(), self.standing
        if self._began and usage is not None and usage.output_tokens > 1:
            expected = (usage.output_tokens - 1) * self._steady
            if self._heard:
                standing.learn(None, (now - self._started_at) / expected)
            else:
                whole = (now - self._sent_at) / (expected + self._predicted / standing.prefill_pace)
                standing.learn(whole, whole)
        if not self._began:
            self._begin(now)
        standing.ended(self._tokens)
        self._keeper.left(self, usage)
