"""A compound pipeline in plain LangGraph: classify, extract, call a tool, summarise. A controller does the first step.

    python examples/play.py pipeline        # learns the controller in seconds, then sorts five requests

or step by step, with `python examples/simulated.py` in another terminal:

    export PYTHONPATH=examples
    python examples/pipeline_texts.py > texts.jsonl
    trimtab learn pipeline --kind classify --from texts.jsonl --mode linear -c examples/workflows.toml
    trimtab controllers enable pipeline/classify -c examples/workflows.toml
    trimtab run pipeline -c examples/workflows.toml --input '{"text": "Where is my order FW-34550?"}'

To the graph the controller is nothing: `classify` asks a model as ever. Where the controller is sure, the house answers
with zero tokens; where it is not, as with a text that is like none it learned from, the model is asked. Without a
controller the same graph runs on the model alone. Model and shop are simulated.
"""

import json
from typing import Any, TypedDict

import shop
from clerk_client import ask
from langgraph.graph import END, START, StateGraph

from trimtab.workflows import idempotency_key

KINDS = ("delivery", "refund", "cancel", "stock")


class Request(TypedDict, total=False):
    text: str
    kind: str
    facts: dict[str, str]
    found: dict[str, Any]
    summary: str


async def classify(state: Request) -> Request:
    """The text alone is the user's message: it is what the controller learned from."""
    said = await ask(f"Label the request with one word: {', '.join(KINDS)} or other.", state["text"])
    return {"kind": said if said in KINDS else "other"}


async def extract(state: Request) -> Request:
    said = await ask(
        'Extract JSON: {"order": "FW-...", "product": "..."}; empty where not named.', state["text"]
    )
    named = json.loads(said)
    return {"facts": {name: str(named.get(name, "")) for name in ("order", "product")}}


def look_up(state: Request) -> Request:
    """The tool that the kind and the facts call for; a plain function, so it runs in a thread of the pool."""
    order, product = state["facts"]["order"], state["facts"]["product"]
    if state["kind"] == "stock" and product:
        return {"found": json.loads(shop.use("search_products", {"words": product}, idempotency_key()))}
    if state["kind"] in KINDS and order:
        return {"found": json.loads(shop.use("get_order", {"order_id": order}, idempotency_key()))}
    return {"found": {}}


async def summarise(state: Request) -> Request:
    found = json.dumps(state["found"], separators=(",", ":"))
    text = f"Kind: {state['kind']}\nRequest: {state['text']}\nFound: {found}"
    return {"summary": await ask("Summarise the request for the desk in one line.", text)}


builder = StateGraph(Request)
builder.add_node("classify", classify)
builder.add_node("extract", extract)
builder.add_node("look_up", look_up)
builder.add_node("summarise", summarise)
builder.add_edge(START, "classify")
builder.add_edge("classify", "extract")
builder.add_edge("extract", "look_up")
builder.add_edge("look_up", "summarise")
builder.add_edge("summarise", END)
graph = builder.compile()
