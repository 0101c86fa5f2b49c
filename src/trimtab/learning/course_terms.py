"""What a course is told: of whom to learn, how to train, what to promise, what compression may cost."""

from typing import Literal

import msgspec

from trimtab.core import ControllerKind
from trimtab.learning.examples import Picking
from trimtab.learning.variant import Variant

TextMode = Literal["linear", "head", "lora", "full"]


class TextTerms(msgspec.Struct, frozen=True):
    """`mode`: `linear` is level 0 alone, without torch; `head` and `lora` use the shared encoder; `full` trains one.

    `promise` is the precision answers must keep, at `confidence`. `variants` (of mode `full`) are made and judged; the
    first that loses no more than `allowance` of fp32's accuracy serves.
    `outside` is the label of texts that belong to none of the others. `encoder`: a Hugging Face folder, else MiniLM.
    """

    mode: TextMode = "full"
    promise: float = 0.95
    confidence: float = 0.95
    allowance: float = 0.005
    outside: str = ""
    encoder: str = ""
    variants: tuple[Variant, ...] = ("int8",)
    epochs: int = 6
    learning_rate: float = 1e-4
    max_tokens: int = 48
    rank: int = 8
    seed: int = 0


class CourseTerms(msgspec.Struct, frozen=True):
    """What to learn, of whose choices, and what to promise. `text` is for all kinds but `step`.

    `step_promise` and `exact_promise` are precisions of a step's eager and exact answers, judged across `step_folds`
    folds of tasks; None: the lesson's own.
    Runs of several tenants are refused unless `all_tenants`; what holds words of runs is deleted when the course has
    ended, unless `keep_data`. `read_only` names tools beyond those the data declares. `licence` is the package's.
    """

    picking: Picking
    text: TextTerms = TextTerms()
    step_promise: float | None = None
    exact_promise: float | None = None
    read_only: tuple[str, ...] = ()
    licence: str = ""
    seed: int = 0
    step_folds: int | None = None
    all_tenants: bool = False
    keep_data: bool = False

    @property
    def workflow(self) -> str:
        """Whose controller it is."""
        return self.picking.workflow

    @property
    def kind(self) -> ControllerKind:
        """Of the controller."""
        return self.picking.kind
