"""What an engine said of itself at one moment, in the same words for every engine; None where it does not say."""

import msgspec


class EngineReport(msgspec.Struct, frozen=True, gc=False):
    """`at`: monotonic seconds. `kv_used`: share of its KV cache in use. `prefix_share`: share of prompt tokens lately
    found in its prefix cache (`prefix_hits` of `prefix_tokens`, counted since the engine began, make it).

    `adapters` and `models`: those that are loaded; `asleep`: it has given its memory away and serves nothing.
    """

    at: float
    running: int | None = None
    waiting: int | None = None
    kv_used: float | None = None
    prefix_share: float | None = None
    prefix_hits: float = 0.0
    prefix_tokens: float = 0.0
    adapters: frozenset[str] | None = None
    models: frozenset[str] | None = None
    asleep: bool = False

    def following(self, before: "EngineReport | None") -> "EngineReport":
        """With the prefix share of what was asked since `before`; of all where there is none, or it began anew."""
        if not self.prefix_tokens:
            return self
        hits, tokens = self.prefix_hits, self.prefix_tokens
        if before is not None and 0.0 < before.prefix_tokens <= tokens and before.prefix_hits <= hits:
            hits, tokens = hits - before.prefix_hits, tokens - before.prefix_tokens
            if not tokens:
                return msgspec.structs.replace(self, prefix_share=before.prefix_share)
        return msgspec.structs.replace(self, prefix_share=hits / tokens)
