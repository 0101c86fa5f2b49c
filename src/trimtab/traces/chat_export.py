"""Stored runs as recorded runs in OpenAI's chat shape, one line a conversation. Reads only.

Every cost of a run stands in its lines exactly once: with the reply it paid for, with the tool message, or in
the first line's `entries`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from trimtab.core import CallRecord, Entry
from trimtab.store import RunRow
from trimtab.traces.chat_line import ChatLine, LineEntry, LineMessage, LineUsage, exact_usd
from trimtab.traces.threads import Turn, Woven, weave

_TOLD = ("exact", "unpriced", "upstream")
_PLACES = 6
TRIAL, END, NOTE = "trimtab_trial", "trimtab_end", "trimtab_note"


class Purse:
    """A run's entries, each to be taken once."""

    def __init__(self, run: RunRow, calls: Sequence[CallRecord], entries: Sequence[Entry]) -> None:
        self._run = run
        self._passed_on = {(record.call.who.parent_call, record.nanodollars) for record in calls}
        self._left = {entry.id: entry for entry in entries}
        self._by_call: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.kind == "model":
                self._by_call.setdefault(entry.call, []).append(entry)

    def of_calls(self, calls: Iterable[str]) -> list[Entry]:
        """The model entries of calls."""
        return [entry for call in calls for entry in self._by_call.get(call, ())]

    def take(self, entries: Iterable[Entry]) -> None:
        """Mark entries as shown."""
        for entry in entries:
            self._left.pop(entry.id, None)

    def take_tool(self, tool_call: str) -> Entry | None:
        """What one use of a tool cost, the first time it is asked for."""
        name = f"tool:{self._run.tenant}:{self._run.id}:{tool_call}"
        return self._left.pop(name, None) or self._left.pop(f"im-{name}", None)

    def cost(self, entry: Entry) -> int:
        """What an entry stands for, in nanodollars: with what another gateway charged, unless that gateway's
        own call is in the run and its own entries say it."""
        abroad = (entry.call, entry.upstream_nanodollars) not in self._passed_on
        return entry.nanodollars + (entry.upstream_nanodollars if abroad else 0)

    def rest(self) -> list[Entry]:
        """Entries that nothing took."""
        return list(self._left.values())


def lines_of(
    run: RunRow, calls: Sequence[CallRecord], entries: Sequence[Entry], count_trial: Callable[[str], int]
) -> Iterator[ChatLine]:
    """A run's lines. `count_trial` says how often a name of agent, domain and task came before."""
    woven = weave(calls)
    purse = Purse(run, calls, entries)
    agent = run.agent or _main_model(calls)
    told = [_messages(run, agent, thread, purse) for thread in woven.threads] or [[]]
    ordinal = count_trial("\n".join((agent, run.workflow, run.task or run.id)))
    times = [message.t for messages in told for message in messages if message.t is not None]
    whole = ChatLine(
        agent=agent,
        domain=run.workflow,
        task=run.task or run.id,
        trial=ordinal,
        reward=run.reward,
        duration_s=max([_seconds(run.last_at - run.started_at), *times]),
        end="ended" if run.ended else "",
        messages=(),
        run=run.id,
        tenant=run.tenant,
        user=run.user,
        started_at=run.started_at,
        outcome_by=run.outcome_by or None,
        outcome_reason=run.outcome_reason or None,
        note=_note(woven),
    )
    for number, messages in enumerate(told):
        rest = () if number else _rest(run, purse)
        thread = woven.threads[number] if woven.threads else ()
        yield _line(whole, thread, number, messages, rest)


def _line(
    whole: ChatLine,
    thread: Sequence[Turn],
    number: int,
    messages: list[LineMessage],
    rest: tuple[LineEntry, ...],
) -> ChatLine:
    """One thread's line; `whole` says what all lines of the run say."""
    metadata = thread[0].exchange.metadata if thread else {}
    tools = thread[-1].exchange.tools if thread else None
    trial = metadata.get(TRIAL, "")
    costs = [each.cost_usd for part in (messages, rest) for each in part if each.cost_usd is not None]
    return msgspec.structs.replace(
        whole,
        trial=int(trial) if trial.isdecimal() and len(trial) < 16 else whole.trial,
        agent_cost_usd=sum(costs, Decimal(0)) if costs else None,
        end=metadata.get(END) or whole.end,
        messages=tuple(messages),
        thread=number,
        tools=msgspec.UNSET if tools is None else tools,
        entries=rest,
        note=whole.note or metadata.get(NOTE, ""),
    )


