"""Recorded runs of a small workflow, to try `trimtab learn` on: a model says in one word what a request is about.

    python examples/triage_runs.py > runs.jsonl

Two agents did the same tasks; the cheaper one is right less often. See docs/controllers.md for what comes next.
"""

import json
import sys
from itertools import count, product
from random import Random

INTENTS = {
    "billing": ("the invoice of last month", "a charge I do not know", "my receipt", "the price of my plan"),
    "delivery": ("my parcel", "the courier", "the tracking number", "a late shipment"),
    "account": ("my password", "the login", "my email address", "two-factor sign-in"),
}
BEGINS = (
    "Please help with",
    "I have a question about",
    "Something is wrong with",
    "Could you look at",
    "What about",
)
ENDS = ("", "today", "once more", "for my sister", "as soon as you can")
AGENTS = {"big-model": (0.004, 1.0), "small-model": (0.0002, 0.9)}


def main() -> None:
    """One line a run."""
    random = Random(7)
    runs = count(1)
    for (intent, things), begin, end in product(INTENTS.items(), BEGINS, ENDS):
        text = f"{begin} {random.choice(things)} {end}".strip()
        for agent, (usd, skill) in AGENTS.items():
            right = random.random() < skill
            said = intent if right else random.choice([other for other in INTENTS if other != intent])
            recorded = line(f"{begin} {end}", agent, text, said, usd, right)
            sys.stdout.write(json.dumps({"run": f"r{next(runs)}"} | recorded) + "\n")


def line(task: str, agent: str, text: str, said: str, usd: float, right: bool) -> dict[str, object]:
    """A recorded run as docs/traces.md describes it."""
    reply = {"role": "assistant", "content": said, "step": "classify", "cost_usd": usd}
    return {
        "agent": agent, "domain": "triage", "task": task, "trial": 0, "reward": float(right), "agent_cost_usd": usd,
        "messages": [
            {"role": "system", "content": "Say in one word what this is about."},
            {"role": "user", "content": text},
            reply | {"usage": {"prompt_tokens": 30, "completion_tokens": 1}},
        ],
    }  # fmt: skip


if __name__ == "__main__":
    main()
