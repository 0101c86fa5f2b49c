"""A recorded run played again: every call it made, in order, with the conversation as it was then.

The cassette answers; this side checks that each reply comes back as recorded and tells the recorded reward.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from trimtab.simulation.chat import ChatBody, Reply
from trimtab.simulation.door import Identity
from trimtab.simulation.records import Domain, RecordedRun, read_domains, read_runs, slug
from trimtab.simulation.traffic import Desk, Finish
from trimtab.simulation.transcript import calls_of, tools_json


class ReplayRun(msgspec.Struct, frozen=True):
    """One recorded run to play again."""

    identity: Identity
    recorded: RecordedRun
    domain: Domain | None

    async def play(self, desk: Desk) -> Finish | None:
        """Makes the recorded calls; None where one was refused or failed."""
        tools = tools_json(self.domain)
        altered = 0
        for call in calls_of(self.recorded, self.domain):
            body = ChatBody(call.model, call.messages, tools, trimtab_cassette=call.key)
            reply = await desk.ask(call.step, body)
            if reply is None:
                return None
            altered += not same_reply(reply, call.reply)
        reason = f"recorded reward; the recorded run ended with {self.recorded.end or 'nothing said'}"
        return Finish(self.recorded.reward, "recorded", reason, altered)


def same_reply(got: Reply, recorded: Reply) -> bool:
    """Whether content, tool calls and finish are those recorded, and usage too where it was recorded."""
    if recorded.usage is not None and got.usage != recorded.usage:
        return False
    return msgspec.structs.replace(got, usage=None) == msgspec.structs.replace(recorded, usage=None)


def replay_runs(
    path: Path, tenant: str, key: str, agents: tuple[str, ...] = (), prefix: str = ""
) -> Iterator[ReplayRun]:
    """Yields a file's runs (of these agents; none named means all), reading as it goes. Raises DataError.

    Workflow is the recorded domain; the user is the task's, for nobody recorded more.
    """
    domains = read_domains(path)
    for recorded in read_runs(path):
        if not agents or recorded.agent in agents:
            user = slug(f"user-{recorded.task}")
            who = Identity(prefix + recorded.id, recorded.domain, tenant, user, key)
            yield ReplayRun(who, recorded, domains.get(recorded.domain))
