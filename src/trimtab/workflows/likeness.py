"""Search of the store by meaning: vectors of items' texts, and which of them are nearest to a question's."""

import heapq
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from langgraph.store.base import PutOp
from langgraph.store.base.embed import get_text_at_path, tokenize_path
from numpy.typing import ArrayLike, NDArray

from trimtab.store import ItemRow

Embed = Callable[[Sequence[str]], ArrayLike]
Place = tuple[tuple[str, ...], str]
_WHOLE = ("$",)
_BYTES = 4


class Likeness:
    """How near items are to one question."""

    def __init__(self, embed: Embed, query: str) -> None:
        self._query = _units(np.asarray(embed([query]), np.float32))[0]

    def nearest(self, rows: Iterable[ItemRow], most: int) -> list[tuple[ItemRow, float | None]]:
        """Up to `most` items and their cosines, the nearest first; those without vectors are not among them."""
        scored = ((self._score(row.vector), row) for row in rows)
        known = ((score, row) for score, row in scored if score is not None)
        best = heapq.nlargest(most, known, key=lambda each: each[0])
        return [(row, score) for score, row in best]

    def _score(self, vector: bytes | None) -> float | None:
        """The best of an item's texts; None where its vectors are another encoder's."""
        size = len(self._query) * _BYTES
        if not vector or len(vector) % size:
            return None
        each = np.frombuffer(vector, "<f4").reshape(-1, len(self._query))
        return float((each @ self._query).max())


def vectors_of(embed: Embed, ops: Sequence[PutOp]) -> dict[Place, bytes]:
    """The vectors of what is indexed of each item, of length 1, one after the other."""
    texts: list[str] = []
    counts: list[tuple[Place, int]] = []
    for op in ops:
        mine = _texts(op)
        texts += mine
        counts.append(((op.namespace, str(op.key)), len(mine)))
    if not texts:
        return {}
    vectors = _units(np.asarray(embed(texts), np.float32))
    made, begin = {}, 0
    for place, count in counts:
        if count:
            made[place] = vectors[begin : begin + count].astype("<f4").tobytes()
        begin += count
    return made


def _texts(op: PutOp) -> list[str]:
    if op.value is None or op.index is False:
        return []
    paths = _WHOLE if op.index is None else op.index
    return [text for path in paths for text in get_text_at_path(op.value, _path(path))]


def _path(path: str) -> str | list[str]:
    return path if path in _WHOLE else tokenize_path(path)


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, np.where(lengths == 0, 1, lengths), dtype=np.float32)
