"""Plays an example from end to end, in one process and without a key: the models are simulated.

python examples/play.py support|research|pipeline
"""

import asyncio
import io
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from critical_path import links_of, report
from pipeline_texts import rows
from simulated import CONFIG, settings_text, staged

from trimtab.app import House
from trimtab.cli import app as trimtab
from trimtab.store import WorkflowRunRow
from trimtab.traces import find_run, read_tree, standing_of, tree_json
from trimtab.workflows import Host, Inbox, Order

WISH = (
    "Could you refund the Curlew saddle of my order FW-34550? My email is mara.gruber@mail.example.",
    {"customer": "Yes, please.", "support-lead": {"decision": "edit", "value": {"refund_cents": 5_000}}},
)
QUESTION = "How does a trim tab turn a rudder, and who made a metaphor of it?"
REQUESTS = (
    "Where is my order FW-34550?",
    "Hello, do you have the Curlew saddle in stock?",
    "Please cancel my order FW-31474",
    "Could you refund the Merlin rear light of my order FW-31474?",
    "Please call off FW-34550",
)


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def begin(house: House, workflow: str, given: dict[str, Any]) -> WorkflowRunRow:
    """A new run, driven until it ends or waits."""
    host = host_of(house)
    order = Order(workflow, json.dumps(given).encode(), user="ada")
    return await host.wait((await host.start(order)).id)


def host_of(house: House) -> Host:
    assert house.workflows is not None
    return house.workflows


async def tree_of(house: House, run: str) -> dict[str, Any]:
    """A run's tree as GET /v1/runs/RUN tells it."""
    await house.writer.flush()
    found = find_run(house.database, run, "default", standing_of(house.settings, house.clock.now()))
    return tree_json(read_tree(house.database, found))


async def support(data: Path) -> None:
    """A refund: the customer agrees, a colleague sets the amount."""
    wish, answers = WISH
    async with staged(data) as house:
        host, inbox = host_of(house), Inbox(house.database)
        run = await begin(house, "support", {"messages": [{"role": "user", "content": wish}]})
        while run.state == "waiting":
            (question,) = await inbox.open_of(run.id)
            answer = json.dumps(answers[question.asked_of])
            tell(f"{question.asked_of} is asked: {question.value.decode()}\n  and answers: {answer}")
            await inbox.answer("default", run.id, question.id, answer.encode(), by="grace")
            await host.take(run.id)
            run = await host.wait(run.id)
        said = json.loads(run.output or b"{}")
        tell(f"{run.state} (simulated): {said['messages'][-1]['content']}")
        tell_costs(await tree_of(house, run.id))


async def research(data: Path) -> None:
    """A question, its answer, and where the time went."""
    async with staged(data) as house:
        run = await begin(house, "research", {"question": QUESTION})
        tell(f"{QUESTION}\n{json.loads(run.output or b'{}')['answer']}")
        tree = await tree_of(house, run.id)
        tell_costs(tree)
        tell(report(tree))


async def pipeline(data: Path) -> None:
    """Five requests: a controller labels what it knows, the simulated model the rest."""
    learn(data)
    async with staged(data) as house:
        for text in REQUESTS:
            run = await begin(house, "pipeline", {"text": text})
            tree = await tree_of(house, run.id)
            (label,) = [
                call for step in tree["steps"] if step["name"] == "classify" for call in step["calls"]
            ]
            by, usage = label["answered_by"], label["usage"]
            tokens = usage["input_tokens"] + usage["output_tokens"]
            tell(f"{json.loads(run.output or b'{}')['summary']}\n  labelled by the {by}: {tokens} tokens")
            tell_costs(tree)


def learn(data: Path) -> None:
    """Learn the controller of `pipeline` from texts of our own, and put it to work: two commands."""
    config, texts = data / "trimtab.toml", data / "texts.jsonl"
    config.write_text(settings_text("http://127.0.0.1:9", data))
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    learned = ["learn", "pipeline", "--kind", "classify", "--mode", "linear", "--from", str(texts)]
    for command in (learned, ["controllers", "enable", "pipeline/classify"]):
        with redirect_stdout(io.StringIO()) as said:
            trimtab([*command, "-c", str(config)], standalone_mode=False)
        tell(said.getvalue().splitlines()[-1])


def tell_costs(tree: dict[str, Any]) -> None:
    """What each step cost (at the simulated models' made-up prices)."""
    steps = ", ".join(f"{step['name']} ${step['usd']} ({len(step['calls'])})" for step in tree["steps"])
    tell(f"  run {tree['id']}: ${tree['usd']} (simulated prices), {len(links_of(tree))} calls: {steps}")


def main(name: str = "") -> None:
    """Play one."""
    acts = {"support": support, "research": research, "pipeline": pipeline}
    if name not in acts:
        sys.exit(f"usage: python {CONFIG.parent.name}/play.py {'|'.join(acts)}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("SHOP_FILE", f"{folder}/shop.sqlite")
        asyncio.run(acts[name](Path(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:2])
