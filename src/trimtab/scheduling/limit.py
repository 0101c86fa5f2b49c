"""How many calls an endpoint may have at once, so that they wait here, in our order, and not in its own queue.

A value and its transition: additive increase, multiplicative decrease on the wait seen before first tokens. Source:
Chiu and Jain (1989); the signal is that of TCP Vegas (Brakmo and Peterson 1994): time beyond the unloaded one.
"""

import msgspec


class LimitRules(msgspec.Struct, frozen=True, gc=False):
    """A wait of `tolerated_seconds` in the engine is no queue; the limit shrinks at most once in `calm_seconds`."""

    least: int = 2
    most: int = 512
    tolerated_seconds: float = 0.5
    shrink: float = 0.9
    calm_seconds: float = 2.0


class Limit(msgspec.Struct, frozen=True, gc=False):
    """The limit now. `level` is its exact value, `shrunk_at` when it last fell."""

    level: float = 128.0
    shrunk_at: float = float("-inf")

    @property
    def calls(self) -> int:
        """At most so many calls at once."""
        return int(self.level)

    def after(self, waited_seconds: float, outstanding: int, now: float, rules: LimitRules) -> "Limit":
        """The limit after a call's first token, which came `waited_seconds` later than was predicted.

        Predicted of all we know: our own calls before it, its prefill, what should have been cached. What is beyond
        that is a queue in the engine, or a cache that too many calls share.

        It grows only while it is what holds calls back: an unused limit says nothing of the endpoint.
        """
        if waited_seconds > rules.tolerated_seconds:
            if now - self.shrunk_at < rules.calm_seconds:
                return self
            level = min(self.level, max(outstanding, rules.least)) * rules.shrink
            return Limit(max(float(rules.least), level), now)
        if outstanding + 1 >= self.level and self.level < rules.most:
            return Limit(min(float(rules.most), self.level + 1.0 / self.level), self.shrunk_at)
        return self
