"""Graphs as users write them: plain LangGraph, OpenAI's SDK and langchain-openai as they come."""

import asyncio
import operator
import os
import threading
from pathlib import Path
from typing import Annotated, TypedDict

import httpx2
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt
from openai import AsyncOpenAI, OpenAI

from trimtab.client import async_transport, transport
from trimtab.client import run as client_run
from trimtab.client import step as client_step
from trimtab.workflows import idempotency_key

chat = ChatOpenAI(model="gpt-small", max_tokens=50)
sdk, plain_sdk = AsyncOpenAI(), OpenAI()
ASK = {"model": "gpt-small", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello?"}]}


class State(TypedDict):
    log: Annotated[list, operator.add]


def in_a_row(**nodes):
    """A graph of nodes one after the other."""
    return row_of(State, **nodes)


def row_of(state, **nodes):
    """The same, of another state."""
    graph = StateGraph(state)
    before = START
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    graph.add_edge(before, END)
    return graph


async def langchain(state):
    return {"log": [(await chat.ainvoke("Hello?")).content]}


def langchain_in_a_thread(state):
    assert threading.current_thread().name.startswith("nodes")
    return {"log": [chat.invoke("Hello?").content]}


async def langchain_stream(state):
    return {"log": ["".join([piece.content async for piece in chat.astream("Hello?")])]}


def langchain_stream_in_a_thread(state):
    return {"log": ["".join(piece.content for piece in chat.stream("Hello?"))]}


async def openai(state):
    return {"log": [(await sdk.chat.completions.create(**ASK)).choices[0].message.content]}


def openai_in_a_thread(state):
    return {"log": [plain_sdk.chat.completions.create(**ASK).choices[0].message.content]}


everything = in_a_row(
    langchain=langchain,
    langchain_in_a_thread=langchain_in_a_thread,
    langchain_stream=langchain_stream,
    langchain_stream_in_a_thread=langchain_stream_in_a_thread,
    openai=openai,
    openai_in_a_thread=openai_in_a_thread,
    outer=in_a_row(inner=openai).compile(),
).compile()


async def client(state):
    """What agents outside do with our client stays as it is in a node; run and step are the node's own."""
    async with httpx2.AsyncClient(transport=async_transport()) as http:
        with client_run("other", user="eve"), client_step("mine"):
            reply = await AsyncOpenAI(http_client=http).chat.completions.create(**ASK)
    return {"log": [reply.choices[0].message.content]}


def client_in_a_thread(state):
    with httpx2.Client(transport=transport()) as http, client_run("other", user="eve"), client_step("mine"):
        reply = OpenAI(http_client=http).chat.completions.create(**ASK)
    return {"log": [reply.choices[0].message.content]}


by_our_client = in_a_row(client=client, client_in_a_thread=client_in_a_thread)


async def names_its_call(state):
    reply = await sdk.chat.completions.create(**ASK, extra_headers={"Idempotency-Key": "mine"})
    return {"log": [reply.choices[0].message.content]}


naming = in_a_row(names_its_call=names_its_call)
naming_nothing = in_a_row(openai=openai)


in_sequence = in_a_row(
    sequence=(lambda state: "Hello?")
    | RunnableLambda(lambda text: text)
    | chat
    | (lambda said: {"log": [said.content]})
)


async def blocks(state):
    return {"log": [chat.invoke("Hello?").content]}


blocking = in_a_row(blocks=blocks)


async def outside(state):
    seen = []

    def work():
        try:
            seen.append(plain_sdk.with_options(max_retries=0).chat.completions.create(**ASK))
        except Exception as error:
            seen.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(thread.join)
    return {"log": [str(seen[0])]}


strayed = in_a_row(outside=outside)


async def first(state):
    return {"log": ["first"]}


async def fails_once(state):
    mark = Path(os.environ["MARKS"]) / "failed"
    if not mark.exists():
        mark.touch()
        raise ValueError("this once")
    return {"log": ["second"]}


failing = in_a_row(first=first, second=fails_once)


async def cancels_itself(state):
    raise asyncio.CancelledError


cancelling = in_a_row(first=first, cancels_itself=cancels_itself)


async def asks(state):
    return {"log": [interrupt({"refund": 20})]}


asking = in_a_row(first=first, asks=asks)


async def asks_twice(state):
    asked = {"asked_of": "ada", "due_seconds": 60, "escalate_to": "bob"}
    return {"log": [interrupt(asked), interrupt("and then?")]}


async def asks_soon(state):
    return {"log": [interrupt({"asked_of": "ada", "due_seconds": 0.05, "escalate_to": "bob"})]}


asking_soon = in_a_row(asks=asks_soon)

side_by_side = StateGraph(State)
for name, node in {"left": asks, "right": asks_twice}.items():
    side_by_side.add_node(name, node)
    side_by_side.add_edge(START, name)
    side_by_side.add_edge(name, END)


def note(line):
    """An effect outside of any store."""
    with open(os.environ["EFFECTS"], "a") as log:
        log.write(f"{line}\n")


async def effect(name, seconds=0.0):
    note(f"begin {name}")
    note(f"key {name}: {idempotency_key()}")
    await sdk.chat.completions.create(**ASK)
    await asyncio.sleep(seconds)
    note(f"end {name}")
    return {"log": [name]}


async def plan(state):
    return await effect("plan")


async def work(state):
    return await effect(f"work {state['number']}", float(os.environ["SLOW"]) * (state["number"] == 5))


async def gather(state):
    return await effect("gather")


def fan_out():
    """A factory."""
    graph = StateGraph(State)
    for node in (plan, work, gather):
        graph.add_node(node)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", lambda _: [Send("work", {"number": n}) for n in range(6)], ["work"])
    graph.add_edge("work", "gather")
    graph.add_edge("gather", END)
    return graph.compile()


unconnected = StateGraph(State)
unconnected.add_edge("nowhere", END)
not_a_graph = {"log": []}


def needs_something(what):
    return everything


def breaks():
    raise LookupError("no such prompt")
