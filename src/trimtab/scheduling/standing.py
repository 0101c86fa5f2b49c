"""An endpoint as it stands before the scheduler: its terms, what we have sent to it, how fast it has been.

Whoever sends calls (the live pool, the simulator) keeps one `Standing` an endpoint and tells it of every call, so
that a decision only reads plain attributes. No clock, no I/O.
"""

from typing import Literal

import msgspec

from trimtab.scheduling.demand import Demand
from trimtab.scheduling.limit import Limit
from trimtab.scheduling.speed import Speed

_LEARNING_RATE = 0.05
_LEAST_PACE, _MOST_PACE = 0.2, 20.0
Profile = Literal["interactive", "batch", "any"]


class Terms(msgspec.Struct, frozen=True, eq=False):
    """What settings say of an endpoint. Prices: nanodollars a million tokens; `hour_nanodollars` is a machine's.

    `kv_tokens`: what its KV cache holds; `context_tokens`: the longest call it takes. `external`: somebody else's
    API, reached only by spill. `streams`: we see first tokens, so calls that have none yet are counted.
    `most_calls`: at once; the limit moves below it.
    """

    name: str
    speed: Speed
    models: frozenset[str] = frozenset()
    quality: float = 1.0
    precision_bits: int = 16
    context_tokens: int = 1 << 40
    kv_tokens: int = 1 << 40
    adapters: bool = False
    profile: Profile = "any"
    input_price: int = 0
    cached_price: int = 0
    output_price: int = 0
    hour_nanodollars: int = 0
    external: bool = False
    streams: bool = True
    most_calls: int = 128


class Standing:
    """One endpoint now. Read by policies, written by its keeper: `sent`, `started`, `ended`, `held`, `let_go`.

    `backlog_seconds`: predicted prefill of calls that have no first token yet, sent there (`unstarted_seconds`) or
    waiting for it. `sharing`: how
    many calls a prefill here would hold up. `token_seconds`: one token of a running call, as lately learned.
    """

    __slots__ = (
        "adapters",
        "attention_seconds",
        "available",
        "backlog_seconds",
        "context",
        "decode_pace",
        "decoding",
        "hour_dollars",
        "index",
        "kv_tokens",
        "limit",
        "loads",
        "name",
        "outstanding",
        "outstanding_tokens",
        "prefill_pace",
        "prefill_seconds",
        "sharing",
        "terms",
        "token_seconds",
        "unstarted",
        "unstarted_seconds",
        "unstarted_tokens",
        "waiting",
    )

    def __init__(self, index: int, terms: Terms, limit: Limit | None = None) -> None:
        """`index` is its place in the pool, by which prefixes are kept."""
        self.index, self.name, self.terms = index, terms.name, terms
        self.available = True
        self.limit = limit or Limit(float(terms.most_calls))
        self.outstanding = self.unstarted = self.decoding = self.waiting = 0
        self.outstanding_tokens = self.unstarted_tokens = 0.0
        self.context = 0.0
        self.sharing = 0
        self.backlog_seconds = self.unstarted_seconds = 0.0
        self.prefill_pace = self.decode_pace = 1.0
        self.prefill_seconds = terms.speed.prefill_seconds
        self.attention_seconds = terms.speed.attention_seconds
        self.token_seconds = terms.speed.base_seconds
        self.kv_tokens = terms.kv_tokens
        self.hour_dollars = terms.hour_nanodollars / 1e9
        self.adapters: frozenset[str] = frozenset()

    @property
    def room(self) -> bool:
        """Whether a call may be sent now without waiting in the engine's own queue."""
        if not self.available or self.outstanding >= self.limit.calls:
            return False
        chunk = self.terms.speed.chunk_tokens
        return not self.terms.streams or self.unstarted < 2 or self.unstarted_tokens < chunk

    def prompt_seconds(self, missing_tokens: float, cached_tokens: float) -> float:
        """The predicted prefill of one call, at the pace learned."""
        return self.prefill_pace * self.terms.speed.prompt_seconds(missing_tokens, cached_tokens)

    def seconds_of(self, demand: Demand, hit: int) -> float:
        """Predicted seconds from now to the end of a call: backlog, prefill of what is not cached, decode."""
        missing = max(1, demand.input_tokens - hit)
        own = self.prompt_seconds(missing, hit) + demand.output_tokens * self.token_seconds
        return self.backlog_seconds + own

    def held(self, seconds: float) -> None:
        """A call whose prefill is predicted to take `seconds` waits for this endpoint."""
        self.waiting += 1
        self.sharing += 1
        self.backlog_seconds += seconds

    def let_go(self, seconds: float) -> None:
        """It waits no more."""
        self.waiting -= 1
        self.sharing -= 1
        self.backlog_seconds -= seconds

    def sent(self, missing_tokens: float, tokens: float, seconds: float) -> None:
        """A call of `tokens` in all was sent; `seconds` is its predicted prefill."""
        self.outstanding += 1
        self.outstanding_tokens += tokens
        self.unstarted += 1
        self.unstarted_tokens += missing_tokens
        self.sharing += 1
        self.backlog_seconds += seconds
        self.unstarted_seconds += seconds

    def started(self, missing_tokens: float, tokens: float, seconds: float) -> None:
        """Its first token came; the figures are those of `sent`."""
        self.unstarted -= 1
        self.unstarted_tokens -= missing_tokens
        self.backlog_seconds -= seconds
        self.unstarted_seconds -= seconds
        self.decoding += 1
        self.context += tokens
        self._weigh()

    def ended(self, tokens: float) -> None:
        """Its last token came."""
        self.outstanding -= 1
        self.outstanding_tokens -= tokens
        self.decoding -= 1
        self.sharing -= 1
        self.context -= tokens
        self._weigh()

    def lost(self, missing_tokens: float, tokens: float, seconds: float) -> None:
        """A call that was sent ended without a first token."""
        self.started(missing_tokens, tokens, seconds)
        self.ended(tokens)

    def learn(self, prefill_ratio: float | None, decode_ratio: float | None) -> None:
        """Observed over predicted (at pace 1) seconds of one call's prefill and decode; None where not seen."""
        if prefill_ratio is not None:
            self.prefill_pace = _moved(self.prefill_pace, prefill_ratio)
            self.prefill_seconds = self.prefill_pace * self.terms.speed.prefill_seconds
            self.attention_seconds = self.prefill_pace * self.terms.speed.attention_seconds
        if decode_ratio is not None:
            self.decode_pace = _moved(self.decode_pace, decode_ratio)
            self._weigh()

    def _weigh(self) -> None:
        speed = self.terms.speed
        self.token_seconds = self.decode_pace * (
            speed.base_seconds + speed.call_seconds * self.decoding + speed.context_seconds * self.context
        )


def _moved(pace: float, ratio: float) -> float:
    moved = pace + _LEARNING_RATE * (ratio - pace)
    return min(_MOST_PACE, max(_LEAST_PACE, moved))
