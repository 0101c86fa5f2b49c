"""What may be said of the engine behind an endpoint."""

import pytest

from trimtab.config import engine_root, load_text, metrics_page
from trimtab.core.errors import ConfigError

ENDPOINT = '[[endpoint]]\nname = "a"\nurl = "http://10.0.0.1:8000/v1"\nmodels = ["m", "sum"]\n'


def load(more):
    return load_text(ENDPOINT + more, "t.toml", {}).settings.endpoint[0]


def test_an_endpoint_has_no_engine_unless_it_is_named():
    plain = load("")
    assert (plain.engine, plain.pass_on, plain.adapters, plain.external) == ("", ("request_id",), {}, False)


def test_its_pages_stand_beside_the_base_url():
    assert engine_root(load("")) == "http://10.0.0.1:8000"
    assert metrics_page(load('engine = "vllm"')) == "http://10.0.0.1:8000/metrics"
    assert metrics_page(load('engine = "vllm"\nmetrics_url = "http://m:9/x"')) == "http://m:9/x"


def test_all_that_may_be_said():
    said = load(
        'engine = "sglang"\nscrape_seconds = 0.5\npass_on = ["priority", "request_id"]\nadapters = { sum = "/x" }\n'
        'adapter_slots = 4\nprofile = "batch"\nkv_tokens = 400000\nexternal = true\nload_seconds = 1.5\n'
    )
    assert (said.engine, said.adapters, said.adapter_slots, said.profile) == (
        "sglang",
        {"sum": "/x"},
        4,
        "batch",
    )


BAD = [
    ('engine = "vlm"', "engine", 'mean "vllm"'),
    ('pass_on = ["priority"]', "pass_on[0]", 'only the engine "vllm" or "sglang" takes "priority"'),
    ('engine = "vllm"\npass_on = ["agent_hints"]', "pass_on[0]", 'only the engine "dynamo"'),
    ('pass_on = ["request_id", "request_id"]', "pass_on[1]", "twice"),
    ('pass_on = ["prio"]', "pass_on[0]", "one of"),
    ('engine = "ollama"\nadapters = { sum = "/x" }', "adapters", "loads adapters when asked"),
    ('engine = "vllm"\nadapters = { sun = "/x" }', "adapters.sun", 'add "sun" to `models`'),
    ('engine = "vllm"\nadapters = { sum = "" }', "adapters.sum", "a path or a name"),
    ('engine = "vllm"\nadapter_slots = 0', "adapter_slots", "above 0"),
    ('engine = "vllm"\nmodel_slots = 1', "model_slots", 'only the engine "ollama"'),
    ('engine = "sglang"\nshares = "gpu0"', "shares", 'only the engine "vllm"'),
    ('metrics_url = "http://m/x"', "metrics_url", "name its engine"),
    ('engine = "vllm"\nmetrics_url = "m/x"', "metrics_url", "expected http://HOST/metrics"),
    ('profile = "fast"', "profile", "one of"),
    ("kv_tokens = -1", "kv_tokens", "0 or more"),
]


@pytest.mark.parametrize(("more", "key", "words"), BAD)
def test_what_cannot_be_is_refused_with_a_remedy(more, key, words):
    with pytest.raises(ConfigError) as caught:
        load(more)
    assert caught.value.key == f"endpoint[0].{key}"
    assert words in caught.value.message
    assert caught.value.line
