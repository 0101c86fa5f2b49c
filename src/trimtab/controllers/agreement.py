"""Whether the model, or the champion in its place, did what a controller would have done: at once, or, for lookups
made ahead, later in the run.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import msgspec

from trimtab.controllers.conversation import Conversation, ToolCall
from trimtab.controllers.question import is_own
from trimtab.store import TallyMode

_MOST_RUNS = 1_000
_MOST_WAITING = 50


class Judged(msgspec.Struct, frozen=True):
    """A tool that would have been called, in which bin of confidence, and whether it was called so too, by whom:
    `shadow` is the model, `champion` the version that answers in its place."""

    option: str
    bin: int
    agreed: bool
    mode: TallyMode = "shadow"


class _Waiting(msgspec.Struct, frozen=True):
    """`seen` turns were in the conversation when the call would have been made; `mode`: who answered instead."""

    key: str
    option: str
    bin: int
    seen: int
    mode: TallyMode


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
                yield found
        if left:
            self._waiting[tenant, run] = left

    def expect(
        self,
        tenant: str,
        run: str,
        calls: Sequence[ToolCall],
        bin: int,
        seen: int,
        mode: TallyMode = "shadow",
    ) -> Iterator[Judged]:
        """Wait for `calls`. What is forgotten over it, or never came, was not agreed upon."""
        mine = self._waiting.setdefault((tenant, run), [])
        mine.extend(_Waiting(call.key, call.name, bin, seen, mode) for call in calls)
        gone, mine[:] = mine[:-_MOST_WAITING], mine[-_MOST_WAITING:]
        if len(self._waiting) > _MOST_RUNS:
            gone = gone + self._waiting.popitem(last=False)[1]
        for each in gone:
            yield Judged(each.option, each.bin, False, each.mode)

    def give_up(self, tenant: str, run: str) -> Iterator[Judged]:
        """The run is over."""
        for each in self._waiting.pop((tenant, run), []):
            yield Judged(each.option, each.bin, False, each.mode)


def _found(each: _Waiting, conversation: Conversation) -> Judged | None:
    """None while neither the call nor one that writes has come."""
    for turn in conversation.turns[each.seen :]:
        same = [call for call in turn.calls if call.key == each.key]
        for call in same or turn.calls:
            tool = conversation.tool(call.name)
            if same or tool is None or not tool.read_only:
                mode: TallyMode = "champion" if is_own(call) else "shadow"
                return Judged(each.option, each.bin, bool(same), mode)
    return None
