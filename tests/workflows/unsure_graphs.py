"""Graphs whose model calls end unsure: plain LangGraph, every SDK as it comes."""

import operator
from typing import Annotated, TypedDict

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from openai import AsyncOpenAI, OpenAI

chat = ChatOpenAI(model="smart", max_tokens=50)
sdk, plain_sdk = AsyncOpenAI(), OpenAI()


class State(TypedDict):
    log: Annotated[list, operator.add]


def one(node):
    graph = StateGraph(State)
    graph.add_node("only", node)
    graph.add_edge(START, "only")
    graph.add_edge("only", END)
    return graph


def asked(text="Hello?"):
    return {"model": "smart", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}


async def openai(state):
    return {"log": [(await sdk.chat.completions.create(**asked())).choices[0].message.content]}


def openai_in_a_thread(state):
    return {"log": [plain_sdk.chat.completions.create(**asked()).choices[0].message.content]}


async def openai_streamed(state):
    stream = await sdk.chat.completions.create(**asked(), stream=True)
    return {
        "log": ["".join([piece.choices[0].delta.content or "" async for piece in stream if piece.choices])]
    }


async def responses(state):
    return {"log": [(await sdk.responses.create(model="smart", input="Hello?")).output_text]}


async def langchain(state):
    return {"log": [(await chat.ainvoke("Hello?")).content]}


def langchain_in_a_thread(state):
    return {"log": [chat.invoke("Hello?").content]}


async def langchain_streamed(state):
    return {"log": ["".join([piece.content async for piece in chat.astream("Hello?")])]}


async def asks_for_logprobs(state):
    return {"log": [(await sdk.chat.completions.create(**asked(), logprobs=True)).choices[0].message.content]}


with_logprobs = one(asks_for_logprobs)


async def in_a_router(state):
    return END if (await chat.ainvoke("Hello?")).content else "only"


by_openai, by_openai_in_a_thread, by_openai_streamed = (
    one(openai),
    one(openai_in_a_thread),
    one(openai_streamed),
)
by_responses, by_langchain = one(responses), one(langchain)
by_langchain_in_a_thread, by_langchain_streamed = one(langchain_in_a_thread), one(langchain_streamed)
by_subgraph = one(one(langchain_in_a_thread).compile())
by_sequence = one(
    (lambda state: {"text": "Hello?"})
    | ChatPromptTemplate.from_messages([("user", "{text}")])
    | chat
    | (lambda reply: {"log": [reply.content]})
)

routed = StateGraph(State)
routed.add_node("only", lambda state: {"log": ["only"]})
routed.add_edge(START, "only")
routed.add_conditional_edges("only", in_a_router)


async def calls_twice(state):
    first = await sdk.chat.completions.create(**asked("one"))
    said = interrupt("in between?")
    second = await sdk.chat.completions.create(**asked("two"))
    return {"log": [first.choices[0].message.content, said, second.choices[0].message.content]}


twice = one(calls_twice)


async def side_a(state):
    return {"log": [(await sdk.chat.completions.create(**asked("a"))).choices[0].message.content]}


async def side_b(state):
    return {"log": [(await sdk.chat.completions.create(**asked("b"))).choices[0].message.content]}


abreast = StateGraph(State)
for name, node in {"a": side_a, "b": side_b}.items():
    abreast.add_node(name, node)
    abreast.add_edge(START, name)
    abreast.add_edge(name, END)


@task
async def asks_a_model(text):
    return (await sdk.chat.completions.create(**asked(text))).choices[0].message.content


@entrypoint()
async def by_tasks(state):
    return {"log": [await asks_a_model("a"), await asks_a_model("b")]}


turns = iter(range(1_000_000))


async def never_the_same(state):
    text = f"number {next(turns)}"
    return {"log": [(await sdk.chat.completions.create(**asked(text))).choices[0].message.content]}


fickle = one(never_the_same)
