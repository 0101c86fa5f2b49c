"""What has happened in a conversation so far, kept up turn by turn: values, calls made, who spoke last.

The step controller reads one; learning walks recorded runs with one. Both see the very same features.
"""

import re
from collections import Counter
from collections.abc import Iterable

from trimtab.controllers.candidates import Pantry
from trimtab.controllers.conversation import ToolCall, Turn
from trimtab.controllers.question import OWN_CALL
from trimtab.controllers.values import MOST_TEXT, Value, values_of_turn

_WORD = re.compile(r"[^\W_]+(?:[._@-][^\W_]+)*")
_FAILED = ("error", "not found")


class Scene:
    """The state after the turns added so far. `standing` are the calls whose results still hold (no tool that may
    write was called after them) with the turn that made them; `own` those of them that a controller made, and all
    its writing calls: neither is made again. `failures` are the turns of results that tell of one."""

    def __init__(self, read_only: frozenset[str]) -> None:
        self._read_only = read_only
        self._names: dict[str, str] = {}
        self.pantry = Pantry()
        self.standing: dict[str, int] = {}
        self.own: set[str] = set()
        self._own_writes: set[str] = set()
        self.made: Counter[str] = Counter()
        self.calls_of: Counter[str] = Counter()
        self.calls_of_since: Counter[str] = Counter()
        self.sequence: list[str] = []
        self.last_key = ""
        self.repeats = 0
        self.occurrences: Counter[str] = Counter()
        self.turns = 0
        self.user_turns = 0
        self.reply_turns = 0
        self.writes = 0
        self.calls_since = 0
        self.last_failed = False
        self.failures: set[int] = set()
        self.last_speaker = ""
        self.first_user = ""
        self.last_user = ""
        self.said: set[str] = set()
        self.said_last: set[str] = set()
        self.replied: set[str] = set()

    @classmethod
    def of(cls, turns: Iterable[Turn], read_only: frozenset[str]) -> "Scene":
        """The scene after these turns."""
        scene = cls(read_only)
        for turn in turns:
            scene.add(turn)
        return scene

    def add(self, turn: Turn) -> None:
        """One more turn."""
        for value in values_of_turn(turn, self.turns, self._names.get(turn.tool_call_id, "")):
            self._keep(value)
        if turn.speaker == "user":
            self._user(turn.text)
        elif turn.speaker == "assistant":
            self._assistant(turn)
        elif turn.speaker == "tool":
            head = turn.text[:200].lower()
            self.last_failed = any(word in head for word in _FAILED)
            if self.last_failed:
                self.failures.add(self.turns)
        if turn.speaker != "system":
            self.last_speaker = turn.speaker
        self.turns += 1

    def _keep(self, value: Value) -> None:
        self.pantry.add(value)
        if not value.is_whole:
            self.occurrences[value.text] += 1

    def _user(self, text: str) -> None:
        self.user_turns += 1
        self.last_user = text
        self.first_user = self.first_user or text
        self.said_last = words(text)
        self.said |= self.said_last
        self.calls_of_since.clear()
        self.calls_since = 0

    def _assistant(self, turn: Turn) -> None:
        if turn.text:
            self.replied = words(turn.text)
        self.reply_turns += not turn.calls
        for call in turn.calls:
            self._call(call)

    def _call(self, call: ToolCall) -> None:
        if call.id:
            self._names[call.id] = call.name
        self.calls_of[call.name] += 1
        self.calls_of_since[call.name] += 1
        self.calls_since += 1
        self.sequence.append(call.name)
        self.made[call.key] += 1
        self.repeats = self.repeats + 1 if call.key == self.last_key else 1
        self.last_key = call.key
        own = call.id.startswith(OWN_CALL)
        if call.name in self._read_only:
            self.standing[call.key] = self.turns
        else:
            self.standing.clear()
            self.own = set(self._own_writes)
            self.writes += 1
            if own:
                self._own_writes.add(call.key)
        if own:
            self.own.add(call.key)


def words(text: str) -> set[str]:
    """The words and identifiers of a text, in lower case."""
    return set(_WORD.findall(text[:MOST_TEXT].lower()))
