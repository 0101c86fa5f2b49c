"""A demo run: a scripted customer, an agent that asks its model through the gateway, and the shop's tools."""

from collections.abc import Mapping

import msgspec

from trimtab.simulation.chat import ChatBody, Message
from trimtab.simulation.door import Identity
from trimtab.simulation.support import POLICY, open_shop
from trimtab.simulation.support_tools import declare_tools, use_tool
from trimtab.simulation.traffic import Desk, Finish
from trimtab.simulation.transcript import step_of
from trimtab.simulation.users import ScriptedUser, Task, judge, make_tasks

WORKFLOW = "parts-support"
_MOST_CALLS = 24


class DemoRun(msgspec.Struct, frozen=True):
    """One task played with one model (a name the gateway knows)."""

    identity: Identity
    task: Task
    model: str
    seed: int
    tools: msgspec.Raw

    async def play(self, desk: Desk) -> Finish | None:
        """Talks until the customer leaves, then judges the shop; None where a call was refused or failed."""
        shop = open_shop(self.seed)
        user = ScriptedUser(self.task)
        said: list[str] = []
        messages = [Message("system", POLICY), Message("user", user.open())]
        for _ in range(_MOST_CALLS):
            context = tuple(messages)
            reply = await desk.ask(step_of(context), ChatBody(self.model, context, self.tools))
            if reply is None:
                return None
            messages.append(Message("assistant", reply.content, reply.tool_calls))
            for call in reply.tool_calls:
                result = use_tool(shop, call.function.name, call.function.arguments)
                messages.append(Message("tool", result, tool_call_id=call.id))
            if reply.tool_calls:
                continue
            said.append(reply.content or "")
            answer = user.answer(said[-1])
            if answer is None:
                break
            messages.append(Message("user", answer))
        judged = judge(self.task, self.seed, shop, said)
        return Finish(judged.reward, "demo-judge", judged.reason)


def demo_runs(
    count: int, seed: int, model: str, keys: Mapping[str, str], prefix: str = "demo"
) -> list[DemoRun]:
    """`count` runs of seeded tasks. `keys`: the API key of each tenant. Raises KeyError where one lacks."""
    tools = declare_tools()
    return [
        DemoRun(_identity(task, seed, keys[task.tenant], prefix), task, model, seed, tools)
        for task in make_tasks(count, seed)
    ]


def _identity(task: Task, seed: int, key: str, prefix: str) -> Identity:
    run = f"{prefix}-{seed}-{task.number:04d}"
    return Identity(run, WORKFLOW, task.tenant, task.customer_id, key, f"visit-{seed}-{task.number:04d}")
