"""Curate: texts without duplicates, cut by task into what teaches, what sets thresholds and what judges.

A text stands in one part only, whatever task it came with; a task too. Nothing is drawn by row.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, get_args

import msgspec

from trimtab.core.errors import DataError
from trimtab.learning.card import DataCard, Leaks, Part, Teacher
from trimtab.learning.examples import Example
from trimtab.learning.labelled import deal
from trimtab.learning.likeness import near_duplicates, plain_text

Side = Literal["learn", "validate", "judge"]
SIDES: tuple[Side, ...] = get_args(Side)
_NAMES: Mapping[str, Side] = {
    **dict.fromkeys(("", "learn", "train", "training"), "learn"),
    **dict.fromkeys(("validate", "valid", "validation", "val", "dev"), "validate"),
    **dict.fromkeys(("judge", "test", "held", "held-out"), "judge"),
}
_FEWEST_TEXTS = 3
TAUGHT = "taught.json"
_UNEVEN = 10


class Cut(msgspec.Struct, frozen=True):
    """How to cut. Shares are of all texts."""

    workflow: str
    kind: str
    source: str
    seed: int = 0
    validate_share: float = 0.2
    judge_share: float = 0.2
    grouped_by: str = "task"


class Curated(msgspec.Struct, frozen=True):
    """Texts by part. `near[i]`: held-out text i has its like among those that teach."""

    learn: tuple[Example, ...]
    validate: tuple[Example, ...]
    judge: tuple[Example, ...]
    near: tuple[bool, ...]
    card: DataCard


def curate(examples: Sequence[Example], cut: Cut) -> Curated:
    """Deduplicate, leave out what is too rare, cut, and look for leaks. Raises DataError naming what is missing."""
    if not examples:
        raise DataError("holds no texts", file=cut.source, remedy="check the path")
    once = distinct(examples)
    common, left_out = _common(once, cut)
    parts = _parted(common, cut)
    _check(parts, cut)
    near = near_duplicates([each.text for each in parts["judge"]], [each.text for each in parts["learn"]])
    card = DataCard(
        workflow=cut.workflow, kind=cut.kind, source=cut.source, grouped_by=cut.grouped_by, seed=cut.seed,
        digest=digest_of(each for side in SIDES for each in parts[side]), raw=len(examples),
        duplicates=len(examples) - len(once),
        parts={side: Part(len(parts[side]), len(_groups(parts[side]))) for side in SIDES},
        labels=_balance(parts), teachers=_teachers(common), leaks=_leaks(parts, near),
        left_out=left_out, notes=_notes(parts),
    )  # fmt: skip
    learn, validate, judge = (tuple(parts[side]) for side in SIDES)
    return Curated(learn, validate, judge, tuple(near), card)


def digest_of(examples: Iterable[Example]) -> str:
    """The same for the same texts, labels, groups, weights, in this order."""
    content = b"\n".join(msgspec.json.encode(each) for each in examples)
    return blake2b(content, digest_size=16).hexdigest()


def taught_groups(curated: Curated) -> list[str]:
    """Digests of the groups that taught or set thresholds: what a later judge must leave out. No text is in them."""
    return sorted({group_digest(each) for each in (*curated.learn, *curated.validate)})


def group_digest(example: Example) -> str:
    """Of the group a text belongs to, which is its own where none is named."""
    group = example.group or plain_text(example.text)
    return blake2b(group.encode("utf-8", "replace"), digest_size=8).hexdigest()


def distinct(examples: Sequence[Example]) -> list[Example]:
    """Once each: a text, a label, a teacher. All of one text go to the group it first came with."""
    homes: dict[str, tuple[str, str]] = {}
    seen: dict[tuple[str, str, str], Example] = {}
    for each in examples:
        text = plain_text(each.text)
        group, part = homes.setdefault(text, (each.group or text, each.part))
        seen.setdefault(
            (text, each.label, each.teacher), msgspec.structs.replace(each, group=group, part=part)
        )
    return list(seen.values())


def _common(examples: Sequence[Example], cut: Cut) -> tuple[list[Example], dict[str, int]]:
    """Without labels too rare to be taught, set apart and judged. Raises DataError where one label is left."""
    counts = Counter(each.label for each in examples)
    rare = {label for label, count in counts.items() if count < _FEWEST_TEXTS}
    left_out = {f"label {label!r}: needs {_FEWEST_TEXTS} texts": counts[label] for label in sorted(rare)}
    common = [each for each in examples if each.label not in rare]
    labels = {each.label for each in common}
    if len(labels) < 2:
        said = f"all texts have the label {next(iter(labels))!r}" if labels else "no label has three texts"
        raise DataError(
            said,
            file=cut.source,
            field="label",
            remedy="a controller picks among two labels at least; give more data",
        )
    return common, left_out


def _parted(examples: Sequence[Example], cut: Cut) -> dict[Side, list[Example]]:
    """As the file says, and what it leaves open dealt by group. Raises DataError for a part of another name."""
    parts: dict[Side, list[Example]] = {side: [] for side in SIDES}
    for each in examples:
        side = _NAMES.get(each.part.strip().lower())
        if side is None:
            remedy = f"there are {', '.join(name for name in _NAMES if name)}"
            raise DataError(f"unknown part {each.part!r}", file=cut.source, field="split", remedy=remedy)
        parts[side].append(each)
    shares: tuple[tuple[Side, float], ...] = (("judge", cut.judge_share), ("validate", cut.validate_share))
    left = 1.0
    for number, (open_side, share) in enumerate(shares):
        if not parts[open_side]:
            kept, held = deal(parts["learn"], share / left, cut.seed * 2 + number)
            parts["learn"], parts[open_side] = list(kept), list(held)
        left -= share
    return parts


def _check(parts: Mapping[Side, Sequence[Example]], cut: Cut) -> None:
    groups = {each.group for side in SIDES for each in parts[side]}
    empty = [side for side in SIDES if not parts[side]]
    if empty:
        said = (
            f"{len(groups)} {cut.grouped_by}s cannot be cut in three: nothing is left to {', '.join(empty)}"
        )
        remedy = f"record more {cut.grouped_by}s; texts of one are never learned from and judged by"
        raise DataError(said, file=cut.source, field=cut.grouped_by, remedy=remedy)
    taught = {each.label for each in parts["learn"]}
    if untaught := sorted({each.label for side in SIDES for each in parts[side]} - taught):
        said = f"nothing to learn {', '.join(repr(label) for label in untaught[:5])} from"
        remedy = f"every label needs texts of three {cut.grouped_by}s, or another --seed"
        raise DataError(said, file=cut.source, field="label", remedy=remedy)
    if len(taught) < 2:
        remedy = f"every label needs texts of several {cut.grouped_by}s"
        raise DataError("one label only to learn from", file=cut.source, field="label", remedy=remedy)


def _groups(examples: Iterable[Example]) -> set[str]:
    return {each.group for each in examples}


def _balance(parts: Mapping[Side, Sequence[Example]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for side in SIDES:
        for label, count in Counter(each.label for each in parts[side]).items():
            counts[label][side] = count
    return dict(counts)


def _teachers(examples: Sequence[Example]) -> dict[str, Teacher]:
    found: dict[str, list[float]] = defaultdict(list)
    for each in examples:
        if each.teacher:
            found[each.teacher].append(each.weight)
    return {name: Teacher(len(weights), sum(weights) / len(weights)) for name, weights in found.items()}


def _leaks(parts: Mapping[Side, Sequence[Example]], near: Sequence[bool]) -> Leaks:
    """Between what teaches and what is held out, counted anew from the parts themselves."""
    held = [*parts["validate"], *parts["judge"]]
    same: list[Callable[[Example], str]] = [lambda each: each.group, lambda each: plain_text(each.text)]
    shared = [len({key(each) for each in parts["learn"]} & {key(each) for each in held}) for key in same]
    return Leaks(shared[0], shared[1], sum(near))


def _notes(parts: Mapping[Side, Sequence[Example]]) -> tuple[str, ...]:
    counts = Counter(each.label for each in parts["learn"]).most_common()
    (most, many), (least, few) = counts[0], counts[-1]
    notes = []
    if many >= _UNEVEN * few:
        notes.append(f"labels are uneven: {most!r} is taught by {many:,} texts, {least!r} by {few:,}")
    judged = {each.label for each in parts["judge"]}
    if unjudged := sorted(label for label, _ in counts if label not in judged):
        shown = ", ".join(repr(label) for label in unjudged[:5]) + (" and more" if len(unjudged) > 5 else "")
        notes.append(f"{len(unjudged)} labels have too few tasks to be judged: {shown}")
    return tuple(notes)
