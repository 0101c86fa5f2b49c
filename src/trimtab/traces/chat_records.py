"""A recorded run's line as the calls and entries it tells of. Pure: the same line gives the same ids.

The ids begin with `im`, so that what was imported is known from what this house served.
"""

import hashlib
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from trimtab.core import Attribution, Call, CallRecord, Certainty, Entry, Usage
from trimtab.traces.chat_export import END, NOTE, TRIAL
from trimtab.traces.chat_line import ChatLine, LineEntry, LineMessage, LineUsage, recorded_nanodollars
from trimtab.traces.names import run_name

IMPORTED = "im"
_encode = msgspec.json.Encoder().encode


class RecordedRun(msgspec.Struct, frozen=True):
    """What a line tells: whose run, when (epoch seconds), its calls and entries."""

    who: Attribution
    started_at: float
    last_at: float
    calls: tuple[CallRecord, ...]
    entries: tuple[Entry, ...]


class _Telling:
    """Goes through a line's messages once and keeps what was heard so far, as JSON."""

    def __init__(self, line: ChatLine, who: Attribution, id: str, started_at: float) -> None:
        self._line, self._who, self._id, self._started_at = line, who, id, started_at
        self._heard: list[bytes] = []
        self._tools: dict[str, str] = {}
        self._before = 0.0
        told = {TRIAL: str(line.trial), END: line.end or "", NOTE: line.note}
        metadata = {name: value for name, value in told.items() if value}
        self._tail = b',"metadata":' + _encode(metadata)
        if isinstance(line.tools, msgspec.Raw) and line.tools != msgspec.Raw(b"null"):
            self._tail += b',"tools":' + bytes(line.tools)

    def tell(self) -> Iterator[tuple[CallRecord | None, Entry]]:
        """A call with its entry for each reply, and the entries of paid tools."""
        opened, count = False, 0
        for message in self._line.messages:
            opened = opened or message.role == "user"
            if message.role == "assistant":
                if self._is_call(message, opened):
                    record = self._call(message, f"{self._id}-{count:05d}")
                    yield record, self._entry(message, record)
                    count += 1
                self._tools |= {call.id: call.name for call in message.tool_calls}
            elif message.cost_usd is not None and message.role == "tool":
                yield None, self._tool_entry(message)
            self._before = self._before if message.t is None else message.t
            if _is_heard(message):
                self._heard.append(_encode(_chat_message(message)))

    def _is_call(self, message: LineMessage, opened: bool) -> bool:
        """Our own lines give every reply a time; elsewhere the words before any user's are a greeting."""
        return opened if self._line.thread is None else message.t is not None

    def _call(self, message: LineMessage, id: str) -> CallRecord:
        ends = self._before if message.t is None else message.t
        seconds = max(0.0, ends - self._before) if message.seconds is None else message.seconds
        model = message.model or self._line.agent
        who = msgspec.structs.replace(self._who, step=message.step)
        usage = _usage(message.usage)
        at = self._started_at + (ends - seconds)
        return CallRecord(
            call=Call(id, at, "chat", model, who, usage.input_tokens, usage.output_tokens),
            status="ok",
            seconds=seconds,
            first_token_seconds=message.first_token_s,
            model=model,
            endpoint=message.endpoint,
            usage=usage,
            nanodollars=_nanodollars(message.cost_usd),
            request=b'{"model":%b,"messages":[%b]%b}' % (_encode(model), b",".join(self._heard), self._tail),
            reply=_encode(_reply(message, model, id)),
            answered_by=message.answered_by or "model",
            controllers=message.decisions,
        )

    def _entry(self, message: LineMessage, record: CallRecord) -> Entry:
        certainty: Certainty = message.certainty if message.usage is not None else "estimated"
        entry = self._line_entry(
            f"{record.call.id}-e",
            record.call.id,
            record.call.at + record.seconds,
            "unpriced" if message.cost_usd is None else certainty,
            LineEntry(
                "model",
                record.model,
                message.cost_usd,
                step=message.step,
                endpoint=message.endpoint,
                usage=message.usage,
            ),
        )
        return msgspec.structs.replace(entry, saved_nanodollars=_nanodollars(message.saved_usd))

    def _tool_entry(self, message: LineMessage) -> Entry:
        tool_call = message.tool_call_id or ""
        id = f"{IMPORTED}-tool:{self._who.tenant}:{self._who.run}:{tool_call}"
        what = self._tools.get(tool_call, "tool")
        at = self._started_at + (self._before if message.t is None else message.t)
        return self._line_entry(
            id, "", at, "exact", LineEntry("tool", what, message.cost_usd, step=message.step)
        )

    def rest(self) -> Iterator[Entry]:
        """The costs that belong to no message."""
        for index, entry in enumerate(self._line.entries):
            certainty: Certainty = "unpriced" if entry.cost_usd is None else entry.certainty
            at = self._started_at + entry.t
            yield self._line_entry(f"{self._id}-rest-{index:05d}", "", at, certainty, entry)
        left = _unexplained(self._line)
        if left > 0:
            whole = LineEntry("model", self._line.agent, Decimal(left).scaleb(-9))
            at = self._started_at + self._before
            yield self._line_entry(f"{self._id}-whole", "", at, "estimated", whole)

    def _line_entry(self, id: str, call: str, at: float, certainty: Certainty, entry: LineEntry) -> Entry:
        who = self._who
        return Entry(
            id=id, call=call, at=at, tenant=who.tenant, run=who.run, user=who.user, workflow=who.workflow,
            step=entry.step, key="", kind=entry.kind, endpoint=entry.endpoint, model=entry.what,
            nanodollars=_nanodollars(entry.cost_usd), certainty=certainty, usage=_usage(entry.usage),
            reason="imported",
        )  # fmt: skip


