"""Whether the model did what a controller would have done: at once, or, for lookups made ahead, later in the run."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import msgspec

from trimtab.controllers.conversation import Conversation, ToolCall

_MOST_RUNS = 1_000
_MOST_WAITING = 50


class Judged(msgspec.Struct, frozen=True):
    """A tool that would have been called, in which bin of confidence, and whether the model called it so too."""

    option: str
    bin: int
    agreed: bool


class _Waiting(msgspec.Struct, frozen=True):
    """`seen` turns were in the conversation when the call would have been made."""

    key: str
    option: str
    bin: int
    seen: int


class Agreement:
    """Remembers, for a bounded number of runs, the calls that the model may still make."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, str], list[_Waiting]] = OrderedDict()

    def settle(self, tenant: str, run: str, conversation: Conversation) -> Iterator[Judged]:
        """What has become of earlier calls, now that the run has gone on to `conversation`.

        A call that comes only after one that writes would have been stale: it does not count as agreed.
        """
        waiting = self._waiting.pop((tenant, run), [])
        left = []
        for each in waiting:
            found = _found(each, conversation)
            if found is None:
                left.append(each)
            else:
                yield Judged(each.option, each.bin, found)
        if left:
            self._waiting[tenant, run] = left

    def expect(
        self, tenant: str, run: str, calls: Sequence[ToolCall], bin: int, seen: int
    ) -> Iterator[Judged]:
        """Wait for `calls`. What is forgotten over it, or never came, was not agreed upon."""
        mine = self._waiting.setdefault((tenant, run), [])
        mine.extend(_Waiting(call.key, call.name, bin, seen) for call in calls)
        gone, mine[:] = mine[:-_MOST_WAITING], mine[-_MOST_WAITING:]
        if len(self._waiting) > _MOST_RUNS:
            gone = gone + self._waiting.popitem(last=False)[1]
        for each in gone:
            yield Judged(each.option, each.bin, agreed=False)

    def give_up(self, tenant: str, run: str) -> Iterator[Judged]:
        """The run is over."""
        for each in self._waiting.pop((tenant, run), []):
            yield Judged(each.option, each.bin, agreed=False)


def _found(each: _Waiting, conversation: Conversation) -> bool | None:
    """None while neither the call nor one that writes has come."""
    for turn in conversation.turns[each.seen :]:
        if any(call.key == each.key for call in turn.calls):
            return True
        for call in turn.calls:
            tool = conversation.tool(call.name)
            if tool is None or not tool.read_only:
                return False
    return None
