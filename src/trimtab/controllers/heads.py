"""Heads of an encoder: a matrix and a bias for each closed set of labels, applied to one pooled vector."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trimtab.core.errors import DataError
from trimtab.engines import part, read_arrays

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    """`weight` is [labels, width], `bias` [labels]."""

    weight: Floats
    bias: Floats

    def logits(self, embeddings: Floats) -> Floats:
        """[texts, width] to [texts, labels]. Row by row: what a text gets does not hang on its batch."""
        return np.stack([self.weight @ row + self.bias for row in embeddings])


def save_heads(heads: Mapping[str, Head], path: Path) -> None:
    """As one .npz without pickles."""
    parts: dict[str, Floats] = {}
    for name, head in heads.items():
        parts[f"{name}/weight"], parts[f"{name}/bias"] = head.weight, head.bias
    np.savez(path, allow_pickle=False, **parts)


def load_heads(path: Path, labels: Mapping[str, int], width: int) -> dict[str, Head]:
    """The heads of those names, each with so many labels, for vectors of that width.

    Raises:
        DataError: missing, damaged, or of other sizes than the controller says.
    """
    stored = read_arrays(path)
    heads = {
        each: Head(*(part(stored, f"{each}/{name}", path) for name in ("weight", "bias"))) for each in labels
    }
    for name, count in labels.items():
        shapes = (heads[name].weight.shape, heads[name].bias.shape)
        if shapes != ((count, width), (count,)):
            raise DataError(
                f"weights {shapes[0]} do not fit {count} labels and width {width}",
                file=str(path),
                field=name,
                remedy="the label set has changed since training: train it again",
            )
    return heads
