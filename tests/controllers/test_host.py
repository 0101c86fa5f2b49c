"""A controller at work: within its budget, never raising, the same to the last bit."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from trimtab.controllers import Answer, Conversation, Host, Profile, Question, Turn, drift_of, profile_of
from trimtab.controllers.drift import BINS, bin_of, bin_text

from .tiny import manifest


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def question(text="Hi"):
    return Question(Conversation((Turn("user", text),)), text)


def saying(option="yes", confidence=0.9):
    return Answer("", "", "classify", option, confidence, False)


def host_of(decide, thread, **more):
    return Host(manifest("classify", labels=("yes", "no"), **more), decide, thread)


async def test_it_decides_in_its_own_thread_not_on_the_loop(thread):
    threads = set()

    def decide(questions):
        threads.add(threading.get_ident())
        return [saying() for _ in questions]

    decided = await host_of(decide, thread).ask(question(), 5)
    assert (decided.answer.option, decided.answer.controller) == ("yes", "support/classify")
    assert threads.isdisjoint({threading.get_ident()})


async def test_what_waits_goes_in_together(thread):
    sizes = []

    def decide(questions):
        sizes.append(len(questions))
        time.sleep(0.02)
        return [saying(confidence=float(each.text)) for each in questions]

    host = host_of(decide, thread)
    asked = [host.ask(question(f"0.{number:02}"), 5) for number in range(1, 41)]
    decided = await asyncio.gather(*asked)
    assert [each.answer.confidence for each in decided] == [number / 100 for number in range(1, 41)]
    assert len(sizes) < 6


async def test_one_bad_question_does_not_spoil_its_batch(thread):
    def decide(questions):
        if any(each.text == "bad" for each in questions):
            raise ValueError("bad")
        return [saying() for _ in questions]

    host = host_of(decide, thread)
    good, bad = await asyncio.gather(host.ask(question(), 5), host.ask(question("bad"), 5))
    assert good.answer.option == "yes"
    assert bad.answer.abstained
    assert host.troubles == {"failed": 1}


async def test_a_slow_one_is_not_waited_for_and_rests_after_a_while(thread):
    gate = threading.Event()
    host = host_of(lambda questions: [saying() for _ in questions if gate.wait(10)], thread)
    started = time.monotonic()
    for _ in range(20):
        assert (await host.ask(question(), 0.01)).answer.abstained
    assert time.monotonic() - started < 3
    assert "rests" in (await host.ask(question(), 0.01)).answer.reasons[0]
    assert host.troubles["late"] == 20
    gate.set()


def test_equal_inputs_have_equal_digests_and_others_do_not(thread):
    host = host_of(lambda questions: [saying() for _ in questions], thread)
    one, same, other = (host.decide(question(text)) for text in ("a", "a", "b"))
    assert (one.inputs, one.said) == (same.inputs, same.said)
    assert one.inputs != other.inputs
    nudged = host_of(lambda questions: [saying(confidence=0.9000000000000001) for _ in questions], thread)
    assert nudged.decide(question("a")).said != one.said


def test_bins_cover_all_confidences():
    assert [bin_of(value) for value in (0.0, 0.49, 0.5, 0.97, 0.995, 1.0)] == [0, 0, 1, 8, BINS - 1, BINS - 1]
    assert (bin_text(-1), bin_text(0), bin_text(BINS - 1)) == ("abstained", "0 to 0.5", "0.99 to 1")


def test_drift_is_said_when_it_matters_and_only_then():
    validated = profile_of([0.99] * 500 + [None] * 500)
    assert drift_of(validated, profile_of([0.99] * 480 + [None] * 520)).reasons == ()
    assert drift_of(validated, profile_of([None] * 50)).reasons == ()
    spread, abstains = drift_of(validated, profile_of([0.55] * 100 + [None] * 900)).reasons
    assert "spread otherwise" in spread
    assert "90%" in abstains


def test_a_profile_has_a_count_for_every_bin():
    with pytest.raises(ValueError):
        Profile(0, (1, 2))
