"""Texts that are nearly the same: the share of letter sequences they have in common, found without comparing all pairs.

Source: MinHash with banding (Broder 1997; Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", ch. 3).
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_LETTERS = 5
_LONGEST = 2_000
_BANDS, _ROWS = 16, 4
_PRIME = (1 << 61) - 1
_SPACES = re.compile(r"\s+")
_DIGITS = re.compile(r"\d")


def plain_text(text: str) -> str:
    """The text without what makes no difference: case and how wide its gaps are."""
    return _SPACES.sub(" ", text).strip().casefold()


def near_duplicates(asked: Sequence[str], known: Sequence[str], least: float = 0.8) -> list[bool]:
    """For each asked text, whether a known one is nearly the same; digits are all taken for one."""
    pieces = [_pieces(text) for text in (*known, *asked)]
    random = np.random.default_rng(0)
    factors = random.integers(1, 1 << 29, (2, _BANDS * _ROWS))
    marks = [_marks(each, factors) for each in pieces]
    shelves: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for at in range(len(known)):
        for band in range(_BANDS):
            shelves[band, marks[at][band].tobytes()].append(at)
    found = []
    for at in range(len(known), len(pieces)):
        near = {each for band in range(_BANDS) for each in shelves.get((band, marks[at][band].tobytes()), ())}
        found.append(any(_overlap(pieces[at], pieces[each]) >= least for each in near))
    return found


def _pieces(text: str) -> frozenset[int]:
    folded = _DIGITS.sub("0", plain_text(text[:_LONGEST]))
    cut = (folded[at : at + _LETTERS] for at in range(max(1, len(folded) - _LETTERS + 1)))
    return frozenset(crc32(each.encode("utf-8", "replace")) for each in cut)


def _marks(pieces: frozenset[int], factors: NDArray[np.int64]) -> NDArray[np.int64]:
    """[bands, rows]: the least of each hash over all pieces."""
    values = np.fromiter(pieces, np.int64, len(pieces)) & ((1 << 31) - 1)
    hashed = (values[:, None] * factors[0] + factors[1]) % _PRIME
    return hashed.min(0).reshape(_BANDS, _ROWS)


def _overlap(one: frozenset[int], other: frozenset[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
