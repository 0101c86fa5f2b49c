"""Texts to token ids, whatever the texts are: empty, endless, half a surrogate pair, any language."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from trimtab.core.errors import DataError

_CHARACTERS_A_TOKEN = 16

Ids = NDArray[np.int64]


class Tokens:
    """A tokenizer that reads the beginning of a text: at most `most` tokens, special ones included."""

    def __init__(self, tokenizer: Tokenizer, most: int) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(most)
        self._tokenizer, self.most = tokenizer, most

    def ids(self, text: str) -> Ids:
        """Token ids. The text is cut before it is tokenised, so a long one costs no more than a short one."""
        begun = text[: self.most * _CHARACTERS_A_TOKEN]
        clean = begun.encode("utf-8", "replace").decode()
        return np.asarray(self._tokenizer.encode(clean).ids, np.int64)


def load_tokens(path: Path, most: int, vocabulary: int) -> Tokens:
    """The tokenizer of a `tokenizer.json`, for weights that know `vocabulary` words.

    Raises:
        DataError: it is missing, is none, or knows words that the weights do not.
    """
    if not path.is_file():
        raise DataError("missing", file=str(path), field="tokenizer", remedy="it belongs beside the weights")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception, and nothing else
        raise DataError(
            f"is no tokenizer: {error}", file=str(path), remedy="fetch the folder again"
        ) from error
    words = tokenizer.get_vocab_size()
    if words > vocabulary:
        raise DataError(
            f"{words} words where the weights know {vocabulary}",
            file=str(path),
            remedy="the files of a folder belong together",
        )
    return Tokens(tokenizer, most)


def padded(rows: Sequence[Ids]) -> tuple[Ids, Ids]:
    """Ids and mask as [rows, longest of them]."""
    ids = np.zeros((len(rows), max(len(row) for row in rows)), np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask
