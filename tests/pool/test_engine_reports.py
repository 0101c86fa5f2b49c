"""What is read out of engines' pages, in the shapes they send."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from trimtab.pool.engines import READERS, EngineReport
from trimtab.pool.engines.exposition import Exposition

VLLM = b"""\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_running{engine="1",model_name="tiny"} 2.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 4.0
vllm:num_requests_waiting{engine="1",model_name="tiny"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="tiny"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 1000.0
vllm:prefix_cache_queries_created{engine="0",model_name="tiny"} 1.7e+09
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 400.0
vllm:lora_requests_info{max_lora="2",running_lora_adapters="old",waiting_lora_adapters=""} 1.7e+09
vllm:lora_requests_info{max_lora="2",running_lora_adapters="sum,code",waiting_lora_adapters="sql"} 1.8e+09
vllm:e2e_request_latency_seconds_bucket{engine="0",le="+Inf",model_name="tiny"} 9.0
"""
CARDS = b'{"object":"list","data":[{"id":"tiny","parent":null},{"id":"sum","root":"/x","parent":"tiny"}]}'


def read(engine, **pages):
    return READERS[engine].report(pages, 7.0)


def test_vllm_tells_its_load_over_all_engines_of_a_data_parallel_group():
    report = read("vllm", metrics=VLLM)
    assert (report.at, report.running, report.waiting, report.kv_used) == (7.0, 5, 4, 0.375)
    assert (report.prefix_hits, report.prefix_tokens) == (400.0, 1000.0)


def test_the_latest_word_of_vllm_on_adapters_counts_unless_it_lists_them():
    assert read("vllm", metrics=VLLM).adapters == {"sum", "code", "sql"}
    assert read("vllm", metrics=VLLM, models=CARDS).adapters == {"sum"}


def test_vllm_says_whether_it_sleeps():
    assert not read("vllm", metrics=VLLM).asleep
    assert read("vllm", metrics=VLLM, sleeping=b'{"is_sleeping": true}').asleep


def test_sglang_is_read_from_its_loads_or_its_metrics():
    loads = (
        b'{"timestamp":"x","version":"0.5","loads":[{"dp_rank":0,"num_running_reqs":5,"num_waiting_reqs":1,'
        b'"token_usage":0.25,"cache_hit_rate":0.5,"memory":null},{"dp_rank":1,"num_running_reqs":3,'
        b'"num_waiting_reqs":0,"token_usage":0.75,"cache_hit_rate":0.7}]}'
    )
    report = read("sglang", loads=loads, models=CARDS)
    assert (report.running, report.waiting, report.kv_used, report.prefix_share) == (8, 1, 0.5, 0.6)
    assert report.adapters == {"sum"}
    metrics = (
        b'sglang:num_running_reqs{model_name="m"} 8\nsglang:num_queue_reqs{model_name="m"} 4\n'
        b'sglang:token_usage{model_name="m"} 0.52\nsglang:cache_hit_rate{model_name="m"} 0.28\n'
    )
    report = read("sglang", metrics=metrics)
    assert (report.running, report.waiting, report.kv_used, report.prefix_share) == (8, 4, 0.52, 0.28)


def test_llama_cpp_is_read_from_its_slots_and_its_metrics():
    slots = b'[{"id":0,"is_processing":true,"params":{}},{"id":1,"is_processing":false}]'
    metrics = b"llamacpp:requests_processing 1\nllamacpp:requests_deferred 6\n"
    assert read("llama.cpp", slots=slots).running == 1
    report = read("llama.cpp", slots=slots, metrics=metrics)
    assert (report.running, report.waiting) == (1, 6)


def test_a_model_of_ollama_goes_by_its_name_with_and_without_latest():
    page = b'{"models":[{"name":"mistral:latest","size_vram":5137025024},{"name":"qwen3:8b"}]}'
    assert read("ollama", ps=page).models == {"mistral:latest", "mistral", "qwen3:8b"}


def test_a_dynamo_frontend_counts_what_has_no_first_token_as_in_flight_too():
    page = (
        b'dynamo_frontend_inflight_requests{model="k"} 12\ndynamo_frontend_queued_requests{model="k"} 5\n'
        b"dynamo_component_kvstats_gpu_cache_usage_percent 0.4\n"
    )
    report = read("dynamo", metrics=page)
    assert (report.running, report.waiting, report.kv_used) == (7, 5, 0.4)
    fresh = read("dynamo", metrics=b"# HELP dynamo_frontend_inflight_requests Inflight\n")
    assert (fresh.running, fresh.waiting) == (0, 0)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "dynamo"])
def test_a_page_of_something_else_is_no_report(engine):
    with pytest.raises(ValueError):
        read(engine, metrics=b"<html>up 1</html>")


def test_labels_with_quotes_and_braces_are_read_as_they_stand():
    page = b'vllm:num_requests_running{model_name="a \\"b\\" {c}, d=\\"e\\""} 2\n'
    assert read("vllm", metrics=page).running == 2


def test_numbers_that_are_none_are_passed_over():
    page = b"vllm:num_requests_running 1\nvllm:kv_cache_usage_perc NaN\nvllm:num_requests_waiting x\n"
    assert read("vllm", metrics=page).kv_used is None


@given(st.lists(st.tuples(st.text(max_size=8), st.integers(0, 10**6)), unique_by=lambda each: each[0]))
def test_a_page_is_read_as_prometheus_writes_it(calls):
    registry = CollectorRegistry()
    running = Gauge("vllm:num_requests_running", "Now.", ["model_name"], registry=registry)
    hits = Counter("vllm:prefix_cache_hits", "Ever.", ["model_name"], registry=registry)
    for name, count in calls:
        running.labels(name).set(count)
        hits.labels(name).inc(count)
    page = Exposition(
        generate_latest(registry), ("vllm:num_requests_running", "vllm:prefix_cache_hits", "vllm:prefix")
    )
    assert page.count("vllm:num_requests_running") == (sum(count for _, count in calls) if calls else None)
    told = [(labels["model_name"], value) for labels, value in page.samples("vllm:prefix_cache_hits")]
    assert sorted(told) == sorted(calls)
    assert page.samples("vllm:prefix") == []


def at(hits, tokens, share=None):
    return EngineReport(0.0, prefix_hits=hits, prefix_tokens=tokens, prefix_share=share)


def test_the_prefix_share_is_of_what_was_asked_since_the_last_report():
    assert at(400.0, 1000.0).following(None).prefix_share == 0.4
    assert at(490.0, 1100.0).following(at(400.0, 1000.0)).prefix_share == 0.9
    assert at(400.0, 1000.0).following(at(400.0, 1000.0, 0.3)).prefix_share == 0.3


def test_an_engine_that_began_anew_counts_from_there():
    assert at(10.0, 100.0).following(at(400.0, 1000.0)).prefix_share == 0.1


@given(st.binary(max_size=400), st.sampled_from(sorted(READERS)))
def test_no_page_does_worse_than_to_be_refused(page, engine):
    pages = dict.fromkeys(("metrics", "models", "loads", "slots", "ps", "sleeping"), page)
    with contextlib.suppress(ValueError, msgspec.MsgspecError):
        READERS[engine].report(pages, 0.0)
