"""How a package becomes something that decides: one line a kind. What a kind needs is imported when one is loaded."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.controllers.answer import Answer
from trimtab.controllers.question import Question
from trimtab.core import ControllerKind

Decide = Callable[[Sequence[Question]], Sequence[Answer]]


class Bench:
    """What the controllers of one thread share: an encoder is loaded once for all of them."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache
        self._shelf: Any = None

    @property
    def shelf(self) -> Any:  # noqa: ANN401 - its type would import numpy into every gateway
        """The encoders' shelf, made when it is first needed."""
        if self._shelf is None:
            self._shelf = importlib.import_module("trimtab.engines").EncoderShelf(cache=self._cache)
        return self._shelf


Loader = Callable[[Path, Bench], Decide]


def _step(folder: Path, _: Bench) -> Decide:
    controller: Any = importlib.import_module("trimtab.controllers.step").StepController.load(folder)
    return lambda asked: [
        controller.decide(each.conversation, each.terms.writes_allowed, each.agent, each.terms.eager)
        for each in asked
    ]


def _text(folder: Path, bench: Bench) -> Decide:
    controller: Any = importlib.import_module("trimtab.controllers.text").TextController.load(
        folder, bench.shelf
    )
    return lambda asked: controller.decide_many([each.text for each in asked])


LOADERS: Mapping[ControllerKind, Loader] = {
    "step": _step,
    "route": _text,
    "verify": _text,
    "classify": _text,
    "gate": _text,
}
