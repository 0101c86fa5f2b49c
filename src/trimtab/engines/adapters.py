"""LoRA adapters of workflows, kept within a budget of memory; the one least expected to be asked again goes first."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trimtab.core.errors import DataError
from trimtab.engines.arrays import part, read_arrays

_HALF_LIFE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """Deltas for query and value of every layer: `down` [layers, 2, width, rank], `up` [layers, 2, rank, width]."""

    down: NDArray[np.float32]
    up: NDArray[np.float32]

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return self.down.nbytes + self.up.nbytes


def save_adapter(adapter: Adapter, path: Path) -> None:
    """As .npz, without pickles."""
    np.savez(path, down=adapter.down, up=adapter.up)


def load_adapter(path: Path, layers: int, width: int, rank: int) -> Adapter:
    """An adapter for an encoder of these sizes; one of lesser rank is filled up with zeros, which change nothing.

    Raises:
        DataError: missing, damaged, or for another encoder.
    """
    stored = read_arrays(path)
    down, up = (part(stored, name, path).astype(np.float32) for name in ("down", "up"))
    own = down.shape[-1]
    if down.shape != (layers, 2, width, own) or up.shape != (layers, 2, own, width) or own > rank:
        raise DataError(
            f"deltas {down.shape} and {up.shape} do not fit {layers} layers of width {width} and rank {rank}",
            file=str(path),
            remedy="train it on this encoder",
        )
    lacking = rank - own
    return Adapter(
        np.pad(down, ((0, 0), (0, 0), (0, 0), (0, lacking))),
        np.pad(up, ((0, 0), (0, 0), (0, lacking), (0, 0))),
    )


@dataclass(slots=True)
class _Standing:
    adapter: Adapter
    uses: float
    at: float

    def expected(self, now: float) -> float:
        """Uses a byte to be expected: past uses, each worth half as much every ten minutes."""
        return self.worth(now) / self.adapter.bytes

    def worth(self, now: float) -> float:
        """Past uses as they count now."""
        return self.uses * math.exp2((self.at - now) / _HALF_LIFE_SECONDS)


class AdapterShelf:
    """Loads adapters by name and keeps those that will probably be asked for. For one thread."""

    def __init__(
        self, load: Callable[[str], Adapter], most_bytes: int, monotonic: Callable[[], float]
    ) -> None:
        self._load, self._most_bytes, self._monotonic = load, most_bytes, monotonic
        self._standing: dict[str, _Standing] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Those in memory."""
        return tuple(self._standing)

    @property
    def bytes(self) -> int:
        """What those in memory take."""
        return sum(each.adapter.bytes for each in self._standing.values())

    def take(self, name: str) -> Adapter:
        """The adapter, loaded if need be. Others go until the budget is kept; this one never does.

        Raises:
            DataError: as the loader does.
        """
        now = self._monotonic()
        standing = self._standing.get(name)
        if standing is None:
            standing = self._standing[name] = _Standing(self._load(name), 0.0, now)
        standing.uses = standing.worth(now) + 1.0
        standing.at = now
        while self.bytes > self._most_bytes and len(self._standing) > 1:
            others = (each for each in self._standing if each != name)
            del self._standing[min(others, key=lambda other: self._standing[other].expected(now))]
        return standing.adapter
