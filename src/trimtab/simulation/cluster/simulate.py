"""One cluster, one policy, one load, one seed: plays it and measures. And the search for the knee of a load."""

import gc
import random
from collections.abc import Mapping, Sequence

from trimtab.core.errors import ConfigError
from trimtab.scheduling import SchedulingPolicy, Speed, Standing, Terms, scheduling_policy
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.faults import Faults
from trimtab.simulation.cluster.gpus import Profile
from trimtab.simulation.cluster.measure import Measure, quantile, run_seconds
from trimtab.simulation.cluster.plans import SessionPlan
from trimtab.simulation.cluster.pool import Pool, Stragglers
from trimtab.simulation.cluster.scaling import Fleet
from trimtab.simulation.cluster.sessions import Sessions
from trimtab.simulation.cluster.settings import Cluster, ExternalSettings, ServerSettings

_NANO = 1e9
_MOST_TRIES = 16
KNEE_POLICY = "prefix_load"
KNEE_SLO = 0.9
"""A load is beyond the knee where fewer runs than this are in time under `KNEE_POLICY`: the goodput of DistServe
(Zhong et al., OSDI 2024)."""


def allowed_seconds(plans: Sequence[SessionPlan], cluster: Cluster) -> dict[str, float]:
    """By workflow: the factor times its 90th percentile alone on the first kind of server, at least the floor."""
    ideal: dict[str, list[float]] = {}
    alone = cluster.profiles()[0]
    for plan in plans:
        for run in plan.runs:
            ideal.setdefault(run.workflow, []).append(run.ideal_seconds(alone))
    terms = cluster.workload
    return {
        name: max(terms.slo_floor_seconds, terms.slo_factor * quantile(sorted(seconds), 0.9))
        for name, seconds in ideal.items()
    }


def simulate(
    cluster: Cluster,
    plans: Sequence[SessionPlan],
    slos: Mapping[str, float],
    policy: str | SchedulingPolicy,
    sessions_a_second: float,
    seed: int,
) -> Measure:
    """Plays sessions drawn from `plans` for the cluster's time, until all that began in it are over."""
    world = _World(cluster, plans, slos, policy, seed)
    # Nothing in here is a cycle that must go, and looking for some costs a third of the time.
    enabled = gc.isenabled()
    gc.disable()
    try:
        return world.play(sessions_a_second)
    finally:
        if enabled:
            gc.enable()


def knee(cluster: Cluster, plans: Sequence[SessionPlan], slos: Mapping[str, float], seed: int = 0) -> float:
    """The most sessions a second at which `KNEE_SLO` of runs are in time under `KNEE_POLICY`, to some 3 %.

    Raises `ConfigError` where there is none.
    """

    def holds(rate: float) -> bool:
        return simulate(cluster, plans, slos, KNEE_POLICY, rate, seed).slo >= KNEE_SLO

    low, high = 0.0, 0.05 * sum(one.count for one in cluster.server)
    for _ in range(_MOST_TRIES):
        if not holds(high):
            break
        low, high = high, 2.0 * high
    for _ in range(_MOST_TRIES):
        if low and high - low <= 0.03 * high:
            return low
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    if not low:
        raise ConfigError(
            f"no load keeps {KNEE_SLO:.0%} of runs in SLO; raise slo_factor, or name sessions_a_second",
            key="workload",
        )
    return low