def recorded_run(line: ChatLine, tenant: str, now: float) -> RecordedRun:
    """What a line tells, as a run of `tenant`. A line that does not say when it was is told as of `now`."""
    run = line.run or run_name(line.agent, line.domain, line.task, line.trial)
    who = Attribution(tenant, run, line.user, "", line.domain, task=line.task, agent=line.agent)
    started_at = now if line.started_at is None else line.started_at
    identity = _encode([tenant, run, line.agent, line.domain, line.task, line.trial])
    id = f"{IMPORTED}{hashlib.blake2b(identity, digest_size=12).hexdigest()}-{line.thread or 0:05d}"
    telling = _Telling(line, who, id, started_at)
    told = list(telling.tell())
    calls = tuple(record for record, _ in told if record is not None)
    entries = (*(entry for _, entry in told), *telling.rest())
    duration = line.duration_s if isinstance(line.duration_s, float) else 0.0
    last_at = max([started_at + duration, *(record.call.at + record.seconds for record in calls)])
    return RecordedRun(who, started_at, last_at, calls, entries)


def _unexplained(line: ChatLine) -> int:
    """Nanodollars that the whole cost and its parts do not."""
    if line.thread is not None or not isinstance(line.agent_cost_usd, Decimal):
        return 0
    parts = sum(_nanodollars(m.cost_usd) for m in line.messages if m.role == "assistant")
    # Floats were summed up to the whole: what is under a nanodollar a message is noise.
    left = recorded_nanodollars(line.agent_cost_usd) - parts
    return left if left > len(line.messages) else 0


def _nanodollars(usd: Decimal | None) -> int:
    return 0 if usd is None else recorded_nanodollars(usd)


def _usage(told: LineUsage | None) -> Usage:
    return Usage() if told is None else told.known()


def _is_heard(message: LineMessage) -> bool:
    """Not what passed between a user and the user's own tools: the agent never saw it."""
    if message.role == "tool":
        return message.audience == "assistant"
    return message.role != "user" or not message.tool_calls


def _chat_message(message: LineMessage) -> dict[str, object]:
    shown: dict[str, object] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        shown["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _text(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        shown["tool_call_id"] = message.tool_call_id
    return shown


def _text(arguments: msgspec.Raw) -> str:
    """Arguments as a model writes them: JSON as text, or what it wrote instead of JSON."""
    fields = msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    if fields.keys() == {"_raw"}:
        return msgspec.json.decode(fields["_raw"], type=str)
    return bytes(arguments).decode()


def _reply(message: LineMessage, model: str, id: str) -> dict[str, object]:
    finish = "tool_calls" if message.tool_calls else "stop"
    reply: dict[str, object] = {
        "id": f"chatcmpl-{id}",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": _chat_message(message), "finish_reason": finish}],
    }
    if message.usage is not None:
        sent, received = message.usage.prompt_tokens, message.usage.completion_tokens
        counts = {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}
        reply["usage"] = counts
    return reply


def request_before(line: ChatLine, place: int) -> bytes:
    """The chat request that the reply at `place` of a line's messages answered, as far as the line tells."""
    heard = [_encode(_chat_message(message)) for message in line.messages[:place] if _is_heard(message)]
    tools = b',"tools":' + bytes(line.tools) if isinstance(line.tools, msgspec.Raw) else b""
    return b'{"messages":[%b]%b}' % (b",".join(heard), tools)
