"""One controller at work: asked in a thread others share, within a budget. It never raises; at worst it abstains.

Coroutines and threads (verifiers of cascades) may ask at the same time; what is counted is counted under a lock.
"""

import logging
import threading
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
    """`thread` is a single worker."""

    def __init__(
        self,
        manifest: Manifest,
        decide: Decide,
        thread: Executor,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.manifest, self._decide, self._thread, self._monotonic = manifest, decide, thread, monotonic
        self._door = Door(self._decide_all, thread, monotonic)
        self._lock = threading.Lock()
        self._troubles: Counter[str] = Counter()
        self._bins: Counter[int] = Counter()
        self._failures = 0
        self._late_in = -1
        self._rests_until = 0.0

    @property
    def title(self) -> str:
        """`workflow/kind@version`."""
        return self.manifest.title

    @property
    def troubles(self) -> Counter[str]:
        """What went wrong so far, how often."""
        with self._lock:
            return self._troubles.copy()

    @property
    def bins(self) -> Counter[int]:
        """What was decided so far, by bin of confidence."""
        with self._lock:
            return self._bins.copy()

    @property
    def answered(self) -> int:
        """Calls it had an answer for."""
        bins = self.bins
        return bins.total() - bins[ABSTAINED]

    @property
    def abstained(self) -> int:
        """Calls it left to others."""
        return self.bins[ABSTAINED]

    @property
    def drift(self) -> Drift | None:
        """What this process has seen of it against its validation; None where that was not kept."""
        if self.manifest.profile is None:
            return None
        bins = self.bins
        seen = Profile(bins[ABSTAINED], tuple(bins[bin] for bin in range(BINS)))
        return drift_of(self.manifest.profile, seen)

    async def ask(self, question: Question, seconds: float) -> Decided:
        """Its answer, an abstention where it fails or takes longer than `seconds`."""
        if closed := self._closed(seconds):
            return self._skipped(closed)
        try:
            return self._noted(await self._door.ask(question, seconds))
        except Exception as error:  # the edge to what was learned: its failure is no failure of the call
            return self._failed(error, seconds)

    def ask_from_thread(self, question: Question, seconds: float) -> Decided:
        """The same for a caller that is no coroutine."""
        if closed := self._closed(seconds):
            return self._skipped(closed)
        try:
            return self._noted(self._door.ask_from_thread(question, seconds))
        except Exception as error:  # as above
            return self._failed(error, seconds)

    def pass_over(self, reason: str) -> Decided:
        """The abstention of one that was not asked. It is not counted."""
        manifest = self.manifest
        return Decided(Answer(manifest.name, manifest.version, manifest.kind, reasons=(reason,)))

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

    def _closed(self, seconds: float) -> str:
        """Why nobody need ask now; '' where it is worth it."""
        if self._monotonic() < self._rests_until:
            return "it rests after failing again and again"
        if self._door.is_crowded:
            return "too many calls wait for it"
        return "it is still at an earlier call" if self._door.is_held_up(seconds) else ""

    def _skipped(self, reason: str) -> Decided:
        with self._lock:
            self._troubles["skipped"] += 1
        return self.pass_over(reason)

    def _noted(self, decided: Decided) -> Decided:
        answer = decided.answer
        with self._lock:
            self._failures = 0
            self._bins[ABSTAINED if answer.abstained else bin_of(answer.confidence)] += 1
        return decided

    def _failed(self, error: Exception, seconds: float) -> Decided:
        is_late = isinstance(error, TimeoutError)
        what, reason = "late", f"it took longer than {seconds * 1000:g} ms"
        if not is_late:
            what, reason = "failed", f"it failed: {type(error).__name__}: {error}"
            _log.debug("controller %s", self.title, exc_info=error)
        with self._lock:
            is_first = not self._troubles[what]
            self._troubles[what] += 1
            # However many wait behind one stall, it is one failure.
            if not is_late or self._late_in != self._door.turn:
                self._failures += 1
            if is_late:
                self._late_in = self._door.turn
            if self._failures >= _FAILURES_TO_REST:
                self._failures, self._rests_until = 0, self._monotonic() + _REST_SECONDS
        if is_first:
            _log.warning("controller %s abstains: %s (said once)", self.title, reason)
        return self.pass_over(reason)
