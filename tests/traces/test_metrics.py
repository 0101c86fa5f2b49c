"""What `/metrics` shows of the calls that were recorded."""

import timeit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trimtab.core import Usage
from trimtab.traces import Gauges, Metrics

from .made import attempt, call


def shown(metrics):
    """Samples by name and labels."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def of(metrics, name, **labels):
    return shown(metrics)[(name, *sorted(labels.items()))]


@pytest.fixture
def metrics():
    return Metrics(Gauges())


def test_calls_are_counted_by_workflow_model_endpoint_status_and_surface(metrics):
    for _ in range(3):
        metrics(call("c", workflow="w"))
    metrics(call("c", workflow="w", status="failed"))
    lane = {"workflow": "w", "model": "m", "endpoint": "near"}
    assert of(metrics, "trimtab_calls_total", **lane, status="ok", surface="chat") == 3
    assert of(metrics, "trimtab_calls_total", **lane, status="failed", surface="chat") == 1


def test_times_fall_into_buckets(metrics):
    for seconds in (0.01, 0.02, 4.0, 1000.0):
        metrics(call("c", seconds=seconds, first_token_seconds=seconds / 2))
    lane = {"workflow": "", "model": "m", "endpoint": "near"}
    bucket = "trimtab_call_seconds_bucket"
    assert [of(metrics, bucket, **lane, le=le) for le in ("0.005", "0.01", "0.025", "5.0", "300.0", "+Inf")] == [
        0, 1, 2, 3, 3, 4,
    ]  # fmt: skip
    assert of(metrics, "trimtab_call_seconds_count", **lane) == 4
    assert of(metrics, "trimtab_call_seconds_sum", **lane) == pytest.approx(1004.03)
    assert of(metrics, "trimtab_first_token_seconds_bucket", **lane, le="2.5") == 3


def test_money_and_tokens_of_all_attempts_are_counted_and_what_others_charged_is_not(metrics):
    tried = (
        attempt("a1", outcome="rejected", nanodollars=5),
        attempt("a2", nanodollars=7, usage=Usage(100, 10, 40)),
    )
    metrics(call("c", workflow="w", attempts=tried, nanodollars=5000))
    assert of(metrics, "trimtab_cost_nanodollars_total", tenant="acme", workflow="w") == 12
    assert of(metrics, "trimtab_tokens_total", kind="input") == 200
    assert of(metrics, "trimtab_tokens_total", kind="cached") == 40
    assert of(metrics, "trimtab_attempts_total", endpoint="near", outcome="rejected") == 1


def test_refusals_are_counted_by_code_and_their_time_is_not_observed(metrics):
    metrics(call("c", status="refused", code="budget_exceeded", model="", endpoint=""))
    assert of(metrics, "trimtab_refusals_total", code="budget_exceeded") == 1
    assert not [key for key in shown(metrics) if key[0].startswith("trimtab_call_seconds")]


def test_recalls_are_counted(metrics):
    metrics(call("c", answered_by="recall"))
    assert of(metrics, "trimtab_recalls_total") == 1


def test_names_that_clients_make_up_cannot_fill_the_memory():
    metrics = Metrics(Gauges(), most_values=5, most_lanes=8)
    for index in range(1000):
        metrics(
            call(
                "c",
                workflow=f"w{index}",
                model=f"m{index % 3}",
                tenant=f"t{index}",
                attempts=(attempt("a", nanodollars=1),),
            )
        )
    series = shown(metrics)
    assert len({key for key in series if key[0] == "trimtab_calls_total"}) <= 9
    assert sum(value for key, value in series.items() if key[0] == "trimtab_calls_total") == 1000
    assert sum(value for key, value in series.items() if key[0] == "trimtab_cost_nanodollars_total") == 1000
    assert len(series) < 500


def test_a_model_that_nobody_serves_gets_no_series_of_its_own(metrics):
    metrics(call("c", status="failed", asked="made-up", model="", endpoint="", code="model_not_found"))
    assert "made-up" not in metrics.render().decode()


def test_gauges_are_read_when_asked_for():
    depth = {"near": 1, "far": 0}
    metrics = Metrics(
        Gauges(
            in_flight=lambda: depth,
            queued=lambda: {"near": 4},
            breaker_open=lambda: {"far": True},
            open_holds=lambda: 3,
            journal_lag_bytes=lambda: 1024,
            database_up=lambda: False,
        )
    )
    depth["near"] = 7
    assert of(metrics, "trimtab_in_flight", endpoint="near") == 7
    assert of(metrics, "trimtab_queued", endpoint="near") == 4
    assert of(metrics, "trimtab_breaker_open", endpoint="far") == 1
    assert of(metrics, "trimtab_open_holds") == 3
    assert of(metrics, "trimtab_journal_lag_bytes") == 1024
    assert of(metrics, "trimtab_database_up") == 0


def test_two_of_them_do_not_meet():
    first, second = Metrics(Gauges()), Metrics(Gauges())
    first(call("c"))
    assert "trimtab_calls_total{" not in second.render().decode()


def test_odd_names_are_escaped(metrics):
    metrics(call("c", workflow='a"b\\c\nd'))
    assert (
        of(
            metrics,
            "trimtab_calls_total",
            workflow='a"b\\c\nd',
            model="m",
            endpoint="near",
            status="ok",
            surface="chat",
        )
        == 1
    )


def test_counting_a_call_takes_microseconds(metrics):
    records = [
        call(f"c{i}", workflow=f"w{i % 7}", first_token_seconds=0.1, attempts=(attempt("a", nanodollars=9),))
        for i in range(500)
    ]
    best = min(timeit.repeat(lambda: [metrics(record) for record in records], number=2, repeat=5)) / 1000
    assert best < 50e-6  # about 2 on an idle machine; 10 is the most it may cost
