"""The data card: what a controller was taught by, how it was cut, and what might have leaked. Markdown and JSON."""

from collections.abc import Iterator, Mapping

import msgspec

_MOST_LABELS = 40


class Part(msgspec.Struct, frozen=True):
    """One side of the cut: `learn` teaches, `validate` sets thresholds, `judge` is what the report rests on."""

    texts: int
    groups: int


class Teacher(msgspec.Struct, frozen=True):
    """Whose choices were followed. `weight`: how much each counts, the share of its runs that did their job."""

    texts: int
    weight: float


class Leaks(msgspec.Struct, frozen=True):
    """What training and held-out texts share. The first two are 0 by construction, and counted all the same."""

    same_group: int = 0
    same_text: int = 0
    near_text: int = 0


class DataCard(msgspec.Struct, frozen=True):
    """`digest` is of all texts and labels in their parts; `raw` texts came in, `duplicates` of them said nothing new.

    `labels` counts texts by label and part; `left_out` says what was not taken, and how often.
    """

    workflow: str
    kind: str
    source: str
    grouped_by: str
    seed: int
    digest: str
    raw: int
    duplicates: int
    parts: Mapping[str, Part]
    labels: Mapping[str, Mapping[str, int]] = {}
    teachers: Mapping[str, Teacher] = {}
    leaks: Leaks = Leaks()
    left_out: Mapping[str, int] = {}
    notes: tuple[str, ...] = ()


def data_card_markdown(card: DataCard) -> str:
    """The card for people."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: DataCard) -> Iterator[str]:
    yield f"# Data card: {card.workflow}/{card.kind}"
    yield ""
    what = "runs" if card.kind == "step" else "texts"
    yield f"From {card.source}: {card.raw:,} {what}, {card.duplicates:,} of them duplicates. Cut by {card.grouped_by}, "
    yield f"seed {card.seed}; digest `{card.digest}`."
    rows = {name: f"{part.texts:,} | {part.groups:,}" for name, part in card.parts.items()}
    yield from _table(f"part | {what} | {card.grouped_by}s", rows)
    if card.kind != "step":
        leaks = card.leaks
        yield ""
        yield f"Leakage into what is held out: {leaks.same_group:,} groups, {leaks.same_text:,} texts, "
        yield f"{leaks.near_text:,} texts that are nearly the same (judged apart in the report)."
    rows = {name: f"{each.texts:,} | {each.weight:.2f}" for name, each in sorted(card.teachers.items())}
    yield from _table(f"teacher | {what} | weight of each", rows)
    yield from _balance(card)
    yield from _table("left out | times", {why: f"{count:,}" for why, count in card.left_out.items()})
    if card.notes:
        yield ""
        yield from (f"- {note}" for note in card.notes)


def _balance(card: DataCard) -> Iterator[str]:
    """The labels, most frequent first; where there are many, how even they are."""
    names = list(card.parts)
    by_size = sorted(card.labels.items(), key=lambda each: (-sum(each[1].values()), each[0]))
    rows = {
        _cell(label): " | ".join(f"{counts.get(part, 0):,}" for part in names)
        for label, counts in by_size[:_MOST_LABELS]
    }
    yield from _table(" | ".join(["label", *names]), rows)
    if len(by_size) > _MOST_LABELS:
        sizes = [sum(counts.values()) for _, counts in by_size]
        yield ""
        yield f"and {len(by_size) - _MOST_LABELS} more; a label has {sizes[-1]:,} to {sizes[0]:,} texts."


def _table(head: str, rows: Mapping[str, str]) -> Iterator[str]:
    if rows:
        yield ""
        yield f"| {head} |"
        yield "|" + "---|" * (head.count("|") + 1)
        yield from (f"| {name} | {value} |" for name, value in rows.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
