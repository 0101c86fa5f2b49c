"""The graph that the storm drives: a plan, work side by side, a sum; every node notes outside of any store what it
does."""

import json
import operator
import os
import time
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from openai import AsyncOpenAI

from trimtab.workflows import idempotency_key

sdk = AsyncOpenAI()
WIDTH = 4


class State(TypedDict):
    log: Annotated[list, operator.add]


async def effect(name):
    """One node: it notes that it begins, lets the model generate, notes that it ends."""
    key = idempotency_key()
    note("begin", key, name)
    script = json.dumps({"prompt": 7, "tokens": 16, "delay": 0.05, "told": True, "pad": key})
    await sdk.chat.completions.create(
        model="small", max_tokens=16, messages=[{"role": "user", "content": script}]
    )
    note("end", key, name)
    return {"log": [name]}


def note(what, key, name):
    with open(os.environ["EFFECTS"], "a") as log:
        log.write(f"{time.time():.6f}\t{what}\t{key}\t{name}\n")


async def plan(state):
    return await effect("plan")


async def work(state):
    return await effect(f"work {state['number']}")


async def total(state):
    return await effect("total")


def storm():
    graph = StateGraph(State)
    for node in (plan, work, total):
        graph.add_node(node)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges(
        "plan", lambda _: [Send("work", {"number": number}) for number in range(WIDTH)], ["work"]
    )
    graph.add_edge("work", "total")
    graph.add_edge("total", END)
    return graph
