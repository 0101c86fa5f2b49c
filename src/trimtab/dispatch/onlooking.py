"""Shadow mode: after the model's reply is out, controllers that look on decide too, and it is counted who agreed.

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
    Decided,
    Host,
    Judged,
    Roster,
    ToolCall,
)
from trimtab.core import Surface
from trimtab.dispatch.asking import MOST_BYTES, Asking
from trimtab.dispatch.decide import asking_of, classifies, label_text, may_call, question_of
from trimtab.dispatch.visit import Visit

_log = logging.getLogger(__name__)
_MOST_WAITING = 64
_PATIENCE_SECONDS = 10.0
_PLAIN = WorkflowSettings()


class Said(msgspec.Struct, frozen=True):
    """What the model replied."""

    text: str
    calls: tuple[ToolCall, ...]


class Onlooker:
    """Constructed by `app/`, which runs `run` as long as the house stands."""

    def __init__(self, settings: Settings, roster: Roster) -> None:
        self._workflows: Mapping[str, WorkflowSettings] = settings.workflow
        self._roster = roster
        self._waiting: asyncio.Queue[tuple[Visit, bytes]] = asyncio.Queue(_MOST_WAITING)
        self._agreements: dict[str, Agreement] = {}

    def look_on(self, visit: Visit, reply: bytes) -> None:
        """Note an answered call for later. Never waits; costs nothing where nobody looks on."""
        if not self._roster.crew(visit.call.who.workflow).shadows or len(visit.inbound.body) > MOST_BYTES:
            return
        try:
            self._waiting.put_nowait((visit, reply))
        except asyncio.QueueFull:
            self._roster.tally.dropped += 1

    async def run(self) -> None:
        """Look at what waits until cancelled."""
        while True:
            visit, reply = await self._waiting.get()
            try:
                await self._compare(visit, reply)
            except Exception:
                # The task's edge: one odd call must not end the shadow mode of all.
                _log.exception("a call could not be looked at (run %r)", visit.call.who.run)
            finally:
                self._waiting.task_done()

    async def settled(self) -> None:
        """Wait until everything noted so far has been looked at."""
        await self._waiting.join()

    async def _compare(self, visit: Visit, reply: bytes) -> None:
        name = visit.call.who.workflow
        settings = self._workflows.get(name, _PLAIN)
        asking = asking_of(visit, settings)
        if asking is None:
            return
        said = said_of(visit.call.surface, reply)
        for host in self._roster.crew(name).shadows:
            kind = host.manifest.kind
            if kind == "step" and not (asking.plain and may_call(asking)):
                continue
            if kind == "classify" and not (asking.plain and classifies(visit, asking, settings)):
                continue
            if kind == "verify":
                continue
            decided = await host.ask(
                question_of(kind, asking, settings, visit.call.who.agent), _PATIENCE_SECONDS
            )
            bin = self._roster.tally.decided(host, "shadow", decided)
            if said is not None:
                self._judge(host, visit, asking, settings, decided, said, bin)

    def _judge(
        self,
        host: Host,
        visit: Visit,
        asking: Asking,
        settings: WorkflowSettings,
        decided: Decided,
        said: Said,
        bin: int,
    ) -> None:
        answer = decided.answer
        if host.manifest.kind == "classify" and not answer.abstained:
            agreed = said.text.strip() == label_text(settings, answer.option).strip()
            for option in (WHOLE, answer.option):
                self._roster.tally.judged(host, "shadow", option, bin, agreed=agreed)
        if host.manifest.kind == "step":
            whole = not answer.abstained and {c.key for c in answer.calls} == {c.key for c in said.calls}
            if not answer.abstained:
                self._roster.tally.judged(host, "shadow", WHOLE, bin, agreed=whole)
            for each in self._calls_judged(host, visit, asking, settings, answer, said, bin):
                self._roster.tally.judged(host, "shadow", each.option, each.bin, agreed=each.agreed)

    def _calls_judged(
        self,
        host: Host,
        visit: Visit,
        asking: Asking,
        settings: WorkflowSettings,
        answer: Answer,
        said: Said,
        bin: int,
    ) -> "Sequence[Judged]":
        """Earlier calls that the run has come to since, and those of this answer. A lookup made ahead may be
        called for later, so it is waited for."""
        who, conversation = visit.call.who, asking.conversation
        agreement = self._agreements.setdefault(host.title, Agreement())
        judged = list(agreement.settle(who.tenant, who.run, conversation))
        made = {call.key for call in said.calls}
        missing = [call for call in answer.calls if call.key not in made]
        judged += [Judged(call.name, bin, True) for call in answer.calls if call.key in made]
        ahead = [call for call in missing if settings.eager and _is_read_only(conversation, call)]
        judged += [Judged(call.name, bin, False) for call in missing if call not in ahead]
        if ahead:
            judged += agreement.expect(who.tenant, who.run, ahead, bin, len(conversation.turns))
        if visit.inbound.hints.ends_run:
            judged += agreement.give_up(who.tenant, who.run)
        return judged


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
