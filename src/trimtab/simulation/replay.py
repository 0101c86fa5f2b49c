"""A recorded run played again: every call it made, in order, with the conversation as it was then.

The cassette answers; this side checks that each reply comes back as recorded and tells the recorded reward.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from trimtab.simulation.chat import ChatBody, Reply
from trimtab.simulation.door import Identity
from trimtab.simulation.records import Domain, RecordedRun, read_domains, read_threads, slug
from trimtab.simulation.traffic import Desk, Finish
from trimtab.simulation.transcript import calls_of, tools_of


class ReplayRun(msgspec.Struct, frozen=True):
    """One recorded run to play again, its threads one after the other."""

    identity: Identity
    threads: tuple[RecordedRun, ...]
    domain: Domain | None

    async def play(self, desk: Desk) -> Finish | None:
        """Makes the recorded calls; None where one was refused or failed."""
        altered = 0
        for thread in self.threads:
            tools = tools_of(thread, self.domain)
            for call in calls_of(thread, self.domain):
                body = ChatBody(call.model, call.messages, tools, trimtab_cassette=call.key)
                reply = await desk.ask(call.step, body)
                if reply is None:
                    return None
                altered += not same_reply(reply, call.reply)
        first = self.threads[0]
        reason = f"recorded reward; the recorded run ended with {first.end or 'nothing said'}"
        return Finish(first.reward, "recorded", reason, altered)


def same_reply(got: Reply, recorded: Reply) -> bool:
    """Whether content, tool calls and finish are those recorded, and usage too where it was recorded."""
    if recorded.usage is not None and got.usage != recorded.usage:
        return False
    return msgspec.structs.replace(got, usage=None) == msgspec.structs.replace(recorded, usage=None)


def replay_runs(
    path: Path, tenant: str, key: str, agents: tuple[str, ...] = (), prefix: str = ""
) -> Iterator[ReplayRun]:
    """Yields a file's runs (of these agents; none named means all), reading as it goes. Raises DataError.

    Runs without any call are left out. Workflow is the recorded domain; the user is the task's where nobody
    recorded more.
    """
    domains = read_domains(path)
    for threads in read_threads(path, agents):
        first, domain = threads[0], domains.get(threads[0].domain)
        if not any(True for thread in threads for _ in calls_of(thread, domain)):
            continue
        user = first.user or slug(f"user-{first.task}")
        run = prefix + first.run_id
        yield ReplayRun(
            Identity(run, first.domain, tenant, user, key, first.task, first.agent), threads, domain
        )
