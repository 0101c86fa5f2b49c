"""A graph that keeps what it is told in its store, for tests that look at it from outside."""

from typing import TypedDict

from langgraph.graph import StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore


class State(TypedDict):
    word: str
    before: list


class Settings(TypedDict):
    place: str


async def keep(state: State, runtime: Runtime[Settings], *, store: BaseStore):
    place = (runtime.context or {}).get("place", "nowhere")
    before = [found.value["word"] for found in await store.asearch((place,))]
    await store.aput((place,), state["word"], {"word": state["word"]})
    return {"before": before}


graph = StateGraph(State, context_schema=Settings).add_node(keep).add_edge("__start__", "keep").compile()
