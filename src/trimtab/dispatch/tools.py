"""Tools that carry a price: each result a client sends back is charged once, by its tool call's id."""

from collections.abc import Iterator, Mapping

import msgspec

from trimtab.core import Attribution
from trimtab.dispatch.visit import Visit
from trimtab.ledger import Ledger


class _Function(msgspec.Struct):
    name: str | None = None


class _Call(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Block(msgspec.Struct):
    """A content block of a message (Messages), or an item (Responses)."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    tool_use_id: str | None = None
    call_id: str | None = None


class _Message(_Block):
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Conversation(msgspec.Struct):
    messages: list[_Message] | None = None
    input: list[_Message] | str | None = None


_CONVERSATION = msgspec.json.Decoder(_Conversation)
_BLOCKS = msgspec.json.Decoder(list[_Block])


class ToolPrices:
    """Prices in nanodollars by tool name. Remembers what it charged, so that long runs do not ask again."""

    def __init__(self, prices: Mapping[str, int], ledger: Ledger) -> None:
        self._prices, self._ledger = prices, ledger
        self._charged: set[str] = set()

    async def charge(self, visit: Visit) -> None:
        """Enter the price of every tool result in the conversation that was not charged yet."""
        who = visit.call.who
        for tool, tool_call in results_of(visit.inbound.body):
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


def results_of(body: bytes) -> Iterator[tuple[str, str]]:
    """(tool, tool call id) of every result in a request of any surface whose call is there too."""
    try:
        asked = _CONVERSATION.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    items = asked.input if isinstance(asked.input, list) else asked.messages or []
    names: dict[str, str] = {}
    for item in items:
        blocks = _blocks(item)
        names.update(_calls(item, blocks))
        for id in (item.tool_call_id, _answered(item), *map(_answered, blocks)):
            if id and id in names:
                yield names[id], id


def _blocks(message: _Message) -> list[_Block]:
    try:
        return _BLOCKS.decode(message.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _calls(message: _Message, blocks: list[_Block]) -> Iterator[tuple[str, str]]:
    for call in message.tool_calls or ():
        function = call.function or call.custom
        if call.id and function and function.name:
            yield call.id, function.name
    for block in (message, *blocks):
        if block.type == "tool_use" and block.id and block.name:
            yield block.id, block.name
        elif block.type in ("function_call", "custom_tool_call") and block.call_id and block.name:
            yield block.call_id, block.name


def _answered(block: _Block) -> str | None:
    """The id of the tool call whose result this is."""
    if block.type == "tool_result":
        return block.tool_use_id
    return block.call_id if block.type in ("function_call_output", "custom_tool_call_output") else None
