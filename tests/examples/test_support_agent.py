"""The support agent: refunds wait for a person, are paid once, and every call is charged to its run and step."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import shop
from typer.testing import CliRunner

from trimtab.cli import app
from trimtab.core.errors import Conflict
from trimtab.store import Selection
from trimtab.traces import cost_report
from trimtab.workflows import Inbox

EXAMPLES = Path(__file__).parents[2] / "examples"
WISH = "Could you refund the Curlew saddle of my order FW-34550? My email is mara.gruber@mail.example."
CHEAP = "Could you refund the Plover bottle cage of my order FW-31474? My email is mara.gruber@mail.example."


class Desk:
    """A house that hosts the examples, and one run in it."""

    def __init__(self, house):
        self.house, self.host, self.inbox = house, house.workflows, Inbox(house.database)

    async def begin(self, wish):
        import play

        self.run = await play.begin(self.house, "support", {"messages": [{"role": "user", "content": wish}]})
        return await self.question()

    async def question(self):
        return next(iter(await self.inbox.open_of(self.run.id)), None)

    async def answer(self, value):
        question = await self.question()
        await self.inbox.answer("default", self.run.id, question.id, json.dumps(value).encode(), by="grace")
        await self.host.take(self.run.id)
        self.run = await self.host.wait(self.run.id)
        return await self.question()

    @property
    def output(self):
        return json.loads(self.run.output)

    @property
    def said(self):
        return self.output["messages"][-1]["content"]


@pytest.fixture
async def desk(examples):
    from simulated import staged

    async with staged(examples) as house:
        yield Desk(house)


async def test_a_refund_asks_the_customer_then_the_lead_and_is_paid_as_approved(desk):
    asked = await desk.begin(WISH)
    assert json.loads(asked.value)["said"] == "I would refund the Curlew saddle. Shall I go ahead?"
    assert asked.asked_of == "customer"
    asked = await desk.answer("Yes, please.")
    assert (asked.asked_of, asked.escalate_to) == ("support-lead", "head-of-support")
    assert asked.due_at - asked.asked_at == 4 * 3600
    wanted = json.loads(asked.value)
    assert (wanted["order_id"], wanted["sku"], wanted["refund_cents"]) == ("FW-34550", "SD-618", 7400)
    assert shop.payments() == []
    assert await desk.answer({"decision": "approve"}) is None
    assert desk.run.state == "done"
    assert desk.said.startswith("74.00 EUR for the Curlew saddle are on their way back to you.")
    assert [cents for _, cents in shop.payments()] == [7400]
    with pytest.raises(Conflict):
        await desk.inbox.answer("default", desk.run.id, asked.id, b'{"decision": "reject"}')
    await desk.house.writer.flush()
    report = cost_report(desk.house.database, ("run", "step", "user", "workflow"), Selection())
    (row,) = report.rows
    assert row.fields == (desk.run.id, "agent", "ada", "support")
    assert (row.calls, row.nanodollars > 0) == (5, True)


async def test_a_lead_may_set_another_amount_and_nonsense_is_asked_again(desk):
    await desk.begin(WISH)
    await desk.answer("Yes, please.")
    for nonsense in (True, {"decision": "edit", "value": {"refund_cents": 7401}}, {"decision": "perhaps"}):
        asked = await desk.answer(nonsense)
        assert (asked.asked_of, "problem" in json.loads(asked.value)) == ("support-lead", True)
    assert shop.payments() == []
    await desk.answer({"decision": "edit", "value": {"refund_cents": 5000}})
    assert (desk.run.state, desk.output["refunded_cents"]) == ("done", 5000)
    assert desk.said == "A colleague looked at it: 50.00 EUR are on their way back to you."
    assert [cents for _, cents in shop.payments()] == [5000]


async def test_a_declined_refund_is_told_and_nothing_is_paid(desk):
    await desk.begin(WISH)
    await desk.answer("Yes, please.")
    assert await desk.answer({"decision": "reject", "reason": "the saddle is worn"}) is None
    assert desk.run.state == "done"
    assert "a colleague declined the refund: the saddle is worn" in desk.said
    assert "refunded_cents" not in desk.output
    assert shop.payments() == []


async def test_a_small_refund_needs_no_lead_and_an_item_is_refunded_once(desk):
    for told in ("9.90 EUR for the Plover bottle cage are on their way", "was refunded before"):
        await desk.begin(CHEAP)
        assert await desk.answer("Yes, please.") is None
        assert told in desk.said
    assert [cents for _, cents in shop.payments()] == [990]


def test_a_change_under_the_same_key_is_made_once(examples):
    first = shop.refund("FW-34550", "SD-618", 7400, key="run:task:1")
    assert json.loads(first)["items"][0]["refunded"]
    assert shop.refund("FW-34550", "SD-618", 7400, key="run:task:1") == first
    assert "was refunded before" in shop.refund("FW-34550", "SD-618", 7400, key="run:task:2")
    assert "no such refund" in shop.refund("FW-34550", "TB-811", 721, key="run:task:3")
    assert shop.payments() == [("run:task:1", 7400)]


def test_the_commands_of_the_docstring_work_and_a_new_process_goes_on(config):
    given = json.dumps({"messages": [{"role": "user", "content": WISH}]})
    begun = CliRunner().invoke(app, ["run", "support", "-c", str(config), "--input", given])
    assert begun.exit_code == 0, begun.output + repr(begun.exception)
    (run,) = set(re.findall(r"run ([0-9a-z]{26})", begun.output))
    on = ["run", "-c", str(config), "--resume", run, "--answer"]
    asked = CliRunner().invoke(app, [*on, '"Yes, please."'])
    assert "support waiting" in asked.output
    done = subprocess.run(
        [sys.executable, "-m", "trimtab", *on, '{"decision": "approve"}'],
        env=os.environ | {"PYTHONPATH": str(EXAMPLES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "support done" in done.stdout
    assert [cents for _, cents in shop.payments()] == [7400]
