"""What a text controller's learning is told and where it stands: heads to learn, settings, texts in their parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from trimtab.controllers import TextKind
from trimtab.learning.adapt import Progress, Regimen
from trimtab.learning.calibrate import Promise
from trimtab.learning.labelled import Labelled
from trimtab.learning.variant import Variant


class HeadTask(msgspec.Struct, frozen=True):
    """What one head is to learn. `outside` is the label, if any, of texts that belong to none of the others."""

    name: str
    kind: TextKind
    examples: tuple[Labelled, ...]
    outside: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Sorted, `outside` among them."""
        return tuple(sorted({each.label for each in self.examples}))


@dataclass(frozen=True, slots=True)
class Settings:
    """How to learn. `variants` are made and judged beside fp32; `allowance`: what they may lose of its accuracy before
    the `fallbacks` are tried, in order.

    `weights`: a Hugging Face folder, the default encoder otherwise. `shared`: the folder of a base encoder written by
    `write_base`, for modes that leave the encoder as it is (`head`, `lora`). `precise`: keep an fp16 level as well.
    """

    regimen: Regimen = field(default_factory=Regimen)
    promise: Promise = field(default_factory=Promise)
    allowance: float = 0.005
    variants: tuple[Variant, ...] = ("int8",)
    fallbacks: tuple[Variant, ...] = ("int8", "int8-qat", "int8-mixed")
    held_share: float = 0.1
    weights: Path | None = None
    shared: Path | None = None
    precise: bool = True


@dataclass(frozen=True, slots=True)
class TextStage:
    """Where learning stands: of every task the texts that teach, those that stop training and pick variants (none:
    those that teach do it), and those that set thresholds; and where files go.
    """

    tasks: Sequence[HeadTask]
    kept: Sequence[tuple[Labelled, ...]]
    tune: Sequence[tuple[Labelled, ...]]
    held: Sequence[tuple[Labelled, ...]]
    folder: Path
    settings: Settings
    progress: Progress | None = None
