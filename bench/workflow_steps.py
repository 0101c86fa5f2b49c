"""The five trivial steps of `bench.workflows`, as plain LangGraph, and a node that makes one model call."""

import asyncio
import operator
import os
import time
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

STEPS = 5
begun: dict[str, float] = {}


class State(TypedDict):
    log: Annotated[list[int], operator.add]
    name: str


def _node(number: int) -> Any:
    async def step(state: State) -> dict[str, list[int]]:
        if number == 0 and state.get("name"):
            begun[state["name"]] = time.perf_counter()
        return {"log": [number]}

    return step


def five() -> Any:
    """The graph, not compiled."""
    graph, before = StateGraph(State), START
    for number in range(STEPS):
        graph.add_node(f"step{number}", _node(number))
        graph.add_edge(before, f"step{number}")
        before = f"step{number}"
    graph.add_edge(before, END)
    return graph


def slow() -> Any:
    """Two steps of 200 ms of waiting each, as steps that wait for a model."""

    async def step(state: State) -> dict[str, list[int]]:
        await asyncio.sleep(0.2)
        return {"log": [1]}

    graph = StateGraph(State)
    graph.add_sequence([("first", step), ("second", step)])
    graph.add_edge(START, "first")
    graph.add_edge("second", END)
    return graph


def calling() -> Any:
    """A graph of one node that calls a model as often as CALLS says and notes how long each call took."""
    from openai import AsyncOpenAI

    sdk = AsyncOpenAI()

    async def calls(state: State) -> dict[str, list[int]]:
        ask: Any = {"model": "small", "max_tokens": 8, "messages": [{"role": "user", "content": "Hello?"}]}
        took = []
        for _ in range(int(os.environ["CALLS"])):
            begin = time.perf_counter()
            await sdk.chat.completions.create(**ask)
            took.append(int(1e9 * (time.perf_counter() - begin)))
        return {"log": took}

    graph = StateGraph(State)
    graph.add_node("calls", calls)
    graph.add_edge(START, "calls")
    graph.add_edge("calls", END)
    return graph
