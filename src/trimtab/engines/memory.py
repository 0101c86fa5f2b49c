"""Embeddings of texts seen lately, least recently used first to go."""

from collections import OrderedDict
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Embedding = NDArray[np.float32]
_ENTRY_OVERHEAD_BYTES = 250


class EmbeddingMemory:
    """Bounded by bytes. Keyed by a digest, so that long texts are not kept. For one thread."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self.bytes = most_bytes, 0
        self._kept: OrderedDict[bytes, Embedding] = OrderedDict()
        self.hits = self.misses = 0

    def find(self, text: str, adapter: str = "") -> Embedding | None:
        """The embedding of a text under an adapter, if it is remembered."""
        key = _key(text, adapter)
        found = self._kept.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._kept.move_to_end(key)
        return found

    def keep(self, text: str, embedding: Embedding, adapter: str = "") -> None:
        """Remember it, in place of those not asked for the longest."""
        key = _key(text, adapter)
        if key in self._kept:
            return
        self._kept[key] = embedding
        self.bytes += embedding.nbytes + _ENTRY_OVERHEAD_BYTES
        while self.bytes > self._most_bytes and self._kept:
            _, gone = self._kept.popitem(last=False)
            self.bytes -= gone.nbytes + _ENTRY_OVERHEAD_BYTES


def _key(text: str, adapter: str) -> bytes:
    return blake2b(f"{adapter}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
