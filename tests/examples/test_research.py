"""The research graph: every source is read once, the critic sends it back once, the critical path is the longest."""

import json
from collections import Counter

import pytest
from critical_path import Link, critical_path, links_of, report, tree_in
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from trimtab.cli import app

QUESTION = "How does a trim tab turn a rudder, and who made a metaphor of it?"


@pytest.fixture
def shown(config):
    """What `trimtab run research --json` prints."""
    asked = json.dumps({"question": QUESTION})
    done = CliRunner().invoke(app, ["run", "research", "-c", str(config), "--json", "--input", asked])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return json.loads(done.stdout)


def test_sources_are_read_side_by_side_once_each_and_the_critic_asks_for_more_once(shown):
    import research

    output, tree = shown["output"], shown["trace"]
    assert (shown["state"], output["rounds"]) == ("done", 2)
    assert Counter(output["read"]) == Counter(dict.fromkeys(research.SOURCES, 1))
    assert output["read"][:3] == ["The rudder", "The trim tab", "Servo tabs"]
    assert output["answer"].startswith("(simulated) ")
    assert "[Buckminster Fuller]" in output["answer"]
    assert output["missing"] == ""
    calls = {step["name"]: len(step["calls"]) for step in tree["steps"]}
    assert calls == {"plan": 2, "read": 6, "write": 2, "critic": 2}
    assert all(step["nanodollars"] > 0 for step in tree["steps"])
    assert tree["nanodollars"] == sum(step["nanodollars"] for step in tree["steps"])
    path = critical_path(links_of(tree))
    assert [link.step for link in path] == ["plan", "read", "write", "critic"] * 2
    reads = [link for link in links_of(tree) if link.step == "read"]
    for link in path:
        if link.step == "read":
            beside = [each for each in reads if each.began < link.ended and link.began < each.ended]
            assert len(beside) == 3
            assert link.seconds >= max(each.seconds for each in beside) - 0.05
    told = report(tree_in(shown)).splitlines()
    assert told[0].startswith(f"critical path of run {shown['run']}: 8 of 12 calls")
    assert len(told) == 9


def test_a_critic_that_is_content_ends_the_run_at_once(examples):
    import research

    done = {"question": "?", "rounds": 1, "read": ["Inertia"], "missing": ""}
    assert research.after_critic(done) == "__end__"
    assert research.after_critic(done | {"missing": "who"}) == "plan"
    assert research.after_critic(done | {"missing": "who", "rounds": 2}) == "__end__"
    assert research.after_critic(done | {"missing": "who", "read": list(research.SOURCES)}) == "__end__"


SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=8)


@given(SPANS)
def test_the_critical_path_is_the_longest_chain_of_calls_that_do_not_overlap(spans):
    links = [Link(str(place), began, float(seconds), "m") for place, (began, seconds) in enumerate(spans)]
    path = critical_path(links)
    assert all(first.ended <= second.began for first, second in zip(path, path[1:], strict=False))
    assert sum(link.seconds for link in path) == longest(spans)


def longest(spans):
    """The same by trying every set of calls."""
    best = 0
    for chosen in range(1, 1 << len(spans)):
        picked = sorted(span for place, span in enumerate(spans) if chosen >> place & 1)
        apart = all(a + b <= c for (a, b), (c, _) in zip(picked, picked[1:], strict=False))
        if apart:
            best = max(best, sum(seconds for _, seconds in picked))
    return best


async def test_the_play_prints_answer_cost_and_path_and_says_that_it_is_simulated(examples, capsys):
    import play

    await play.research(examples)
    told = capsys.readouterr().out
    assert "(simulated) A rudder is a plate" in told
    assert "(simulated prices), 12 calls: plan" in told
    assert "critical path of run" in told
