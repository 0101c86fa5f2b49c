"""Tools that carry a price: each result a client sends back is charged once, by its tool call's id."""

from collections.abc import Iterator, Mapping

import msgspec

from trimtab.core import Attribution
from trimtab.dispatch.form import form_of
from trimtab.dispatch.visit import Visit
from trimtab.ledger import Ledger


class _Function(msgspec.Struct, frozen=True):
    name: str = ""


class _Call(msgspec.Struct, frozen=True):
    id: str = ""
    function: _Function = _Function()


class _Message(msgspec.Struct, frozen=True):
    role: str = ""
    tool_call_id: str = ""
    tool_calls: tuple[_Call, ...] | None = None


class _Conversation(msgspec.Struct, frozen=True):
    messages: tuple[_Message, ...] = ()


class ToolPrices:
    """Prices in nanodollars by tool name. Remembers what it charged, so that long runs do not ask again."""

    def __init__(self, prices: Mapping[str, int], ledger: Ledger) -> None:
        self._prices, self._ledger = prices, ledger
        self._charged: set[str] = set()

    async def charge(self, visit: Visit) -> None:
        """Enter the price of every tool result in the conversation that was not charged yet."""
        who = visit.call.who
        for tool, tool_call in _results(visit):
            price = self._prices.get(tool)
            id = entry_id(who, tool_call)
            if price is None or id in self._charged:
                continue
            await self._ledger.charge(id, visit.call.id, who, "tool", tool, price)
            if len(self._charged) > 100_000:
                self._charged.clear()
            self._charged.add(id)


def entry_id(who: Attribution, tool_call: str) -> str:
    """The idempotency key of one tool use."""
    return f"tool:{who.tenant}:{who.run}:{tool_call}"


def _results(visit: Visit) -> Iterator[tuple[str, str]]:
    chat = form_of(visit.call.surface, "openai").request(visit.asked)
    try:
        messages = msgspec.json.decode(chat, type=_Conversation).messages
    except msgspec.DecodeError:
        return
    names = {call.id: call.function.name for m in messages for call in m.tool_calls or ()}
    for message in messages:
        if message.role == "tool" and message.tool_call_id in names:
            yield names[message.tool_call_id], message.tool_call_id
