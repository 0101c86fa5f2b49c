"""Which endpoint serves a call: round robin, least loaded, prefix and load, predicted completion (ETA). Pure.

Each is a `Chooser`; whatever the order of the endpoints given, ties go to the first name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from trimtab.scheduling.demand import Demand
from trimtab.scheduling.standing import Standing

_INFINITE = float("inf")


class Chooser(Protocol):
    """Chooses among endpoints that may serve the call (`eligible` has seen to floors)."""

    def choose(
        self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]
    ) -> Standing | None:
        """The endpoint, None where there is none. `hits`: tokens of the prompt it may have cached, by index."""
        ...

    def rank(self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]) -> list[Standing]:
        """All of them, best first: the order in which attempts fall back."""
        ...


class _ByScore(ABC):
    """Least score first, then name."""

    @abstractmethod
    def score(self, demand: Demand, standing: Standing, hit: int) -> float:
        """Smaller is better."""

    def choose(
        self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]
    ) -> Standing | None:
        best, least, get, score = None, _INFINITE, hits.get, self.score
        for one in standings:
            value = score(demand, one, get(one.index, 0))
            if best is None or value < least or (value == least and one.name < best.name):
                best, least = one, value
        return best

    def rank(self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]) -> list[Standing]:
        return sorted(standings, key=lambda one: (self.score(demand, one, hits.get(one.index, 0)), one.name))


class RoundRobin(msgspec.Struct, frozen=True):
    """Each in its turn, by name: `demand.turn` counts."""

    def choose(
        self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]
    ) -> Standing | None:
        """The one whose turn it is."""
        if not standings:
            return None
        names = sorted(standings, key=_name)
        return names[demand.turn % len(names)]

    def rank(self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]) -> list[Standing]:
        """From the one whose turn it is, around."""
        names = sorted(standings, key=_name)
        at = demand.turn % max(1, len(names))
        return names[at:] + names[:at]


class LeastLoaded(_ByScore):
    """Fewest calls of ours outstanding or waiting."""

    def score(self, demand: Demand, standing: Standing, hit: int) -> float:
        """Calls there."""
        return standing.outstanding + standing.waiting


class PrefixLoad:
    """The largest share of the prompt cached, less the share of the busiest endpoint's load.

    The rule of SGLang's router and of the Gateway API inference extension, weighted one to one.
    """

    def __init__(self, prefix_weight: float = 1.0) -> None:
        self._weight = prefix_weight

    def choose(
        self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]
    ) -> Standing | None:
        """The best score."""
        weight = self._weight / max(1, demand.input_tokens)
        load = 1.0 / max(1, max((one.outstanding + one.waiting for one in standings), default=0))
        best, most, get = None, -_INFINITE, hits.get
        for one in standings:
            value = weight * get(one.index, 0) - (one.outstanding + one.waiting) * load
            if best is None or value > most or (value == most and one.name < best.name):
                best, most = one, value
        return best

    def rank(self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]) -> list[Standing]:
        """Best score first."""
        weight = self._weight / max(1, demand.input_tokens)
        most = max(1, max((one.outstanding + one.waiting for one in standings), default=0))
        return sorted(
            standings,
            key=lambda one: (
                (one.outstanding + one.waiting) / most - weight * hits.get(one.index, 0),
                one.name,
            ),
        )


class Eta(_ByScore):
    """Least predicted time to the end of the call, harm to others in it.

    Backlog there, prefill of what is not cached, decode at its present pace; a prefill also delays every call that
    runs or waits there (`harm` seconds a second and call). A prompt beyond the free KV cache waits for one to end
    (`full_seconds`). `dollar_seconds`: how many seconds of waiting a dollar of machine time is worth, so that a
    tolerant step takes the cheaper, quantised endpoint. A session stays where its prefix is while that is worth it.
    """

    def __init__(self, harm: float = 1.0, full_seconds: float = 5.0, dollar_seconds: float = 0.0) -> None:
        self._harm, self._full_seconds = harm, full_seconds
        self._hour = dollar_seconds / 3600.0

    def score(self, demand: Demand, standing: Standing, hit: int) -> float:
        """Seconds."""
        tokens = demand.input_tokens
        missing = max(1, tokens - hit)
        prefill = missing * (standing.prefill_seconds + standing.attention_seconds * (tokens - 0.5 * missing))
        decode = demand.output_tokens * standing.token_seconds
        seconds = standing.backlog_seconds + prefill * (1.0 + self._harm * standing.sharing) + decode
        if self._hour:
            seconds += self._hour * standing.hour_dollars * (prefill + decode)
        if standing.outstanding_tokens + tokens > standing.kv_tokens:
            seconds += self._full_seconds
        return seconds

    def choose(
        self, demand: Demand, standings: Sequence[Standing], hits: Mapping[int, int]
    ) -> Standing | None:
        """The least score, as `score` says it; written out, because this is what every call waits for."""
        best, least, get = None, _INFINITE, hits.get
        tokens, output, harm, hour = demand.input_tokens, demand.output_tokens, self._harm, self._hour
        for one in standings:
            missing = tokens - get(one.index, 0)
            if missing < 1:
                missing = 1
            prefill = missing * (one.prefill_seconds + one.attention_seconds * (tokens - 0.5 * missing))
            decode = output * one.token_seconds
            value = one.backlog_seconds + prefill * (1.0 + harm * one.sharing) + decode
            if hour:
                value += hour * one.hour_dollars * (prefill + decode)
            if one.outstanding_tokens + tokens > one.kv_tokens:
                value += self._full_seconds
            if value < least or (value == least and best is not None and one.name < best.name):
                best, least = one, value
        return best


def _name(standing: Standing) -> str:
    return standing.name
