"""The ways in which a trained encoder can serve, and what became of each of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

Variant = Literal["fp32", "fp16", "int8", "int8-mixed", "int8-qat", "int4", "int4-qat", "int8-2:4"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
SMALLER: tuple[Variant, ...] = tuple(each for each in VARIANTS if each.startswith("int"))

HEADS = "heads.npz"


class Judged(msgspec.Struct, frozen=True):
    """One variant: accuracy on the texts that tune (what serves is chosen by it), size of its weights on disk, median
    time of one text on one thread; and accuracy on the texts that judge, once they did.
    """

    variant: str
    accuracy: float
    megabytes: float
    milliseconds: float
    held_out: float | None = None


def variant_folder(variant: str) -> str:
    """Where a variant lies; its level has the same name."""
    return variant.replace(":", "-")


def read_variant(folder: Path, head: str, labels: int, texts: Sequence[str]) -> NDArray[np.float32]:
    """What the encoder and head of a variant's folder say of texts: logits, [texts, labels]. Raises DataError."""
    from trimtab.controllers import load_heads
    from trimtab.engines import load_encoder

    encoder = load_encoder(folder)
    heads = load_heads(folder / HEADS, {head: labels}, encoder.described.width)
    return heads[head].logits(encoder.encode(texts))


def variant_table(variants: Sequence[Judged]) -> Iterator[str]:
    """All variants for people, in Markdown; the first line is what the others are held against."""
    yield "| variant | accuracy, held out | accuracy, tuning | MB | ms a text |"
    yield "|---|---|---|---|---|"
    for each in variants:
        held_out = "–" if each.held_out is None else f"{each.held_out:.4f}"
        figures = f"{each.accuracy:.4f} | {each.megabytes:.1f} | {each.milliseconds:.2f}"
        yield f"| {each.variant} | {held_out} | {figures} |"
