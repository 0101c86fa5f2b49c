"""A chat as users write it, for tests of threads and runs: it greets, may ask, and answers through a model."""

import asyncio
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage
from langchain_openai import ChatOpenAI
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.types import interrupt

model = ChatOpenAI(model="gpt-small", max_tokens=50)
held: dict[str, Any] = {}


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    mood: str


async def greet(state):
    get_stream_writer()({"seen": len(state["messages"])})
    return {"mood": "kind"}


async def reply(state):
    return {"messages": [await model.ainvoke(state["messages"])]}


async def ask(state):
    answer = interrupt({"question": "may I?"})
    return {"mood": str(answer)}


async def stand(state):
    """Wait as long as the test lets it."""
    held["arrived"].set()
    await held["go"].wait()
    return {"mood": "patient"}


async def fall(state):
    raise ValueError("it is broken")


def one_after_another(*nodes):
    graph, before = StateGraph(State), START
    for node in nodes:
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    graph.add_edge(before, END)
    return graph.compile()


chat = one_after_another(greet, reply)
asking = one_after_another(greet, ask)
standing = one_after_another(stand)
falling = one_after_another(greet, fall)


def hold():
    held.update(arrived=asyncio.Event(), go=asyncio.Event())
    return held
