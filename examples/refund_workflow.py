"""A plain LangGraph graph, hosted: `graph` in trimtab.toml names it, `trimtab run refunds` runs it durably.

Run as a script it needs no key: python examples/refund_workflow.py asks the simulated expert, waits for an approval,
gives it, and prints what it cost by step.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

LIMIT_USD = 50.0


class Refund(TypedDict, total=False):
    wish: str
    amount_usd: float
    summary: str
    approved: bool
    reply: str


def model() -> ChatOpenAI:
    """Made in the node: where it asks is the house's to say."""
    return ChatOpenAI(model="sim-small", max_tokens=200)


async def read(state: Refund) -> Refund:
    answer = await model().ainvoke(f"Summarise: {state['wish']}")
    return {"summary": str(answer.content)}


def approve(state: Refund) -> Refund:
    if state["amount_usd"] <= LIMIT_USD:
        return {"approved": True}
    asked = {"asked_of": "support-lead", "due_seconds": 3600, "refund_usd": state["amount_usd"]}
    return {"approved": bool(interrupt(asked))}


async def answer(state: Refund) -> Refund:
    said = "granted" if state["approved"] else "declined"
    told = await model().ainvoke(f"Tell the customer that the refund is {said}: {state['summary']}")
    return {"reply": str(told.content)}


builder = StateGraph(Refund)
builder.add_node("read", read)
builder.add_node("approve", approve)
builder.add_node("answer", answer)
builder.add_edge(START, "read")
builder.add_edge("read", "approve")
builder.add_edge("approve", "answer")
builder.add_edge("answer", END)
graph = builder.compile()

SETTINGS = """
[server]
data = "{data}"
[[endpoint]]
name = "simulated"
url = "{url}/v1"
models = ["sim-small"]
price = {{ input = 1.0, output = 2.0 }}
[workflow.refunds]
graph = "refund_workflow:graph"
"""


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def main(data: Path) -> None:
    """One run that needs an approval."""
    from trimtab.app import open_house
    from trimtab.config import load_text
    from trimtab.simulation import LocalServer, expert_app
    from trimtab.store import Selection
    from trimtab.traces import cost_report
    from trimtab.workflows import Inbox, Order

    async with LocalServer(expert_app()) as expert:
        loaded = load_text(SETTINGS.format(data=data, url=expert.url), "", {})
        async with open_house(loaded) as house:
            host: Any = house.workflows
            wish = b'{"wish": "My order came broken, I want my money back.", "amount_usd": 80}'
            run = await host.wait((await host.start(Order("refunds", wish, user="ada"))).id)
            inbox = Inbox(house.database)
            (question,) = await inbox.open_questions("default")
            tell(f"run {run.id} is {run.state} for {question.asked_of}: {question.value.decode()}")
            await inbox.answer("default", run.id, question.id, b"true", by="grace")
            await host.take(run.id)
            run = await host.wait(run.id)
            tell(f"{run.state}: {run.output.decode()}")
            await house.writer.flush()
            for row in cost_report(house.database, ("run", "step"), Selection()).rows:
                tell(" ".join(row.fields))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
