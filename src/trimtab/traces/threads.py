"""Weaves a run's calls into its conversations: a call goes on where an earlier one's reply left off.

Pure. Calls that go on from nowhere (sub-agents, parallel calls, a history that was cut) begin a thread.
"""

from collections.abc import Iterable

import msgspec

from trimtab.core import CallRecord
from trimtab.traces.conversation import Exchange, Unreadable, read_exchange


class Turn(msgspec.Struct, frozen=True):
    """An exchange, and the calls that another gateway of ours made to answer it."""

    exchange: Exchange
    calls: tuple[str, ...]

    @property
    def place(self) -> int:
        """Where in the conversation the reply stands."""
        return len(self.exchange.messages)


class Woven(msgspec.Struct, frozen=True):
    """A run's threads, the turns of each in order, and the first reason why a call is in none of them."""

    threads: tuple[tuple[Turn, ...], ...]
    note: str


def weave(calls: Iterable[CallRecord]) -> Woven:
    """The threads of a run's calls, which come in order. Only answered conversations are woven."""
    exchanges: list[Exchange] = []
    note = ""
    for record in calls:
        if record.status != "ok" or record.call.surface == "embeddings":
            continue
        try:
            exchanges.append(read_exchange(record))
        except Unreadable as error:
            note = note or f"call {record.call.id}: {error}"
    threads: list[list[Turn]] = []
    for turn in _fold(exchanges):
        thread = _continued(threads, turn.exchange)
        if thread is None:
            threads.append([turn])
        else:
            thread.append(turn)
    return Woven(tuple(tuple(thread) for thread in threads), note)


def _fold(exchanges: list[Exchange]) -> list[Turn]:
    """One turn for a call and the very same call as further gateways passed it on."""
    known = {exchange.record.call.id: exchange for exchange in exchanges}
    homes: dict[str, str] = {}
    served: dict[str, list[str]] = {}
    for exchange in exchanges:
        id = exchange.record.call.id
        parent = known.get(exchange.record.call.who.parent_call)
        home = id
        if parent is not None and parent.keys == exchange.keys and parent.reply_key == exchange.reply_key:
            home = homes.get(parent.record.call.id, id)
        homes[id] = home
        served.setdefault(home, []).append(id)
    return [Turn(known[home], tuple(calls)) for home, calls in served.items()]


def _continued(threads: list[list[Turn]], exchange: Exchange) -> list[Turn] | None:
    """The thread whose last reply stands where `exchange` goes on; one with other words in that place
    (clients trim what they got) only if no thread fits better."""
    altered = None
    for thread in reversed(threads):
        last = thread[-1].exchange
        place = len(last.keys)
        if len(exchange.keys) <= place or exchange.keys[:place] != last.keys:
            continue
        if exchange.keys[place] == last.reply_key:
            return thread
        if altered is None and exchange.messages[place].role == "assistant":
            altered = thread
    return altered
