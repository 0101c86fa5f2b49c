"""What a controller says: an answer from its closed set, or "not me"."""

import msgspec

from trimtab.controllers.conversation import ToolCall


class Answer(msgspec.Struct, frozen=True):
    """One decision, with its evidence. `confidence` is calibrated: the share of such answers that are right.

    `option` is the chosen label (for a step: the tools called, joined by " + "); empty with `abstained` true.
    `level` names the level of the stack that decided; `reasons` say why it abstained or passed on.
    """

    controller: str
    version: str
    kind: str
    option: str = ""
    confidence: float = 0.0
    abstained: bool = True
    calls: tuple[ToolCall, ...] = ()
    level: str = ""
    reasons: tuple[str, ...] = ()