class _World:
    """Everything of one simulation, wired."""

    def __init__(
        self,
        cluster: Cluster,
        plans: Sequence[SessionPlan],
        slos: Mapping[str, float],
        policy: str | SchedulingPolicy,
        seed: int,
    ) -> None:
        self._cluster, self._seed = cluster, seed
        terms, faults = cluster.workload, cluster.faults
        chosen = scheduling_policy(policy) if isinstance(policy, str) else policy
        self._agenda = Agenda()
        self._sessions = Sessions(
            plans,
            slos,
            chosen,
            self._agenda,
            random.Random(seed),
            terms.strict_quality,
            round(terms.spill_usd * _NANO),
        )
        chance = random.Random(f"faults {seed}")
        stragglers = Stragglers(faults.straggler_share, faults.straggler_factor)
        self._pool = Pool(chosen, self._agenda, self._sessions.finished, chance, stragglers)
        self._sessions.take, self._sessions.lengths = self._pool.take, self._pool.lengths
        self._faults = Faults(faults, self._pool, self._agenda, chance, terms.seconds)
        self._fleet = Fleet(
            cluster.autoscale,
            self._pool,
            self._agenda,
            self._one_more,
            terms.seconds,
            self._sessions.late_share,
        )
        self._added = 0
        self._profiles = cluster.profiles()
        self._fleet.begin(self._build(), cluster.server[0].count)
        self._busy = self._dollars = 0.0
        self._spilled = 0

    def play(self, sessions_a_second: float) -> Measure:
        """Until every run that began is over."""
        terms = self._cluster.workload
        self._sessions.come(sessions_a_second, terms.seconds)
        self._agenda.at(terms.warm_share * terms.seconds, self._warm, None)
        self._agenda.at(terms.seconds, self._close, None)
        self._agenda.play(self._over)
        return self._measure()

    def _over(self) -> bool:
        return self._agenda.now > self._cluster.workload.seconds and not self._sessions.open_runs

    def _warm(self, _: None, now: float) -> None:
        self._dollars, self._spilled = -self._fleet.settle(now), -self._pool.spilled_nanodollars
        self._busy = -self._busy_seconds()

    def _close(self, _: None, now: float) -> None:
        self._dollars += self._fleet.settle(now)
        self._spilled += self._pool.spilled_nanodollars
        self._busy += self._busy_seconds()

    def _busy_seconds(self) -> float:
        return sum(server.busy_seconds for server in self._pool.servers if server)

    def _measure(self) -> Measure:
        terms, pool = self._cluster.workload, self._pool
        begin = terms.warm_share * terms.seconds
        seconds, slo = run_seconds(self._sessions.records, begin, terms.seconds)
        servers = [server for server in pool.servers if server]
        hits, tokens = sum(one.hit_tokens for one in servers), sum(one.input_tokens for one in servers)
        dollars = self._dollars + self._spilled / _NANO
        inside = slo * len(seconds)
        return Measure(
            seed=self._seed,
            runs=len(seconds),
            calls=self._sessions.calls,
            mean_seconds=sum(seconds) / max(1, len(seconds)),
            p50_seconds=quantile(seconds, 0.5),
            p95_seconds=quantile(seconds, 0.95),
            p99_seconds=quantile(seconds, 0.99),
            slo=slo,
            dollars=dollars,
            dollars_per_1000_in_slo=1000.0 * dollars / inside if inside else None,
            cache_hits=hits / max(1, tokens),
            utilisation=min(1.0, self._busy / ((terms.seconds - begin) * len(servers))),
            spilled_calls=pool.spilled_calls,
            failures=self._faults.failures,
            retried=pool.retried,
            refused=pool.refused,
            most_servers=self._fleet.most_on,
        )

    def _build(self) -> list[Standing]:
        standings = [
            self._add(settings, profile)
            for settings, profile in zip(self._cluster.server, self._profiles, strict=True)
            for _ in range(settings.count)
        ]
        for one in self._cluster.external:
            self._pool.add(_external(one), None)
        self._pool.roll.changed()
        return standings

    def _one_more(self) -> Standing:
        return self._add(self._cluster.server[0], self._profiles[0])

    def _add(self, settings: ServerSettings, profile: Profile) -> Standing:
        self._added += 1
        price = settings.hour_usd if settings.hour_usd is not None else profile.hour_usd
        name = settings.name or f"{settings.gpu.lower()}-{settings.precision}"
        standing = self._pool.add(
            Terms(
                f"{name}-{self._added:03}",
                profile.speed,
                quality=settings.quality,
                precision_bits=profile.precision_bits,
                context_tokens=profile.kv_tokens,
                kv_tokens=profile.kv_tokens,
                profile=settings.role,
                hour_nanodollars=round(price * _NANO),
                most_calls=settings.most_calls,
            ),
            profile,
        )
        self._faults.watch(standing, self._agenda.now)
        return standing


def _external(settings: ExternalSettings) -> Terms:
    first = settings.first_token_seconds
    return Terms(
        settings.name,
        Speed(1.0 / settings.tokens_a_second, first / 10_000.0),
        quality=settings.quality,
        input_price=round(settings.input_usd * _NANO),
        output_price=round(settings.output_usd * _NANO),
        external=True,
    )
