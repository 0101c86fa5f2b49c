"""Shadow mode: after a reply is out, controllers that look on decide too, and it is counted who agreed: with the model,
or, where the champion answered in its place, with the champion.

Nothing here is on a call's way: what cannot be looked at in time is dropped and counted.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab import wire
from trimtab.config import Settings, WorkflowSettings
from trimtab.controllers import (
    WHOLE,
    Agreement,
    Answer,
    Conversation,
    Host,
    Judged,
    Roster,
    ToolCall,
)
from trimtab.core import Surface
from trimtab.dispatch.asking import MOST_BYTES, Asking
from trimtab.dispatch.decide import asking_of, classifies, label_text, may_call, question_of
from trimtab.dispatch.visit import Visit
from trimtab.store import TallyMode

_log = logging.getLogger(__name__)
_MOST_WAITING = 64
_PATIENCE_SECONDS = 10.0
_PLAIN = WorkflowSettings()


class Said(msgspec.Struct, frozen=True):
    """What was replied."""

    text: str
    calls: tuple[ToolCall, ...]


class _Sight(msgspec.Struct, frozen=True):
    """An answered call as it is looked at; `said` is None where the reply cannot be read."""

    visit: Visit
    asking: Asking
    settings: WorkflowSettings
    said: Said | None
    mode: TallyMode


class Onlooker:
    """Constructed by `app/`, which runs `run` as long as the house stands."""

    def __init__(self, settings: Settings, roster: Roster) -> None:
        self._workflows: Mapping[str, WorkflowSettings] = settings.workflow
        self._roster = roster
        self._waiting: asyncio.Queue[tuple[Visit, bytes, TallyMode]] = asyncio.Queue(_MOST_WAITING)
        self._agreements: dict[str, Agreement] = {}

    def look_on(self, visit: Visit, reply: bytes, mode: TallyMode = "shadow") -> None:
        """Note a call that the model answered, or the `champion`. Never waits; costs nothing where nobody looks on."""
        if not self._roster.crew(visit.call.who.workflow).shadows or len(visit.inbound.body) > MOST_BYTES:
            return
        try:
            self._waiting.put_nowait((visit, reply, mode))
        except asyncio.QueueFull:
            self._roster.tally.dropped += 1

    async def run(self) -> None:
        """Look at what waits until cancelled."""
        while True:
            visit, reply, mode = await self._waiting.get()
            try:
                await self._compare(visit, reply, mode)
            except Exception:
                # The task's edge: one odd call must not end the shadow mode of all.
                _log.exception("a call could not be looked at (run %r)", visit.call.who.run)
            finally:
                self._waiting.task_done()

    async def settled(self) -> None:
        """Wait until everything noted so far has been looked at."""
        await self._waiting.join()

    async def _compare(self, visit: Visit, reply: bytes, mode: TallyMode) -> None:
        name = visit.call.who.workflow
        settings = self._workflows.get(name, _PLAIN)
        asking = asking_of(visit, settings)
        if asking is None:
            return
        sight = _Sight(visit, asking, settings, said_of(visit.call.surface, reply), mode)
        for host in self._roster.crew(name).shadows:
            if not _concerns(host, sight):
                continue
            question = question_of(host.manifest.kind, asking, settings, visit.call.who.agent)
            decided = await host.ask(question, _PATIENCE_SECONDS)
            bin = self._roster.tally.decided(host, mode, decided)
            if sight.said is not None and decided.inputs:
                for each in self._judged(host, sight, decided.answer, sight.said, bin):
                    self._roster.tally.judged(host, each.mode, each.option, each.bin, agreed=each.agreed)

    def _judged(self, host: Host, sight: _Sight, answer: Answer, said: Said, bin: int) -> "Sequence[Judged]":
        mode = sight.mode
        if host.manifest.kind == "classify" and not answer.abstained:
            agreed = said.text.strip() == label_text(sight.settings, answer.option).strip()
            return [Judged(option, bin, agreed, mode) for option in (WHOLE, answer.option)]
        if host.manifest.kind != "step":
            return []
        judged = self._calls_judged(host, sight, answer, said, bin)
        if answer.abstained:
            return judged
        whole = {call.key for call in answer.calls} == {call.key for call in said.calls}
        return [Judged(WHOLE, bin, whole, mode), *judged]

    def _calls_judged(
        self, host: Host, sight: _Sight, answer: Answer, said: Said, bin: int
    ) -> "list[Judged]":
        """Earlier calls that the run has come to since, and those of this answer. A lookup made ahead may be
        called for later, so it is waited for."""
        who, conversation, mode = sight.visit.call.who, sight.asking.conversation, sight.mode
        agreement = self._agreement(host)
        judged = list(agreement.settle(who.tenant, who.run, conversation))
        made = {call.key for call in said.calls}
        missing = [call for call in answer.calls if call.key not in made]
        judged += [Judged(call.name, bin, True, mode) for call in answer.calls if call.key in made]
        ahead = [call for call in missing if sight.settings.eager and _is_read_only(conversation, call)]
        judged += [Judged(call.name, bin, False, mode) for call in missing if call not in ahead]
        if ahead:
            judged += agreement.expect(who.tenant, who.run, ahead, bin, len(conversation.turns), mode)
        if sight.visit.inbound.hints.ends_run:
            judged += agreement.give_up(who.tenant, who.run)
        return judged

    def _agreement(self, host: Host) -> Agreement:
        """What this version still waits for; what one waited for that has gone is forgotten."""
        if host.title not in self._agreements:
            here = {other.title for _, other in self._roster.hosts}
            self._agreements = {title: each for title, each in self._agreements.items() if title in here}
        return self._agreements.setdefault(host.title, Agreement())


def _concerns(host: Host, sight: _Sight) -> bool:
    """Whether the call is one that the controller would be asked of, were it enabled."""
    kind, asking = host.manifest.kind, sight.asking
    if kind == "verify" or (asking.unread and kind != "gate"):
        return False
    if kind == "step":
        return asking.plain and may_call(asking)
    return kind != "classify" or (asking.plain and classifies(sight.visit, asking, sight.settings))


def _is_read_only(conversation: Conversation, call: ToolCall) -> bool:
    tool = conversation.tool(call.name)
    return tool is not None and tool.read_only


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _Called(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Called] | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Reply(msgspec.Struct):
    choices: list[_Choice]


class _Part(msgspec.Struct):
    text: str = ""


class _Item(msgspec.Struct):
    type: str = ""
    name: str = ""
    arguments: str = ""
    content: list[_Part] | None = None


class _Response(msgspec.Struct):
    output: list[_Item]


_REPLY, _RESPONSE = msgspec.json.Decoder(_Reply), msgspec.json.Decoder(_Response)
_ARGUMENTS = msgspec.json.Decoder(dict[str, Any])


def said_of(surface: Surface, reply: bytes) -> Said | None:
    """What a plain reply of a surface says; None where that cannot be told."""
    try:
        if surface == "responses":
            return _of_items(_RESPONSE.decode(reply).output)
        chat = wire.chat_of_messages_reply(reply) if surface == "messages" else reply
        message = _REPLY.decode(chat).choices[0].message
        functions = [called.function for called in message.tool_calls or () if called.function is not None]
        calls = tuple(ToolCall(each.name, _ARGUMENTS.decode(each.arguments or "{}")) for each in functions)
        return Said(message.content or "", calls)
    except (IndexError, ValueError, UnicodeDecodeError, RecursionError):
        return None


def _of_items(items: Sequence[_Item]) -> Said:
    calls = tuple(
        ToolCall(item.name, _ARGUMENTS.decode(item.arguments or "{}"))
        for item in items
        if item.type == "function_call"
    )
    text = "".join(part.text for item in items if item.type == "message" for part in item.content or ())
    return Said(text, calls)
