"""The labelled texts the benchmarks learn from, read from $TRIMTAB_DATA; never copied."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import msgspec

from trimtab.learning.labelled import Labelled, split

OUTSIDE = "oos"


class _Token(msgspec.Struct):
    t: str


class _Row(msgspec.Struct):
    intent: str
    text: str = ""
    split: str = ""
    tokens: list[_Token] = msgspec.field(default_factory=list)


def load_set(name: str) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
    """(to learn from, to judge by) of clinc150, banking77 or snips: its own split, else a fifth of every label."""
    folder = Path(os.environ.get("TRIMTAB_DATA", "../shared/data"))
    with gzip.open(folder / name / "rows.jsonl.gz") as lines:
        rows = [msgspec.json.decode(line, type=_Row) for line in lines]
    made = [
        (row.split, Labelled(row.text or "".join(each.t for each in row.tokens), row.intent)) for row in rows
    ]
    if any(part for part, _ in made):
        return tuple(e for part, e in made if "train" in part), tuple(e for part, e in made if "val" in part)
    return split([each for _, each in made], 0.2, seed=0)
