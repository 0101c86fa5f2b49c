"""A support agent in plain LangGraph: it looks things up, asks the customer, and has refunds approved by a person.

    python examples/play.py support         # one refund from the first word to the money, in one process

or step by step, each command a process of its own (`python examples/simulated.py` runs in another terminal):

    export PYTHONPATH=examples
    trimtab run support -c examples/workflows.toml --input '{"messages": [{"role": "user", "content":
      "Could you refund the Curlew saddle of my order FW-34550? My email is mara.gruber@mail.example."}]}'
    trimtab run -c examples/workflows.toml --resume RUN --answer '"Yes, please."'
    trimtab run -c examples/workflows.toml --resume RUN --answer '{"decision": "approve"}'

The last may also be {"decision": "edit", "value": {"refund_cents": 2000}} or {"decision": "reject", "reason": "worn"}.
The customers, the shop and the model are simulated.
"""

import json
from typing import Annotated, Any, Literal, TypedDict

import shop
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt

from trimtab.workflows import idempotency_key

MODEL = "sim-large"
FREE_CENTS = 1_000
"""Refunds up to so much are paid without asking anybody."""
_CLOSING = "anything else I can do for you?"


class Talk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    decision: dict[str, Any]
    refunded_cents: int


async def agent(state: Talk) -> Talk:
    """The model's next move."""
    model = ChatOpenAI(model=MODEL, max_completion_tokens=400).bind_tools(
        shop.tools(), parallel_tool_calls=False
    )
    return {"messages": [await model.ainvoke([SystemMessage(shop.POLICY), *state["messages"]])]}


def after_agent(state: Talk) -> Literal["approve", "tools", "listen", "__end__"]:
    last = _last(state)
    if last.tool_calls:
        return "approve" if any(call["name"] == "refund_item" for call in last.tool_calls) else "tools"
    said = last.text.rstrip()
    return "listen" if said.endswith("?") and not said.endswith(_CLOSING) else "__end__"


def tools(state: Talk) -> Talk:
    """Lookups and changes that need no approval."""
    return {
        "messages": [
            ToolMessage(
                shop.use(call["name"], call["args"], f"{idempotency_key()}:{call['id']}"),
                tool_call_id=call["id"],
            )
            for call in _last(state).tool_calls
        ]
    }


def listen(state: Talk) -> Talk:
    """What the customer says to the agent's question."""
    answer = interrupt({"asked_of": "customer", "said": _last(state).text})
    return {"messages": [HumanMessage(str(answer))]}


def approve(state: Talk) -> Talk:
    """Nobody pays more than a little without a person's word. An answer that makes no sense is asked for again."""
    wanted = _refund(state)
    item = shop.find_item(**wanted)
    price = item.price_cents if item is not None else 0
    if price <= FREE_CENTS:
        return {"decision": {"decision": "approve", "value": {"refund_cents": price}}}
    asked: dict[str, Any] = {
        "asked_of": "support-lead",
        "due_seconds": 4 * 3600,
        "escalate_to": "head-of-support",
        "refund_cents": price,
        "answers": ["approve", "edit", "reject"],
    }
    answer = interrupt(asked | wanted)
    while (decision := _decision(answer, price)) is None:
        problem = f'{{"decision": ...}} with one of `answers`; edit needs {{"value": {{"refund_cents": 1..{price}}}}}'
        answer = interrupt(asked | wanted | {"problem": problem})
    return {"decision": decision}


def _decision(answer: object, price: int) -> dict[str, Any] | None:
    """An answer with the amount it stands for; None where it is none."""
    match answer:
        case {"decision": "approve"}:
            return {"decision": "approve", "value": {"refund_cents": price}}
        case {"decision": "edit", "value": {"refund_cents": int(cents)}} if 0 < cents <= price:
            return {"decision": "edit", "value": {"refund_cents": cents}}
        case {"decision": "reject", **more}:
            return {"decision": "reject", "reason": str(more.get("reason") or "no reason given")}
    return None


def pay(state: Talk) -> Command[Literal["agent", "__end__"]]:
    """Do what was decided, once, however often this node is driven."""
    call, decision = _last(state).tool_calls[0], state["decision"]
    if decision["decision"] == "reject":
        told = json.dumps({"error": f"a colleague declined the refund: {decision['reason']}"})
        return Command(goto="agent", update={"messages": [ToolMessage(told, tool_call_id=call["id"])]})
    cents = decision["value"]["refund_cents"]
    told = shop.refund(**_refund(state), cents=cents, key=idempotency_key())
    messages: list[AnyMessage] = [ToolMessage(told, tool_call_id=call["id"])]
    if told.startswith('{"error"'):
        return Command(goto="agent", update={"messages": messages})
    if decision["decision"] == "edit":
        # The model knows the list price only: an amount that a person set is told by code.
        messages.append(
            AIMessage(f"A colleague looked at it: {cents / 100:.2f} EUR are on their way back to you.")
        )
    goto: Literal["agent", "__end__"] = "__end__" if decision["decision"] == "edit" else "agent"
    return Command(goto=goto, update={"messages": messages, "refunded_cents": cents})


def _last(state: Talk) -> AIMessage:
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    return last


def _refund(state: Talk) -> dict[str, str]:
    arguments = _last(state).tool_calls[0]["args"]
    return {name: str(arguments.get(name, "")) for name in ("order_id", "sku")}


builder = StateGraph(Talk)
for node in (agent, tools, listen, approve, pay):
    builder.add_node(node.__name__, node)
builder.add_edge(START, "agent")
builder.add_conditional_edges("agent", after_agent)
builder.add_edge("tools", "agent")
builder.add_edge("listen", "agent")
builder.add_edge("approve", "pay")
graph = builder.compile()
