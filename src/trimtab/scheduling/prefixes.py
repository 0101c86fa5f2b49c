"""What each endpoint's prefix cache is likely to hold, told by what we sent and corrected by what it reports.

One book for a pool. Its keys are opaque: the gateway gives chained hashes of a prompt's messages, the simulator
names of sessions. No policy writes here; the keeper does, after every call.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from trimtab.scheduling.demand import Mark


class PrefixBook:
    """Who holds which prefix, least recently used out first, within each endpoint's cache of `tokens`."""

    __slots__ = ("_capacity", "_held", "_holders", "_recent")

    def __init__(self, capacity_tokens: Sequence[int]) -> None:
        """`capacity_tokens[index]`: what the endpoint of that index can keep."""
        self._capacity = list(capacity_tokens)
        self._recent: list[OrderedDict[Hashable, int]] = [OrderedDict() for _ in capacity_tokens]
        self._held = [0] * len(self._capacity)
        self._holders: dict[Hashable, dict[int, int]] = {}

    def add_endpoint(self, capacity_tokens: int) -> int:
        """Room for one more endpoint; its index."""
        self._capacity.append(capacity_tokens)
        self._recent.append(OrderedDict())
        self._held.append(0)
        return len(self._capacity) - 1

    def hits(self, marks: Sequence[Mark]) -> dict[int, int]:
        """By endpoint, how many leading tokens of a prompt with these marks (shallowest first) it may hold."""
        found: dict[int, int] = {}
        holders = self._holders
        for key, tokens in marks:
            held = holders.get(key)
            if held:
                for index, most in held.items():
                    found[index] = most if most < tokens else tokens
        return found

    def hit(self, index: int, marks: Sequence[Mark]) -> int:
        """The same at one endpoint."""
        for key, tokens in reversed(marks):
            held = self._holders.get(key)
            if held is not None and index in held:
                most = held[index]
                return most if most < tokens else tokens
        return 0

    def put(self, index: int, marks: Sequence[Mark], room_tokens: float | None = None) -> None:
        """The endpoint has now seen a prompt with these marks. `room_tokens`: what running calls leave to the cache."""
        recent = self._recent[index]
        before = 0
        for key, tokens in marks:
            held = self._holders.get(key)
            if held is None:
                held = self._holders[key] = {}
            old = held.get(index, 0)
            if tokens > old:
                held[index] = tokens
                own = tokens - before
                self._held[index] += own - recent.get(key, 0)
                recent[key] = own
            recent.move_to_end(key)
            before = tokens
        room = self._capacity[index] if room_tokens is None else room_tokens
        if self._held[index] > room:
            self._evict(index, room)

    def correct(self, index: int, marks: Sequence[Mark], cached_tokens: int) -> None:
        """The endpoint reported `cached_tokens` of a prompt: what it was believed to hold beyond them is gone."""
        for key, tokens in marks:
            if tokens > cached_tokens and index in self._holders.get(key, ()):
                self._forget(index, key)

    def clear(self, index: int) -> None:
        """The endpoint began anew."""
        for key in list(self._recent[index]):
            self._forget(index, key)

    def _evict(self, index: int, room_tokens: float) -> None:
        recent = self._recent[index]
        while self._held[index] > room_tokens and recent:
            self._forget(index, next(iter(recent)))

    def _forget(self, index: int, key: Hashable) -> None:
        self._held[index] -= self._recent[index].pop(key)
        held = self._holders[key]
        del held[index]
        if not held:
            del self._holders[key]
