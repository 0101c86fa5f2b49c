"""How fast an endpoint serves: the terms of one iteration of continuous batching, and what calls take by them.

An iteration serves a chunk of one prompt (prefill) and one token of each running call (decode):
`max(base, chunk / prefill rate) + per call * calls + per context token * tokens`. Source of the form: Agrawal et
al., Vidur (MLSys 2024), whose profiles of H100 and A100 it follows within some 10 % (see docs/simulator.md).
"""

import msgspec

CHUNK_TOKENS = 2048
TYPICAL_BATCH = 8


class Speed(msgspec.Struct, frozen=True, gc=False):
    """Seconds. `base`: an iteration with nothing in it (reading the weights); `prefill`: a prompt token;
    `attention`: a prompt token and a token before it; `call`: a running call an iteration; `context`: a token
    held by running calls an iteration.
    """

    base_seconds: float
    prefill_seconds: float
    call_seconds: float = 0.0
    context_seconds: float = 0.0
    attention_seconds: float = 0.0
    chunk_tokens: int = CHUNK_TOKENS

    def token_seconds(self, calls: int, context_tokens: float) -> float:
        """One token for each of `calls` that hold `context_tokens` in all."""
        return self.base_seconds + self.call_seconds * calls + self.context_seconds * context_tokens

    def prompt_seconds(self, missing_tokens: float, cached_tokens: float) -> float:
        """The prompt's own work, alone on the endpoint."""
        attended = cached_tokens + 0.5 * missing_tokens
        work = missing_tokens * (self.prefill_seconds + self.attention_seconds * attended)
        return work if work > self.base_seconds else self.base_seconds

    def service_seconds(self, missing_tokens: float, output_tokens: float) -> float:
        """A call's share of the endpoint's time, by which runs are compared: decode is shared by a usual batch."""
        return missing_tokens * self.prefill_seconds + output_tokens * self.base_seconds / TYPICAL_BATCH
