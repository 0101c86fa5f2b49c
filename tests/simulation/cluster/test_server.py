"""The fluid server against one that plays every iteration."""

import random

import pytest

from trimtab.scheduling import Demand, RunStanding
from trimtab.simulation.cluster import StepPlan, linked, profile
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.job import Job, LiveRun, LiveSession
from trimtab.simulation.cluster.plans import SessionPlan
from trimtab.simulation.cluster.server import Server

H100 = profile("H100", "llama-70b", "fp16", 4)


class Heard:
    """When calls began and ended."""

    def __init__(self):
        self.first, self.last = {}, {}

    def started(self, job, now):
        self.first[job.number] = now

    def finished(self, job, now):
        self.last[job.number] = now


def job(number, tokens, output, context=None, shared=0):
    plan = StepPlan("plan", tokens, output, shared)
    standing = RunStanding(str(number), "w", 0.0)
    run = LiveRun(linked("w", [plan]), LiveSession(1, SessionPlan(())), standing, [0], 1, [], [])
    demand = Demand(standing, "plan", number, 0.0, tokens, output, 1.0)
    return Job(number, run, 0, plan, context or number, output, demand)


def played(jobs, most_calls=128):
    """Every `(moment, job)` through one server."""
    agenda, heard = Agenda(), Heard()
    server = Server(0, H100, most_calls, agenda, heard)
    for moment, one in jobs:
        agenda.at(moment, server.accept, one)
    agenda.play(lambda: False)
    assert server.idle
    return heard


def by_iterations(jobs):
    """The same, one chunk of one prompt and one token of every running call at a time."""
    speed, now, ends = H100.speed, 0.0, {}
    coming, waiting, running, current = sorted(jobs, key=lambda each: each[0]), [], {}, None
    while coming or waiting or running or current:
        while coming and coming[0][0] <= now:
            waiting.append(coming.pop(0)[1])
        if not (waiting or running or current):
            now = coming[0][0]
            continue
        if current is None and waiting:
            current = [waiting.pop(0), 0]
        work = 0.0
        if current:
            chunk = min(speed.chunk_tokens, current[0].plan.input_tokens - current[1])
            work = chunk * (speed.prefill_seconds + speed.attention_seconds * (current[1] + chunk / 2))
            current[1] += chunk
        context = sum(one.plan.input_tokens + done for one, done in running.values())
        now += (
            max(speed.base_seconds, work)
            + speed.call_seconds * len(running)
            + speed.context_seconds * context
        )
        for number, (one, done) in list(running.items()):
            running[number] = (one, done + 1)
            if done + 1 >= one.output_tokens:
                ends[number] = now
                del running[number]
        if current and current[1] >= current[0].plan.input_tokens:
            running[current[0].number] = (current[0], 1)
            current = None
    return ends


def test_one_call_alone_takes_its_prefill_and_its_tokens():
    heard = played([(0.0, job(1, 4_096, 101))])
    assert heard.first[1] == pytest.approx(4_096 / 17_967, rel=0.1)
    assert heard.last[1] - heard.first[1] == pytest.approx(100 * 0.01492, rel=0.02)


@pytest.mark.parametrize("gap", [0.2, 0.6, 2.0])
def test_the_fluid_server_agrees_with_one_that_plays_every_iteration(gap):
    rng = random.Random(3)
    moments = [0.0]
    for _ in range(79):
        moments.append(moments[-1] + rng.expovariate(1 / gap))
    jobs = [(at, job(n, rng.randint(2_100, 12_000), rng.randint(20, 300))) for n, at in enumerate(moments, 1)]
    fluid, stepped = played(jobs).last, by_iterations(jobs)
    mean = [sum(ends[one.number] - at for at, one in jobs) / len(jobs) for ends in (fluid, stepped)]
    assert mean[0] == pytest.approx(mean[1], rel=0.05)


def test_a_cached_prefix_is_not_computed_again():
    cold = played([(0.0, job(1, 8_000, 2, 7)), (100.0, job(2, 8_100, 2, 8, 8_000))])
    warm = played([(0.0, job(1, 8_000, 2, 7)), (100.0, job(2, 8_100, 2, 7, 8_000))])
    assert warm.first[2] - 100.0 < 0.1 * (cold.first[2] - 100.0)


def test_a_full_kv_cache_lets_calls_wait():
    heard = played([(0.0, job(1, 300_000, 500)), (0.0, job(2, 300_000, 10))])
    assert heard.first[2] > heard.last[1]


def test_a_server_runs_no_more_calls_than_it_may():
    heard = played([(0.0, job(1, 1_000, 100)), (0.0, job(2, 1_000, 100))], most_calls=1)
    assert heard.first[2] > heard.last[1]


def test_what_was_there_is_lost_when_it_fails():
    agenda, heard = Agenda(), Heard()
    server = Server(0, H100, 128, agenda, heard)
    jobs = [job(number, 9_000, 500) for number in (1, 2, 3)]
    for one in jobs:
        agenda.at(0.0, server.accept, one)
    lost = []
    agenda.at(0.7, lambda _, now: lost.extend(server.fail(now)), None)
    agenda.play(lambda: False)
    assert {one.number for one in lost} == {1, 2, 3}
    assert not heard.last
    assert server.idle