def _seconds(exact: float) -> float:
    """To the microsecond, which is what floats of epoch seconds can tell; never minus zero."""
    return round(exact, _PLACES) + 0.0


def _note(woven: Woven) -> str:
    if not woven.threads:
        return "no conversation: its content was not kept, or no call was answered"
    return f"not all calls are here: {woven.note}" if woven.note else ""


def _main_model(calls: Sequence[CallRecord]) -> str:
    """The model that most calls were answered by."""
    counts: dict[str, int] = {}
    for record in calls:
        name = record.model or record.call.model
        counts[name] = counts.get(name, 0) + 1
    return max(sorted(counts), key=lambda name: counts[name], default="")


def _messages(run: RunRow, agent: str, thread: Sequence[Turn], purse: Purse) -> list[LineMessage]:
    """The last turn's conversation, with what every turn's reply cost in its place."""
    last = thread[-1].exchange
    messages = [*last.messages, last.reply]
    begin = 0
    for turn in thread:
        began = _seconds(turn.exchange.record.call.at - run.started_at)
        for index in range(begin, turn.place):
            messages[index] = _heard(messages[index], began, turn, purse)
        messages[turn.place] = _reply(messages[turn.place], agent, began, turn, purse)
        begin = turn.place + 1
    return messages


def _heard(message: LineMessage, began: float, turn: Turn, purse: Purse) -> LineMessage:
    """A message that first came with this turn; another thread's replies are left as they are."""
    if message.role == "assistant":
        return message
    paid = purse.take_tool(message.tool_call_id) if message.role == "tool" and message.tool_call_id else None
    if paid is None:
        return msgspec.structs.replace(message, t=began)
    cost = exact_usd(paid.nanodollars)
    return msgspec.structs.replace(message, t=began, cost_usd=cost, step=turn.exchange.record.call.who.step)


def _reply(message: LineMessage, agent: str, began: float, turn: Turn, purse: Purse) -> LineMessage:
    record = turn.exchange.record
    seconds = _seconds(record.seconds)
    first = record.first_token_seconds
    paid = purse.of_calls(turn.calls)
    usage = record.usage
    counted = bool(paid) and all(entry.certainty in ("exact", "upstream") for entry in paid)
    cost = _cost(paid, purse)
    saved = sum(entry.saved_nanodollars for entry in paid)
    return msgspec.structs.replace(
        message,
        usage=LineUsage.of(usage) if counted or usage.total_tokens else None,
        cost_usd=cost,
        t=_seconds(began + seconds),
        step=record.call.who.step,
        model="" if record.model == agent else record.model,
        endpoint=record.endpoint,
        seconds=seconds,
        first_token_s=None if first is None else _seconds(first),
        certainty="exact" if counted or cost is None else "estimated",
        answered_by=record.answered_by if record.answered_by in ("recall", "controller") else "",
        decisions=record.controllers,
        saved_usd=exact_usd(saved) if saved else None,
    )


def _cost(paid: Sequence[Entry], purse: Purse) -> Decimal | None:
    """What the reply cost; None where a part is not known, and then the known part stays in the purse."""
    if not paid or any(entry.certainty == "unpriced" for entry in paid):
        purse.take(entry for entry in paid if entry.certainty == "unpriced")
        return None
    purse.take(paid)
    return exact_usd(sum(purse.cost(entry) for entry in paid))


def _rest(run: RunRow, purse: Purse) -> tuple[LineEntry, ...]:
    lines = [_rest_line(run, entry, purse.cost(entry)) for entry in purse.rest()]
    return tuple(
        sorted(lines, key=lambda line: (line.t, line.kind, line.what, line.step, line.cost_usd or 0))
    )


def _rest_line(run: RunRow, entry: Entry, nanodollars: int) -> LineEntry:
    usage, unpriced = entry.usage, entry.certainty == "unpriced"
    return LineEntry(
        kind=entry.kind,
        what=entry.model,
        cost_usd=None if unpriced else exact_usd(nanodollars),
        t=_seconds(entry.at - run.started_at),
        step=entry.step,
        endpoint=entry.endpoint,
        certainty="exact" if entry.certainty in _TOLD else "estimated",
        usage=LineUsage.of(usage) if usage.total_tokens else None,
    )
