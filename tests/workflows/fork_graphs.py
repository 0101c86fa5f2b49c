"""Graphs to fork: rows of steps, a fan-out with a step that fails, a question inside a subgraph."""

import asyncio
import operator
import os
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from .own_graphs import ASK, note, row_of, sdk


class State(TypedDict, total=False):
    tone: str
    log: Annotated[list, operator.add]


async def plan(state):
    note("plan")
    return {"log": ["plan"], "tone": state.get("tone", "kind")}


async def write(state):
    note("write")
    await sdk.chat.completions.create(**ASK)
    return {"log": [f"write {state['tone']}"]}


async def send(state):
    note("send")
    return {"log": ["send"]}


async def wait(state):
    note("wait")
    while not Path(os.environ["EFFECTS"]).with_name("go").exists():
        await asyncio.sleep(0.02)
    return {"log": ["wait"]}


patient = row_of(State, plan=plan, wait=wait, send=send)
letter = row_of(State, plan=plan, write=write, send=send)


def side(name):
    async def node(state):
        note(name)
        mark = Path(os.environ["EFFECTS"]).with_suffix(f".{name}")
        if name == "c" and not mark.exists():
            mark.touch()
            raise ValueError("this once")
        return {"log": [name]}

    return node


fanned = StateGraph(State)
for name in "abc":
    fanned.add_node(name, side(name))
    fanned.add_edge(START, name)
fanned.add_node("join", send)
fanned.add_edge(["a", "b", "c"], "join")
fanned.add_edge("join", END)


async def asks(state):
    return {"log": [interrupt("approve?")]}


nested = row_of(State, plan=plan, outer=row_of(State, write=write, asks=asks).compile())
shorter = row_of(State, plan=plan, send=send)
