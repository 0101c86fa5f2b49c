"""The demo's second half, as a user runs it: learned from its own traces, served over a socket, compared in pairs."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from openai import AsyncOpenAI

from trimtab.app import open_database, open_house, second_half
from trimtab.app.lesson import Lesson
from trimtab.app.second_half import HalfTerms, play_second_half
from trimtab.app.stage import serving
from trimtab.cli.comparisons import print_comparison, print_lesson
from trimtab.config import load
from trimtab.simulation import RunMeasure, TrafficReport
from trimtab.simulation.report import summarise
from trimtab.simulation.support_tools import declare_tools
from trimtab.store import controllers
from trimtab.tenants import create_key

RUNS = 60
TOOLS = json.loads(bytes(declare_tools()))
ASK = "Where is my order FW-54321? My email is ada.lovelace@mail.example."
RUN = RunMeasure("demo-7-0000", "parts-support", "acme", "c", 5, 1.0, "done", 1.0, "", 0, 200)
ONE: TrafficReport = summarise([RUN], [], 1.0)


def trimtab(*arguments):
    command = [sys.executable, "-m", "trimtab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of a whole demo, and what it said."""
    folder = tmp_path_factory.mktemp("demo") / "d"
    done = trimtab("demo", "--runs", str(RUNS), "--pace", "0", "--json", "--data", str(folder))
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)["second_half"]


@pytest.fixture
def copied(demo, tmp_path):
    """A copy of that folder, to be changed."""
    shutil.copytree(demo[0], tmp_path / "d")
    config = tmp_path / "d" / "trimtab.toml"
    config.write_text(config.read_text().replace(str(demo[0].resolve()), str(tmp_path / "d")))
    return tmp_path / "d"


class Watcher:
    """An audience that notes what it is told, and plays nothing."""

    def __init__(self) -> None:
        self.told: list[Lesson] = []

    def play(self, make, title):
        raise AssertionError(title)

    @contextmanager
    def bar(self, title):
        yield self.show

    def show(self, what, share):
        return

    def tell(self, lesson):
        self.told.append(lesson)


def at_work(folder: Path):
    with open_database(folder / "trimtab.toml") as (_, database):
        return database.read(controllers.at_work)


def test_new_tasks_cost_less_and_are_completed_as_often(demo):
    _, half = demo
    lesson, comparison = half["lesson"], half["comparison"]
    assert half["notice"] == ""
    assert lesson["passed"]
    assert lesson["metrics"]["eager_precision"] >= lesson["promised"] == 0.97
    before, after = comparison["before"], comparison["after"]
    assert comparison["pairs"] == before["runs"] == after["runs"] == RUNS
    assert before["calls_failed"] == after["calls_failed"] == before["calls_of_controller"] == 0
    assert after["calls_of_controller"] > 0.2 * after["calls"]
    assert after["completed"] >= before["completed"] - 2
    assert float(after["cost_per_completed_usd"]) < 0.85 * float(before["cost_per_completed_usd"])
    assert float(before["saved_usd_estimate"]) == 0 < float(after["saved_usd_estimate"])
    assert float(comparison["saved_usd_measured"]) == pytest.approx(
        float(before["cost_usd"]) - float(after["cost_usd"])
    )


def test_it_is_printed_side_by_side(demo, capsys):
    from trimtab.app.comparison import SecondHalf

    half = msgspec.convert(demo[1], SecondHalf)
    print_lesson(half.lesson)
    print_comparison(half.comparison)
    said = capsys.readouterr().out
    for words in ("promised  97%", "passed", "completion rate", "cost per completed run", "simulated"):
        assert words in said
    assert said.count("p50 of") == said.count("p95 of") == 3


async def test_what_was_learned_answers_over_a_socket_without_any_model(copied):
    """The demo's endpoint is gone: whatever answers here is no model."""
    async with open_house(load(copied / "trimtab.toml", {})) as house, serving(house) as url:
        key, _ = create_key(house.database, house.clock, "acme", "", "operator")
        await house.keyring.load()
        told = {"x-trimtab-workflow": "parts-support", "x-trimtab-run": "r"}
        async with AsyncOpenAI(
            base_url=f"{url}/v1", api_key=key, max_retries=0, default_headers=told
        ) as client:
            asked = {"model": "support", "messages": [{"role": "user", "content": ASK}], "tools": TOOLS}
            raw = await client.chat.completions.with_raw_response.create(**asked)
            whole, chunks = raw.parse(), []
            options = {"include_usage": True}
            stream = await client.chat.completions.create(**asked, stream=True, stream_options=options)
            async for chunk in stream:
                chunks.append(chunk)
    calls = [call.function for call in whole.choices[0].message.tool_calls]
    assert "find_customer" in [call.name for call in calls]
    assert json.loads(calls[0].arguments) in (
        {"email": "ada.lovelace@mail.example"},
        {"order_id": "FW-54321"},
    )
    assert (whole.choices[0].finish_reason, whole.usage.total_tokens) == ("tool_calls", 0)
    assert raw.headers["x-trimtab-answered-by"].startswith("parts-support/step@")
    parts = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert "".join(part.function.arguments or "" for part in parts) == "".join(c.arguments for c in calls)
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [0]


def test_every_decision_can_be_made_again(demo):
    done = trimtab("replay", "--verify-decisions", "--json", "-c", str(demo[0] / "trimtab.toml"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["differ"], found["unchecked"]) == (0, {})
    assert found["same"] == demo[1]["comparison"]["after"]["calls"]


def test_what_did_not_pass_is_not_enabled(copied, monkeypatch, capsys):
    failed = Lesson(
        "a/step@1", "a", "1", 9, 1.0, "", 0.97, 0.95, False, dict.fromkeys(NAMES, 0.5), ("eager: 0.5",)
    )
    monkeypatch.setattr(second_half, "learn_lesson", lambda *_: failed)
    watcher = Watcher()
    half = play_second_half(ONE, copied, HalfTerms(1, 7, 0.0), watcher)
    assert half.lesson is failed is watcher.told[0]
    assert "not enabled" in half.notice
    assert at_work(copied) == []
    print_lesson(failed)
    assert "not passed, so not enabled: eager: 0.5" in capsys.readouterr().out


NAMES = ("eager_precision", "eager_emitted", "eager_saved", "exact_precision", "exact_emitted")


def test_interrupted_while_learning_it_ends_well_and_enables_nothing(copied, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Watcher, "show", interrupt)
    half = play_second_half(ONE, copied, HalfTerms(1, 7, 0.0), Watcher())
    assert half.notice == "interrupted while learning: nothing is enabled"
    assert at_work(copied) == []


def test_too_few_runs_to_learn_from_are_said(copied):
    half = play_second_half(ONE, copied, HalfTerms(1, 7, 0.0), Watcher())
    assert half.lesson is None
    assert half.notice.startswith("nothing is learned from these runs: ")
    assert "at least 4 different tasks" in half.notice


def test_without_scikit_learn_it_says_in_one_line_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('sklearn', 'torch', 'openvino', 'tokenizers')));"
        "from trimtab.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "demo", "--runs", "4", "--data", str(tmp_path / "d")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "the second half needs scikit-learn: pip install 'trimtab[demo]'" in done.stdout
    assert "Traceback" not in done.stderr
