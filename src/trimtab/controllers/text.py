"""A controller of texts: heads on one text, asked level by level until one is sure enough, and else "not me".

Level 0 is linear; then an int8 encoder; then, near the threshold, a more precise one. At work it decides in a thread
reached through `Door`, which hands `decide_many` whatever came while the thread was busy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers.answer import Answer
from trimtab.controllers.heads import Head, load_heads
from trimtab.controllers.linear import LinearModel, load_linear
from trimtab.controllers.opinion import Calibration, Opinion, chances, opinion
from trimtab.core.errors import DataError
from trimtab.engines import EncoderShelf

FORMAT = 1
_LEAST_KNOWN = 0.5
_CHARACTERS_LOOKED_AT = 2_000
_MOST_ODD = 0.05
_REMAINS = "\ufffd\x7f"
TextKind = Literal["route", "verify", "classify", "gate"]
Floats = NDArray[np.float32]


class TextHead(msgspec.Struct, frozen=True):
    """A closed set of labels. `outside` is the one of them that means none of the others, or empty."""

    name: str
    kind: TextKind
    labels: tuple[str, ...]
    outside: str = ""


class Level(msgspec.Struct, frozen=True):
    """One level of the stack. `file`: level 0's model. `encoder`: a folder, with `heads` and maybe `adapter` files.

    Paths start at the controller's folder; `calibrations` are by head.
    """

    name: str
    calibrations: dict[str, Calibration]
    file: str = ""
    encoder: str = ""
    heads: str = ""
    adapter: str = ""


class TextDescription(msgspec.Struct, frozen=True):
    """What `controller.json` says."""

    name: str
    version: str
    heads: tuple[TextHead, ...]
    levels: tuple[Level, ...]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class _Stage:
    """An encoder's level with its heads loaded."""

    level: Level
    encoder: Path
    adapter: Path | None
    heads: dict[str, Head]


@dataclass(slots=True)
class _Case:
    """One text under one head, on its way through the levels."""

    head: TextHead
    linear: Floats | None = None
    answer: Answer | None = None
    reasons: tuple[str, ...] = ()
    asked_on: bool = True


class TextController:
    """For one thread at a time."""

    def __init__(
        self,
        described: TextDescription,
        linear: LinearModel | None,
        stages: Sequence[_Stage],
        shelf: EncoderShelf,
    ) -> None:
        self.described = described
        self._linear, self._stages, self._shelf = linear, tuple(stages), shelf

    @classmethod
    def load(cls, folder: Path, shelf: EncoderShelf | None = None) -> "TextController":
        """The controller of a folder, its encoders warm; they are shared by all who load from one shelf.

        Raises:
            DataError: a file is missing, damaged, or does not fit the others.
        """
        described = _read(folder / "controller.json")
        shelf = shelf or EncoderShelf()
        first = described.levels[0]
        linear = _linear(folder / first.file, described) if first.file else None
        stages = [_stage(folder, level, described, shelf) for level in described.levels if level.encoder]
        return cls(described, linear, stages, shelf)

    def rests_outside(self, folder: Path) -> bool:
        """Whether an encoder of it stands outside of its folder."""
        home = folder.resolve()
        return any(not stage.encoder.resolve().is_relative_to(home) for stage in self._stages)

    def decide(self, text: str) -> Answer:
        """The first head's answer to one text."""
        return self.decide_many([text])[0]

    def decide_many(self, texts: Sequence[str]) -> list[Answer]:
        """The first head's answers, in the order of the texts."""
        return [answers[0] for answers in self.decide_heads(texts)]

    def decide_heads(self, texts: Sequence[str]) -> list[tuple[Answer, ...]]:
        """Every head's answer to every text; a text takes at most one forward pass on each level."""
        cases = [[_Case(head) for head in self.described.heads] for _ in texts]
        for text, row in zip(texts, cases, strict=True):
            if reason := unreadable(text):
                for case in row:
                    case.reasons, case.asked_on = (reason,), False
        if self._linear is not None:
            for text, row in zip(texts, cases, strict=True):
                self._ask_linear(self._linear, text, row)
        for stage in self._stages:
            self._ask_encoder(stage, texts, cases)
        return [tuple(case.answer or self._abstain(case) for case in row) for row in cases]

    def logits(self, texts: Sequence[str], level: str, head: str) -> Floats:
        """Raw logits of one level and head, [texts, labels]: what thresholds are calibrated on."""
        if self._linear is not None and level == self.described.levels[0].name:
            return np.stack([self._linear.read(text).logits[head] for text in texts])
        stage = next(each for each in self._stages if each.level.name == level)
        return stage.heads[head].logits(self._shelf.encode(stage.encoder, texts, stage.adapter))

    def _ask_linear(self, linear: LinearModel, text: str, row: Sequence[_Case]) -> None:
        level = self.described.levels[0]
        reading = linear.read(text)
        for case in row:
            case.linear = reading.logits[case.head.name]
            if case.asked_on and reading.known_share >= _LEAST_KNOWN:
                self._judge(level, case, case.linear, None)
            elif case.asked_on:
                case.reasons += (f"{level.name}: knows {reading.known_share:.0%} of the words",)

    def _ask_encoder(self, stage: _Stage, texts: Sequence[str], cases: Sequence[Sequence[_Case]]) -> None:
        asked = {index: waiting for index, row in enumerate(cases) if (waiting := _waiting(stage.level, row))}
        if not asked:
            return
        embeddings = self._shelf.encode(stage.encoder, [texts[index] for index in asked], stage.adapter)
        for waiting, embedding in zip(asked.values(), embeddings, strict=True):
            for case in waiting:
                logits = stage.heads[case.head.name].logits(embedding[None])[0]
                self._judge(stage.level, case, logits, case.linear)

    def _judge(self, level: Level, case: _Case, logits: Floats, linear: Floats | None) -> None:
        """Answer if sure enough at this level; else note why not, and whether the next one is worth asking."""
        calibration = level.calibrations[case.head.name]
        head = case.head
        held = opinion(chances(logits, linear, calibration), head.labels, head.outside, calibration)
        threshold = calibration.threshold
        if threshold is not None and held.confidence >= threshold:
            case.answer = self._answer(level, case, held)
            return
        case.asked_on = threshold is None or held.confidence >= threshold - calibration.margin
        needed = "may not answer" if threshold is None else f"needs {threshold:.4f}"
        case.reasons += (f"{level.name}: {held.option} at {held.confidence:.4f}, {needed}",)

    def _answer(self, level: Level, case: _Case, held: Opinion) -> Answer:
        return Answer(
            controller=self.described.name,
            version=self.described.version,
            kind=case.head.kind,
            option=held.option,
            confidence=held.confidence,
            abstained=False,
            level=level.name,
            reasons=case.reasons,
        )

    def _abstain(self, case: _Case) -> Answer:
        return Answer(self.described.name, self.described.version, case.head.kind, reasons=case.reasons)


