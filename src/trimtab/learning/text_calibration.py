"""A text controller's description, its confidence and thresholds set on texts that nothing before them looked at.

`text.py` and `text_stages.py` call it last; torch is not needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Calibration, Level, TextController, TextDescription, TextHead
from trimtab.engines import EncoderShelf
from trimtab.learning.calibrate import Held, Promise, calibrate
from trimtab.learning.labelled import Labelled

DESCRIPTION = "controller.json"


@dataclass(frozen=True, slots=True)
class Unseen:
    """Texts for one head. `linear`: what level 0 says of them, where the level 0 that serves has learned of them."""

    texts: Sequence[Labelled]
    linear: NDArray[np.float32] | None = None


def calibrate_controller(
    folder: Path, described: TextDescription, unseen: Mapping[str, Unseen], promise: Promise
) -> TextDescription:
    """Calibrate every head of every level of a folder, by head in `unseen`, and write its description."""
    neutral = {head.name: Calibration() for head in described.heads}
    levels = [msgspec.structs.replace(level, calibrations=neutral) for level in described.levels]
    described = msgspec.structs.replace(described, levels=tuple(levels))
    write_description(folder, described)
    controller = TextController.load(folder, EncoderShelf())
    calibrated = [
        msgspec.structs.replace(
            level,
            calibrations={
                head.name: _calibration(controller, level, head, unseen[head.name], promise)
                for head in described.heads
            },
        )
        for level in levels
    ]
    described = msgspec.structs.replace(described, levels=tuple(calibrated))
    write_description(folder, described)
    return described


def write_description(folder: Path, described: TextDescription) -> None:
    """`controller.json`, to be read by people too."""
    (folder / DESCRIPTION).write_bytes(msgspec.json.format(msgspec.json.encode(described), indent=1))


def indices(labels: Sequence[str], examples: Sequence[Labelled]) -> NDArray[np.int64]:
    """The labels' places."""
    place = {label: index for index, label in enumerate(labels)}
    return np.array([place[each.label] for each in examples], np.int64)


def _calibration(
    controller: TextController, level: Level, head: TextHead, unseen: Unseen, promise: Promise
) -> Calibration:
    """One level's and head's. Whatever level 0 passes on goes to the encoder, however unsure it was."""
    texts = [each.text for each in unseen.texts]
    linear = unseen.linear
    if linear is None:
        linear = controller.logits(texts, controller.described.levels[0].name, head.name)
    right, groups = indices(head.labels, unseen.texts), [each.group or each.text for each in unseen.texts]
    if level.file:
        seen = Held(linear, None, right, groups)
        return calibrate(seen, head.labels, head.outside, replace(promise, margin=1.0))
    seen = Held(controller.logits(texts, level.name, head.name), linear, right, groups)
    return calibrate(seen, head.labels, head.outside, promise)
