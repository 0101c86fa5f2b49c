"""Whole clusters, small: what comes out is sane, the same each time, and nothing is lost."""

import msgspec
import pytest

from trimtab.core.errors import ConfigError
from trimtab.scheduling import NAMED, scheduling_policy
from trimtab.simulation.cluster import (
    Cluster,
    ExternalSettings,
    FaultSettings,
    ScalingSettings,
    ServerSettings,
    SessionPlan,
    StepPlan,
    WorkloadSettings,
    allowed_seconds,
    knee,
    layered,
    linked,
    research,
    simulate,
    spread,
    wide,
)
from trimtab.simulation.cluster.simulate import _World

PAIR = Cluster(
    (ServerSettings(gpu="H100", gpus=4, count=2),), workload=WorkloadSettings(seconds=120, warm_share=0.1)
)


def chain(steps, tokens=4_000, output=120, grow=300):
    """A session of one run, each step a little longer than the one before."""
    plans = [
        StepPlan(
            "think" if n % 2 else "act",
            tokens + grow * n,
            output,
            tokens + grow * (n - 1) if n else 0,
            system="s",
            system_tokens=1_000,
            gap_seconds=0.2 if n else 0.0,
            parents=(n - 1,) if n else (),
            tolerant=bool(n % 2),
        )
        for n in range(steps)
    ]
    return SessionPlan((linked("chain", plans),))


CHAINS = [chain(steps) for steps in (2, 4, 8, 16)]


def play(policy="default", cluster=PAIR, plans=CHAINS, rate=0.5, seed=0):
    return simulate(cluster, plans, allowed_seconds(plans, PAIR), policy, rate, seed)


@pytest.mark.parametrize("policy", [*NAMED, "eta+plas", "eta+least_slack", "prefix_load+srpt"])
def test_every_policy_finishes_every_run_and_repeats_itself(policy):
    first = play(policy)
    assert first.runs > 30
    assert 0 < first.p50_seconds <= first.p95_seconds <= first.p99_seconds
    assert 0 < first.slo <= 1
    assert first == play(policy)
    assert first != play(policy, seed=1)


def test_more_load_takes_longer():
    assert play(rate=4.0).mean_seconds > play(rate=0.2).mean_seconds


def test_sticking_to_the_prefix_hits_the_cache():
    assert play("prefix_load").cache_hits > play("round_robin").cache_hits


def test_runs_survive_servers_that_fail():
    faults = FaultSettings(hours_between=0.01, repair_seconds=5.0)
    measure = play(cluster=msgspec.structs.replace(PAIR, faults=faults))
    assert measure.failures > 2
    assert measure.retried > 0
    assert measure.runs == play().runs


def test_stragglers_cost_time():
    faults = FaultSettings(straggler_share=0.2, straggler_factor=8.0)
    assert play(cluster=msgspec.structs.replace(PAIR, faults=faults)).p95_seconds > 1.3 * play().p95_seconds


def test_scaling_follows_the_queue_within_its_bounds_and_pays_from_the_start():
    scaling = ScalingSettings(least=2, most=5, cold_start_seconds=10.0, wait_seconds=0.5)
    grown = msgspec.structs.replace(PAIR, autoscale=scaling)
    crowded = play(cluster=grown, rate=12.0)
    assert 2 < crowded.most_servers <= 5
    assert crowded.mean_seconds < play(rate=12.0).mean_seconds
    assert crowded.dollars > play(rate=12.0).dollars


def test_a_run_that_would_be_late_spills_under_its_cap_and_only_if_asked():
    api = ExternalSettings("api", input_usd=3.0, output_usd=15.0)
    terms = msgspec.structs.replace(PAIR.workload, spill_usd=2.0)
    asked = msgspec.structs.replace(PAIR, external=(api,), workload=terms)
    assert play(cluster=asked, rate=12.0).spilled_calls > 0
    assert play(cluster=msgspec.structs.replace(PAIR, external=(api,)), rate=12.0).spilled_calls == 0


def test_strict_steps_never_meet_the_quantised_server():
    servers = (
        ServerSettings(gpu="H100", gpus=4, name="full"),
        ServerSettings(gpu="H100", gpus=2, precision="fp8", quality=0.5, name="small"),
    )
    cluster = Cluster(servers, workload=msgspec.structs.replace(PAIR.workload, strict_quality=0.9))
    world = _World(cluster, CHAINS, allowed_seconds(CHAINS, PAIR), "default", 0)
    seen = []
    take = world._pool.finished

    def watched(job, now):
        seen.append((job.plan.tolerant, job.standing.terms.quality))
        take(job, now)

    for server in world._pool.servers:
        server._listener = type(
            "Ears", (), {"started": world._pool.started, "finished": staticmethod(watched)}
        )()
    world.play(1.0)
    assert {quality for tolerant, quality in seen if not tolerant} == {1.0}
    assert 0.5 in {quality for tolerant, quality in seen if tolerant}


def test_predictions_come_from_earlier_sessions_and_the_truth_from_the_oracle_alone():
    """The first run of a workflow meets only defaults; the oracle's predictions are what will happen."""
    seen = {}
    for name in ("default", "oracle"):
        world = _World(PAIR, [chain(3, output=777)], {"chain": 60.0}, scheduling_policy(name), 0)
        demands = []
        take = world._sessions.take

        def watched(job, now, demands=demands, take=take):
            demands.append((job.demand.output_tokens, job.demand.remaining_seconds))
            take(job, now)

        world._sessions.take = watched
        world.play(0.05)
        seen[name] = demands[0]
    assert seen["default"] == (200.0, 5.0)
    assert seen["oracle"][0] == 777


@pytest.mark.parametrize("make", [research, layered, wide])
def test_synthetic_graphs_are_the_same_each_time_and_finish(make):
    plans = make(5, 3)
    assert plans == make(5, 3)
    for policy in ("prefix_load", "graph"):
        assert play(policy, plans=plans, rate=0.05).runs > 0


def test_the_knee_lies_between_ease_and_crowding():
    slos = allowed_seconds(CHAINS, PAIR)
    found = knee(PAIR, CHAINS, slos)
    assert play("prefix_load", rate=0.8 * found).slo >= 0.9
    assert play("prefix_load", rate=1.5 * found).slo < 0.9


def test_where_no_load_is_good_enough_that_is_said():
    with pytest.raises(ConfigError, match="raise slo_factor"):
        knee(PAIR, CHAINS, {"chain": 0.001})


def test_the_interval_of_a_median():
    found = spread([float(n) for n in range(1, 11)])
    assert (found.low, found.median, found.high) == (2.0, 5.5, 9.0)
    five = spread([3.0, 1.0, 2.0, 5.0, 4.0])
    assert (five.low, five.median, five.high) == (1.0, 3.0, 5.0)
