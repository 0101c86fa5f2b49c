"""Labelled texts as learning takes them, and the split that keeps a group (a task, a user) on one side."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol, TypeVar

import msgspec

TUNING_SHARE = 1 / 3


class Labelled(msgspec.Struct, frozen=True):
    """A text and its label. Examples of one `group` never stand on both sides of a split; empty: its own group.

    `weight` is how much it counts in training, such as the success of the teacher it comes from.
    """

    text: str
    label: str
    group: str = ""
    weight: float = 1.0


def split(
    examples: Sequence[Labelled], held_share: float, seed: int
) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
    """(kept, held back): of every label about `held_share` is held back, whole groups at a time.

    Groups are dealt by a digest of their name and `seed`, so that a split stays as it is when rows are added.
    """
    groups: dict[str, list[Labelled]] = {}
    for example in examples:
        groups.setdefault(example.group or example.text, []).append(example)
    by_label: dict[str, list[str]] = {}
    for name, members in groups.items():
        by_label.setdefault(members[0].label, []).append(name)
    held: set[str] = set()
    for names in by_label.values():
        names.sort(key=lambda name: blake2b(f"{seed}\0{name}".encode("utf-8", "replace")).digest())
        held.update(names[: round(len(names) * held_share)])
    kept = tuple(each for name, members in groups.items() if name not in held for each in members)
    return kept, tuple(each for name, members in groups.items() if name in held for each in members)


class _Row(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def group(self) -> str: ...


_AnyRow = TypeVar("_AnyRow", bound=_Row)


def deal(rows: Sequence[_AnyRow], share: float, seed: int) -> tuple[tuple[_AnyRow, ...], tuple[_AnyRow, ...]]:
    """As `split`; where labels have too few groups of their own, evenly by group alone, one of them at least."""
    whole = [Labelled(str(at), each.label, each.group or each.text) for at, each in enumerate(rows)]
    kept, held = split(whole, share, seed)
    if not held:
        unlabelled = [msgspec.structs.replace(each, label="") for each in whole]
        groups = max(len({each.group for each in whole}), 1)
        kept, held = split(unlabelled, max(share, 1 / groups), seed)
    return tuple(rows[int(each.text)] for each in kept), tuple(rows[int(each.text)] for each in held)


def tuning(validation: Sequence[Labelled], seed: int) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
    """(what sets thresholds, what stops training and picks variants): a third of the groups is for the second.

    A threshold that rested on texts which chose the model would promise too much. A single group sets thresholds.
    """
    rest, tune = deal(validation, TUNING_SHARE, seed + 1)
    return (rest, tune) if rest else (tuple(validation), ())