def _waiting(level: Level, row: Sequence[_Case]) -> list[_Case]:
    """The cases of a text that this level could still answer."""
    waiting = [case for case in row if case.answer is None and case.asked_on]
    return [case for case in waiting if level.calibrations[case.head.name].threshold is not None]


def unreadable(text: str) -> str:
    """Why a text is none: without a letter or digit, or full of what decoding bytes leaves behind; else empty."""
    begun = text[:_CHARACTERS_LOOKED_AT]
    if not any(each.isalnum() for each in begun):
        return "no words in the text"
    odd = sum(1 for each in begun if each in _REMAINS or (each < " " and each not in "\t\n\r"))
    return "not a text" if odd > _MOST_ODD * len(begun) else ""


def _read(path: Path) -> TextDescription:
    try:
        described = msgspec.json.decode(path.read_bytes(), type=TextDescription)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"no controller is described here: {error}", file=str(path)) from error
    _check(described, path)
    return described


def _stage(folder: Path, level: Level, described: TextDescription, shelf: EncoderShelf) -> _Stage:
    place = folder / level.encoder
    labels = {head.name: len(head.labels) for head in described.heads}
    heads = load_heads(folder / level.heads, labels, shelf.take(place).described.width)
    return _Stage(level, place, folder / level.adapter if level.adapter else None, heads)


def _check(described: TextDescription, path: Path) -> None:
    if described.format != FORMAT:
        raise DataError(f"format {described.format} is unknown", file=str(path), field="format")
    if not described.heads or not described.levels:
        raise DataError("needs a head and a level", file=str(path), field="heads")
    for at, level in enumerate(described.levels):
        if bool(level.file) == bool(level.encoder) or (level.file and at):
            raise DataError(
                "is linear (only the first may be) or has an encoder", file=str(path), field=level.name
            )
        missing = {head.name for head in described.heads} - level.calibrations.keys()
        if missing:
            raise DataError(
                f"no calibration of {', '.join(sorted(missing))}", file=str(path), field=level.name
            )


def _linear(path: Path, described: TextDescription) -> LinearModel:
    linear = load_linear(path)
    known = {head.name: head.labels for head in linear.heads}
    for head in described.heads:
        if known.get(head.name) != head.labels:
            raise DataError(
                "has other labels than controller.json",
                file=str(path),
                field=head.name,
                remedy="the label set has changed since training: train it again",
            )
    return linear
