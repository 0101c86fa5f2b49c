"""How a package becomes something that decides: one line a kind. What a kind needs is imported when one is loaded."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.controllers.answer import Answer
from trimtab.controllers.question import Question
from trimtab.controllers.registry import read_manifest
from trimtab.core import ControllerKind
from trimtab.core.errors import DataError

if TYPE_CHECKING:
    from trimtab.controllers.step import StepController
    from trimtab.controllers.text import TextController
    from trimtab.engines import EncoderShelf

Decide = Callable[[Sequence[Question]], Sequence[Answer]]


class Bench:
    """What the controllers of one thread share: an encoder is loaded once for all of them."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache
        self._shelf: EncoderShelf | None = None

    @property
    def shelf(self) -> "EncoderShelf":
        """The encoders' shelf, made when it is first needed: it brings numpy and OpenVINO."""
        if self._shelf is None:
            made: EncoderShelf = import_module("trimtab.engines").EncoderShelf(cache=self._cache)
            self._shelf = made
        return self._shelf


Loader = Callable[[Path, Bench], Decide]


def _step(folder: Path, _: Bench) -> Decide:
    loaded: StepController = import_module("trimtab.controllers.step").StepController.load(folder)
    return lambda asked: [
        loaded.decide(each.conversation, each.terms.writes_allowed, each.agent, each.terms.eager)
        for each in asked
    ]


def _text(folder: Path, bench: Bench) -> Decide:
    """Raises DataError also where it rests on an encoder whose hashes its manifest does not keep."""
    loaded: TextController = import_module("trimtab.controllers.text").TextController.load(
        folder, bench.shelf
    )
    if loaded.rests_outside(folder) and not read_manifest(folder).shared:
        raise DataError(
            "rests on a shared encoder whose hashes it does not keep",
            file=str(folder),
            field="shared",
            remedy="it was packed by an older version; learn it again",
        )
    return lambda asked: loaded.decide_many([each.text for each in asked])


LOADERS: Mapping[ControllerKind, Loader] = {
    "step": _step,
    "route": _text,
    "verify": _text,
    "classify": _text,
    "gate": _text,
}
