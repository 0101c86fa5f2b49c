"""A controller at work: within its budget, never raising, the same to the last bit."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from trimtab.controllers import Answer, Conversation, Host, Profile, Question, Turn, drift_of, profile_of
from trimtab.controllers.drift import BINS, bin_of, bin_text

from .tiny import Hesitant, manifest


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


class Gate:
    """A controller that stalls while the gate is shut."""

    def __init__(self):
        self.opened = threading.Event()
        self.batches = 0

    def __call__(self, questions):
        self.batches += 1
        assert self.opened.wait(10)
        return [saying() for _ in questions]

    async def passed(self, batches):
        """Let what hangs go on, and wait until so many batches were begun and done with."""
        self.opened.set()
        while self.batches < batches:
            await asyncio.sleep(0.001)
        self.opened.clear()


async def test_calls_behind_one_stall_count_as_one_failure_and_later_ones_do_not_wait(thread):
    gate, now = Gate(), [0.0]
    host = Host(manifest("classify", labels=("yes", "no")), gate, thread, lambda: now[0])
    together = await asyncio.gather(*(host.ask(question(), 0.2) for _ in range(40)))
    assert all("longer than" in each.answer.reasons[0] for each in together)
    now[0] = 1.0
    behind = [await asyncio.wait_for(host.ask(question(), 0.2), 0.1) for _ in range(40)]
    assert {each.answer.reasons for each in behind} == {("it is still at an earlier call",)}
    assert host.troubles == {"late": 40, "skipped": 40}
    gate.opened.set()
    while (found := await host.ask(question(), 5)).answer.abstained:
        await asyncio.sleep(0.001)
    assert found.answer.option == "yes"


async def test_one_that_stalls_again_and_again_rests_for_a_while(thread):
    now = [0.0]
    gate = Gate()
    manifest_ = manifest("classify", labels=("yes", "no"))
    host = Host(manifest_, gate, thread, lambda: now[0])
    for number in range(1, 21):
        assert "longer than" in (await host.ask(question(), 0.005)).answer.reasons[0]
        await gate.passed(number)
        await idle(thread)
    assert "rests" in (await host.ask(question(), 5)).answer.reasons[0]
    now[0] += 31
    gate.opened.set()
    assert (await host.ask(question(), 5)).answer.option == "yes"


async def idle(thread):
    """Until the thread has done what was asked of it so far."""
    await asyncio.wrap_future(thread.submit(lambda: None))


async def test_failures_of_a_thread_and_of_the_loop_are_all_counted(thread, monkeypatch):
    monkeypatch.setattr("trimtab.controllers.host.Counter", Hesitant)

    def decide(questions):
        if any(each.text == "bad" for each in questions):
            raise ValueError("bad")
        return [saying() for _ in questions]

    host = host_of(decide, thread)

    def ask_many():
        for number in range(150):
            host.ask_from_thread(question("bad" if number % 15 == 0 else "good"), 20)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(asyncio.to_thread(ask_many))
        for _ in range(150):
            group.create_task(host.ask(question("good"), 20))
    assert host.troubles == {"failed": 40}
    assert (host.answered, host.abstained) == (4 * 140 + 150, 0)


async def test_loop_and_threads_are_batched_together(thread):
    sizes = []

    def decide(questions):
        sizes.append(len(questions))
        time.sleep(0.02)
        return [saying(confidence=float(each.text)) for each in questions]

    host = host_of(decide, thread)

    def ask(number):
        return host.ask_from_thread(question(f"0.{number:02}"), 10).answer.confidence

    threads = [asyncio.to_thread(ask, number) for number in range(1, 9)]
    loop = [host.ask(question(f"0.{number}"), 10) for number in range(20, 36)]
    said = await asyncio.gather(*threads, *loop)
    assert said[:8] == [number / 100 for number in range(1, 9)]
    assert [each.answer.confidence for each in said[8:]] == [number / 100 for number in range(20, 36)]
    assert len(sizes) <= 6


async def test_who_gives_up_is_not_looked_at_any_more(thread):
    gate, seen = threading.Event(), []

    def decide(questions):
        seen.extend(each.text for each in questions)
        assert gate.wait(10)
        return [saying() for _ in questions]

    host = host_of(decide, thread)
    first = asyncio.ensure_future(host.ask(question("first"), 5))
    while not seen:
        await asyncio.sleep(0.001)
    gone = asyncio.ensure_future(host.ask(question("gone"), 5))
    late = asyncio.ensure_future(asyncio.to_thread(host.ask_from_thread, question("late"), 0.05))
    await asyncio.sleep(0.005)
    gone.cancel()
    last = asyncio.ensure_future(host.ask(question("last"), 5))
    assert (await late).answer.abstained
    gate.set()
    assert [(await each).answer.option for each in (first, last)] == ["yes", "yes"]
    assert seen == ["first", "last"]


async def test_a_batch_is_no_larger_than_the_latency_budget_allows(thread):
    sizes = []

    def decide(questions):
        sizes.append(len(questions))
        time.sleep(0.02 * len(questions))
        return [saying() for _ in questions]

    host = host_of(decide, thread)
    await host.ask(question(), 5)
    await asyncio.gather(*(host.ask(question(), 0.1) for _ in range(16)))
    assert max(sizes) <= 5
    sizes.clear()
    await asyncio.gather(*(host.ask(question(), 60) for _ in range(16)))
    assert max(sizes) >= 8


async def test_a_house_that_closes_lets_nobody_hang():
    gate = threading.Event()
    pool = ThreadPoolExecutor(1)
    pool.submit(gate.wait, 10)
    host = host_of(lambda questions: [saying() for _ in questions], pool)
    waiting = asyncio.ensure_future(host.ask(question(), 30))
    from_thread = asyncio.ensure_future(asyncio.to_thread(host.ask_from_thread, question(), 30))
    await asyncio.sleep(0.02)
    pool.shutdown(wait=False, cancel_futures=True)
    async with asyncio.timeout(5):
        for each in (await waiting, await from_thread):
            assert "its thread was ended" in each.answer.reasons[0]
        assert "RuntimeError" in (await host.ask(question(), 30)).answer.reasons[0]
        after = await asyncio.to_thread(host.ask_from_thread, question(), 30)
    assert "RuntimeError" in after.answer.reasons[0]
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


class Panic(BaseException):
    """What a library below Python raises when it breaks."""


async def test_a_panic_below_python_leaves_nobody_waiting_and_the_next_call_is_decided(thread):
    broken = [True]

    def decide(questions):
        if broken:
            broken.clear()
            raise Panic("below")
        return [saying() for _ in questions]

    host = host_of(decide, thread)
    first = await asyncio.wait_for(host.ask(question(), 30), 10)
    assert first.answer.abstained
    assert (await host.ask(question(), 30)).answer.option == "yes"
