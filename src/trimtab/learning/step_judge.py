"""What a step controller's chances would have done to recorded runs: calls saved, precision, writes, money.

Eager: a call is emitted at the first moment it passes both thresholds; it hits where the agent makes it at that reply
or later with no write between. Exact: the likely candidates are the whole next action. A reply is saved only
when every call of it is covered; every recorded reply counts, those of failed runs too.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.learning.step_fit import Seen, is_exact

_SUMS = ("calls", "saved", "repeats", "emitted", "hits", "expected", "nanodollars", "saved_nanodollars")


@dataclass(slots=True)
class Tally:
    """Sums over replies. `repeats` are saved replies that only asked again for what stood already; `expected` is the
    sum of the emissions' chances; money counts replies of known price."""

    calls: int = 0
    saved: int = 0
    repeats: int = 0
    emitted: int = 0
    hits: int = 0
    expected: float = 0.0
    nanodollars: int = 0
    saved_nanodollars: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    tool_hits: Counter[str] = field(default_factory=Counter)

    @property
    def precision(self) -> float:
        """The share of emissions that came true; 1 where there were none."""
        return self.hits / self.emitted if self.emitted else 1.0

    @property
    def expected_precision(self) -> float:
        """What the chances said the precision would be."""
        return self.expected / self.emitted if self.emitted else 1.0

    @property
    def saved_share(self) -> float:
        """The share of all replies that need no model."""
        return self.saved / self.calls if self.calls else 0.0

    def emission(self, tool: str, *, hit: bool) -> None:
        """Count what was emitted, and whether it came true."""
        self.emitted += 1
        self.hits += hit
        self.tools[tool] += 1
        self.tool_hits[tool] += hit

    def reply(self, price: int | None, *, saved: bool) -> None:
        """Count a reply that a model gave, and whether it was needed; `price` in nanodollars, where it is known."""
        self.calls += 1
        self.saved += saved
        if price is not None:
            self.nanodollars += price
            self.saved_nanodollars += price if saved else 0

    def add(self, other: "Tally") -> None:
        """Put another's sums to these."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.tools.update(other.tools)
        self.tool_hits.update(other.tool_hits)


# The chance with which a moment's candidate is emitted; 0: it is not.
Emit = Callable[[Seen, int], float]


def by_episode(seen: Iterable[Seen]) -> dict[str, list[Seen]]:
    """The moments of each episode in order."""
    found: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        found[one.lived.episode.id].append(one)
    return {id: sorted(moments, key=lambda one: one.moment.reply) for id, moments in found.items()}


def judge_eager(moments: Sequence[Seen], emits: Emit) -> Tally:
    """One episode under eager grounding."""
    tally, emitted, standing = Tally(), set[str](), set[str]()
    episode = moments[0].lived.episode
    for one in moments:
        _emit(one, emits, emitted, tally)
        turn = episode.turns[one.moment.reply]
        keys = [call.key for call in turn.calls]
        writes = any(call.name not in episode.read_only for call in turn.calls)
        saved = bool(keys) and not writes and all(key in emitted for key in keys)
        tally.reply(episode.prices[one.moment.reply], saved=saved)
        tally.repeats += saved and all(key in standing for key in keys)
        standing.update(keys)
        if writes:
            emitted.clear()
            standing.clear()
    return tally


def _emit(one: Seen, emits: Emit, emitted: set[str], tally: Tally) -> None:
    for at, (key, tool) in enumerate(zip(one.moment.keys, one.moment.tools, strict=True)):
        if key in emitted or not (chance := emits(one, at)):
            continue
        emitted.add(key)
        tally.expected += chance
        tally.emission(tool, hit=bool(one.moment.later[at]))


def judge_exact(moments: Sequence[Seen], confidence: Mapping[int, float], threshold: float) -> Tally:
    """One episode under exact answers; `confidence` is of the action at each reply."""
    tally = Tally()
    episode = moments[0].lived.episode
    for one in moments:
        reply = one.moment.reply
        answered = bool(confidence.get(reply, 0.0) >= threshold)
        hit = bool(answered and is_exact(one))
        if answered:
            tool = " + ".join(
                sorted({tool for tool, p in zip(one.moment.tools, one.next, strict=True) if p > 0.5})
            )
            tally.emission(tool, hit=hit)
        tally.reply(episode.prices[reply], saved=hit)
    return tally
