"""A research graph in plain LangGraph: plan, read the chosen sources side by side, write, and let a critic look once.

    python examples/play.py research        # one question, its answer, and the run's critical path

or, with `python examples/simulated.py` in another terminal:

    PYTHONPATH=examples trimtab run research -c examples/workflows.toml --json \\
      --input '{"question": "How does a trim tab turn a rudder, and who made a metaphor of it?"}' \\
      | python examples/critical_path.py

The sources are a few sentences of our own. The model is simulated: it copies sentences, it understands nothing.
"""

import operator
from typing import Annotated, Literal, TypedDict

from clerk_client import ask
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

MOST_ROUNDS = 2
SOURCES = {
    "The rudder": "A rudder is a plate behind the stern of a ship. Water that strikes it from the side pushes the "
    "stern away, and the ship turns. On a large ship the force on it is far beyond what people could hold by hand.",
    "The trim tab": "A trim tab is a small flap on the trailing edge of a rudder. Turned one way, it lowers the "
    "pressure on one side, and the water turns the rudder the other way. Little force on the tab moves a plate many "
    "times its size. Aircraft have tabs of the same kind on elevators, ailerons and rudders, where they take the "
    "steady load off the pilot's hands, so that an aircraft flies level without being held.",
    "Servo tabs": "A servo tab moves against its surface and does the work for the pilot, who moves the tab alone. "
    "Large aircraft had them before hydraulic power was common.",
    "Steering engines": "From the nineteenth century on, steam engines and later hydraulic rams moved what hands "
    "could not. Their followers keep the angle that the helm asks for.",
    "Buckminster Fuller": "Buckminster Fuller made a metaphor of the small flap: one person may turn a great thing, "
    "as the tab turns the ship. The words 'Call me Trimtab' stand on the gravestone of Fuller and his wife.",
    "Inertia": "A loaded tanker that is stopped by its engines alone runs on for miles. Its helmsman acts long "
    "before the bow answers.",
}


class Research(TypedDict, total=False):
    question: str
    rounds: int
    chosen: list[str]
    read: Annotated[list[str], operator.add]
    notes: Annotated[list[str], operator.add]
    answer: str
    missing: str


class Source(TypedDict):
    question: str
    name: str


async def plan(state: Research) -> Research:
    """Choose among the sources that were not read yet."""
    unread = [name for name in SOURCES if name not in state.get("read", [])]
    names = "\n".join(f"- {name}" for name in unread)
    wanted = state.get("missing") or state["question"]
    said = await ask(
        "Choose the sources that help. Reply with their names, one a line.",
        f"Question: {wanted}\nSources:\n{names}",
    )
    chosen = [name for name in unread if name in said.splitlines()]
    return {"chosen": chosen or unread, "rounds": state.get("rounds", 0) + 1}


def fan_out(state: Research) -> list[Send]:
    return [Send("read", Source(question=state["question"], name=name)) for name in state["chosen"]]


async def read(state: Source) -> Research:
    """One source; as many of these run side by side as were chosen."""
    said = await ask(
        "Quote the sentences of the passage that help to answer, word for word; NONE if there are none.",
        f"Question: {state['question']}\nPassage:\n{SOURCES[state['name']]}",
    )
    notes = [] if said.strip() == "NONE" else [f"{said} [{state['name']}]"]
    return {"read": [state["name"]], "notes": notes}


async def write(state: Research) -> Research:
    notes = "\n".join(f"- {note}" for note in state["notes"])
    said = await ask(
        "Write an answer out of the notes, each with its source in brackets.",
        f"Question: {state['question']}\nNotes:\n{notes}",
    )
    return {"answer": said}


async def critic(state: Research) -> Research:
    said = await ask(
        "Check the answer. Reply OK, or name what of the question it leaves out.",
        f"Question: {state['question']}\nAnswer: {state['answer']}",
    )
    return {"missing": "" if said.strip() == "OK" else said}


def after_critic(state: Research) -> Literal["plan", "__end__"]:
    """Back to the plan once at most, and only where something is left to read."""
    more = state["missing"] and state["rounds"] < MOST_ROUNDS and len(state["read"]) < len(SOURCES)
    return "plan" if more else "__end__"


builder = StateGraph(Research)
builder.add_node("plan", plan)
builder.add_node("read", read, input_schema=Source)
builder.add_node("write", write)
builder.add_node("critic", critic)
builder.add_edge(START, "plan")
builder.add_conditional_edges("plan", fan_out, ["read"])
builder.add_edge("read", "write")
builder.add_edge("write", "critic")
builder.add_conditional_edges("critic", after_critic, ["plan", END])
graph = builder.compile()
