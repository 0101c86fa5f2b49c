"""Graphs whose nodes have retries, time limits and threads, as LangGraph has them."""

import operator
import time
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, Send
from openai import AsyncOpenAI

from trimtab.workflows import idempotency_key

sdk = AsyncOpenAI()
ASK = {"model": "gpt-small", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello?"}]}
seen: list[str] = []


class State(TypedDict):
    log: Annotated[list, operator.add]


def one(node, **how):
    graph = StateGraph(State)
    graph.add_node("node", node, **how)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph


async def fails_twice(state):
    seen.append(idempotency_key())
    if len(seen) < 3:
        raise ConnectionError("not yet")
    return {"log": [len(seen)]}


retried = one(
    fails_twice, retry_policy=RetryPolicy(initial_interval=0.01, max_attempts=3, retry_on=ConnectionError)
)


async def calls(state):
    return {"log": [(await sdk.chat.completions.create(**ASK)).choices[0].message.content]}


timed = one(calls, timeout=0.2)


def sleeps(state):
    time.sleep(0.2)
    return {"log": [1]}


threads = StateGraph(State)
threads.add_node("sleeps", sleeps)
threads.add_conditional_edges(START, lambda _: [Send("sleeps", {"log": []})] * 6, ["sleeps"])


async def remembers(state, *, store):
    await store.aput(("notes",), "n", {"text": "hello"})
    return {"log": [item.value["text"] for item in await store.asearch(("notes",))]}


storing = one(remembers)


async def leaves(state):
    raise SystemExit(3)


def leaves_in_a_thread(state):
    raise SystemExit(4)


leaving, leaving_in_a_thread = one(leaves), one(leaves_in_a_thread)


async def says_what_no_store_takes(state):
    raise ValueError("\udcff and \0")


unsayable = one(says_what_no_store_takes)
