"""One controller at work: asked in a thread others share, within a budget. It never raises; at worst it abstains."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import msgspec

from trimtab.controllers.answer import Answer
from trimtab.controllers.door import Door
from trimtab.controllers.drift import ABSTAINED, BINS, Drift, Profile, bin_of, drift_of
from trimtab.controllers.heed import heeded
from trimtab.controllers.loaders import Decide
from trimtab.controllers.manifest import Manifest
from trimtab.controllers.question import Decided, Question, answer_digest, inputs_digest

_log = logging.getLogger(__name__)
_FAILURES_TO_REST = 20
_REST_SECONDS = 30.0


class Host:
    """`thread` is a single worker. `troubles` counts what went wrong, `bins` what was decided, by confidence."""

    def __init__(
        self,
        manifest: Manifest,
        decide: Decide,
        thread: Executor,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.manifest, self._decide, self._thread, self._monotonic = manifest, decide, thread, monotonic
        self.troubles: Counter[str] = Counter()
        self.bins: Counter[int] = Counter()
        self._door = Door(self._decide_all, thread)
        self._failures = 0
        self._rests_until = 0.0

    @property
    def title(self) -> str:
        """`workflow/kind@version`."""
        return self.manifest.title

    @property
    def answered(self) -> int:
        """Calls it had an answer for."""
        return self.bins.total() - self.bins[ABSTAINED]

    @property
    def abstained(self) -> int:
        """Calls it left to others."""
        return self.bins[ABSTAINED]

    @property
    def drift(self) -> Drift | None:
        """What this process has seen of it against its validation; None where that was not kept."""
        if self.manifest.profile is None:
            return None
        seen = Profile(self.bins[ABSTAINED], tuple(self.bins[bin] for bin in range(BINS)))
        return drift_of(self.manifest.profile, seen)

    async def ask(self, question: Question, seconds: float) -> Decided:
        """Its answer, an abstention where it fails or takes longer than `seconds`."""
        if self._monotonic() < self._rests_until:
            return self._passed("it rests after failing again and again")
        if self._door.is_crowded:
            return self._passed("too many calls wait for it")
        try:
            return self._noted(await self._door.ask(question, seconds))
        except Exception as error:  # the edge to what was learned: its failure is no failure of the call
            return self._failed(error, seconds)

    def ask_from_thread(self, question: Question, seconds: float) -> Decided:
        """The same for a caller that is no coroutine."""
        if self._monotonic() < self._rests_until:
            return self._passed("it rests after failing again and again")
        asked = self._thread.submit(self.decide, question)
        try:
            return self._noted(asked.result(seconds))
        except Exception as error:  # as above
            asked.cancel()
            return self._failed(error, seconds)

    def decide(self, question: Question) -> Decided:
        """The same in this thread, without a budget; what the controller raises comes through."""
        started = self._monotonic()
        answer = self._decide([question])[0]
        return self._evident(question, answer, self._monotonic() - started)

    def _decide_all(self, questions: Sequence[Question]) -> list[Decided | Exception]:
        """One that cannot be decided does not take the others of its batch with it."""
        started = self._monotonic()
        try:
            answers = self._decide(questions)
            seconds = self._monotonic() - started
            return [self._evident(*pair, seconds) for pair in zip(questions, answers, strict=True)]
        except Exception as error:  # as in `ask`
            if len(questions) == 1:
                return [error]
        return [each for question in questions for each in self._decide_all([question])]

    def _evident(self, question: Question, answer: Answer, seconds: float) -> Decided:
        manifest = self.manifest
        named = msgspec.structs.replace(
            answer, controller=manifest.name, version=manifest.version, kind=manifest.kind
        )
        said = heeded(named, question, manifest)
        return Decided(said, inputs_digest(question), answer_digest(said), seconds)

    def _noted(self, decided: Decided) -> Decided:
        self._failures = 0
        answer = decided.answer
        self.bins[ABSTAINED if answer.abstained else bin_of(answer.confidence)] += 1
        return decided

    def _failed(self, error: Exception, seconds: float) -> Decided:
        what, reason = "late", f"it took longer than {seconds * 1000:g} ms"
        if not isinstance(error, TimeoutError):
            what, reason = "failed", f"it failed: {type(error).__name__}: {error}"
            _log.debug("controller %s", self.title, exc_info=error)
        if not self.troubles[what]:
            _log.warning("controller %s abstains: %s (said once)", self.title, reason)
        self.troubles[what] += 1
        self._failures += 1
        if self._failures >= _FAILURES_TO_REST:
            self._failures, self._rests_until = 0, self._monotonic() + _REST_SECONDS
        return self._passed(reason)

    def _passed(self, reason: str) -> Decided:
        manifest = self.manifest
        return Decided(Answer(manifest.name, manifest.version, manifest.kind, reasons=(reason,)))
