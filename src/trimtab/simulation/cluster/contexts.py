"""Which conversation a prompt goes on with: told by hashes of its beginnings, as an engine's prefix cache does."""

from collections import OrderedDict
from hashlib import blake2b

import msgspec

_BLOCK_BYTES = 64
_MOST_BLOCKS = 200_000


class Place(msgspec.Struct, frozen=True):
    """`context`: its conversation; `shared_tokens` of it were seen before. Where it branched off another one:
    `parent`, and `parent_tokens` that they share."""

    context: str
    shared_tokens: int = 0
    parent: str = ""
    parent_tokens: int = 0


class Contexts:
    """Blocks of prompts and whose they are; the longest unseen are forgotten first."""

    def __init__(self, bytes_a_token: int = 4) -> None:
        self._owners: OrderedDict[bytes, tuple[str, int]] = OrderedDict()
        self._depths: dict[str, int] = {}
        self._bytes_a_token = bytes_a_token
        self._made = 0

    def place(self, prompt: bytes) -> Place:
        """Where a prompt belongs; from now on its blocks are known."""
        digests = self._digests(prompt)
        deepest, owner = 0, ""
        for depth, digest in enumerate(digests, 1):
            known = self._owners.get(digest)
            if known is None:
                break
            self._owners.move_to_end(digest)
            deepest, owner = depth, known[0]
        tokens = deepest * _BLOCK_BYTES // self._bytes_a_token
        if deepest and self._depths.get(owner, 0) < 2 * deepest:
            # Who changes but the end of a conversation goes on with it; blocks would be shared, not held twice.
            place = Place(owner, tokens)
        else:
            self._made += 1
            place = Place(f"context {self._made}", tokens, owner, tokens)
        for depth in range(deepest, len(digests)):
            self._owners[digests[depth]] = (place.context, depth + 1)
        self._depths[place.context] = max(self._depths.get(place.context, 0), len(digests))
        while len(self._owners) > _MOST_BLOCKS:
            _, (context, depth) = self._owners.popitem(last=False)
            if depth >= self._depths.get(context, 0):
                self._depths.pop(context, None)
        return place

    def grow(self, place: Place, whole: bytes) -> None:
        """What was answered there is known too: `whole` is the prompt and the reply."""
        digests = self._digests(whole)
        for depth in range(len(digests), 0, -1):
            if digests[depth - 1] in self._owners:
                break
            self._owners[digests[depth - 1]] = (place.context, depth)
        self._depths[place.context] = max(self._depths.get(place.context, 0), len(digests))

    def _digests(self, prompt: bytes) -> list[bytes]:
        chain, view, digests = blake2b(digest_size=8), memoryview(prompt), []
        for begin in range(0, len(prompt) - _BLOCK_BYTES + 1, _BLOCK_BYTES):
            chain.update(view[begin : begin + _BLOCK_BYTES])
            digests.append(chain.digest())
        return digests
