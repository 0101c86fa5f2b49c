"""Level 0: TF-IDF and logistic regression in numpy, several heads over one vector, microseconds a text.

It serves what scikit-learn trained and decides exactly as that does. Only the beginning of a long text is read.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.core.errors import DataError
from trimtab.engines import part, read_arrays

FORMAT = 1
WORD = re.compile(r"(?u)\b\w+\b")
_MOST_WORDS_KEPT = 20_000
_SCRATCH = "fetch or train the controller again"

Logits = NDArray[np.float32]


class LinearTerms(msgspec.Struct, frozen=True):
    """How a text becomes terms: its words singly and in pairs; with `most_letters` > 0 also pieces of words.

    `most_characters` bounds what is read of a text; training must bound it alike.
    """

    pairs: bool = True
    least_letters: int = 2
    most_letters: int = 0
    most_characters: int = 2_000

    def words(self, text: str) -> list[str]:
        """Lower-cased words in order."""
        return WORD.findall(text[: self.most_characters].lower())

    def terms(self, text: str) -> list[str]:
        """All terms of a text, repeated as often as they stand in it; what the vectoriser is trained with."""
        words = self.words(text)
        paired = [f"{a} {b}" for a, b in zip(words, words[1:], strict=False)] if self.pairs else []
        return [*words, *paired, *(piece for word in words for piece in self.pieces(word))]

    def pieces(self, word: str) -> Iterator[str]:
        """Runs of letters of a word between marks of its ends, which tell them from whole words."""
        if self.most_letters:
            marked = f"<{word[:40]}>"
            for length in range(self.least_letters, self.most_letters + 1):
                for start in range(len(marked) - length + 1):
                    yield f"#{marked[start : start + length]}"


class LinearHead(msgspec.Struct, frozen=True):
    """One closed set of labels, answered by columns `start` to `start + len(labels)` of the weights."""

    name: str
    labels: tuple[str, ...]
    start: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Logits by head, and the share of the text's words that stood in the training texts."""

    logits: Mapping[str, Logits]
    known_share: float


class _Description(msgspec.Struct):
    format: int
    terms: LinearTerms
    heads: tuple[LinearHead, ...]


class LinearModel:
    """`weights` is [terms, columns] with the inverse document frequencies in `rarity`; `bias` is [columns]."""

    def __init__(
        self,
        terms: LinearTerms,
        vocabulary: Sequence[str],
        rarity: NDArray[np.float32],
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        heads: Sequence[LinearHead],
    ) -> None:
        self.terms, self.heads = terms, tuple(heads)
        self.vocabulary = tuple(vocabulary)
        self._place = {term: index for index, term in enumerate(self.vocabulary)}
        self._rarity = rarity.tolist()
        self._weights, self._bias = np.ascontiguousarray(weights, np.float32), bias.astype(np.float32)
        self._pieces: dict[str, tuple[int, ...]] = {}

    def logits(self, text: str) -> Logits:
        """Logits of all heads, side by side: [columns]. A text without a known term gives the bias."""
        return self._weigh(self._counts(self.terms.words(text)))

    def read(self, text: str) -> Reading:
        """Logits by head, and how much of the text is known."""
        words = self.terms.words(text)
        said = self._weigh(self._counts(words))
        known = sum(1 for word in words if word in self._place)
        by_head = {head.name: said[head.start : head.start + len(head.labels)] for head in self.heads}
        return Reading(by_head, known / len(words) if words else 0.0)

    def _weigh(self, counts: Mapping[int, int]) -> Logits:
        if not counts:
            return self._bias
        places = list(counts)
        rarity = self._rarity
        values = np.array([count * rarity[place] for place, count in counts.items()], np.float32)
        values /= np.sqrt(values @ values)
        said: Logits = values @ self._weights.take(places, axis=0) + self._bias
        return said

    def _counts(self, words: Sequence[str]) -> dict[int, int]:
        find = self._place.get
        places = [find(word) for word in words]
        if self.terms.pairs:
            places += [find(f"{a} {b}") for a, b in zip(words, words[1:], strict=False)]
        if self.terms.most_letters:
            for word in words:
                places += self._known_pieces(word)
        counts = Counter(places)
        del counts[None]
        return counts  # type: ignore[return-value]

    def _known_pieces(self, word: str) -> tuple[int, ...]:
        known = self._pieces.get(word)
        if known is None:
            found = (self._place.get(piece) for piece in self.terms.pieces(word))
            known = tuple(place for place in found if place is not None)
            if len(self._pieces) < _MOST_WORDS_KEPT:
                self._pieces[word] = known
        return known

    def save(self, path: Path) -> None:
        """Everything in one .npz without pickles."""
        description = _Description(FORMAT, self.terms, self.heads)
        np.savez(
            path,
            description=np.frombuffer(msgspec.json.encode(description), np.uint8),
            vocabulary=np.frombuffer("\n".join(self.vocabulary).encode(), np.uint8),
            rarity=np.asarray(self._rarity, np.float32),
            weights=self._weights,
            bias=self._bias,
        )


def load_linear(path: Path) -> LinearModel:
    """A saved model.

    Raises:
        DataError: missing, damaged, of another format, or with parts whose sizes do not fit together.
    """
    stored = read_arrays(path)
    rarity, weights, bias = (part(stored, name, path) for name in ("rarity", "weights", "bias"))
    try:
        described = msgspec.json.decode(part(stored, "description", path).tobytes(), type=_Description)
        vocabulary = part(stored, "vocabulary", path).tobytes().decode().split("\n")
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise DataError(f"no linear model can be read: {error}", file=str(path), remedy=_SCRATCH) from error
    if described.format != FORMAT:
        raise DataError(
            f"format {described.format} is unknown", file=str(path), field="format", remedy=_SCRATCH
        )
    columns = sum(len(head.labels) for head in described.heads)
    if (
        weights.shape != (len(vocabulary), columns)
        or bias.shape != (columns,)
        or rarity.shape != (len(vocabulary),)
    ):
        raise DataError(
            f"weights {weights.shape} do not fit {len(vocabulary)} terms and {columns} labels",
            file=str(path),
            field="weights",
            remedy=_SCRATCH,
        )
    return LinearModel(described.terms, vocabulary, rarity, weights, bias, described.heads)
