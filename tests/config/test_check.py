"""What only shows when tables are read together."""

import pytest

from trimtab.config import Settings, check_settings, load_text
from trimtab.config.check import SHIPPED_POLICIES
from trimtab.core.errors import ConfigError

ENDPOINT = """\
[[endpoint]]
name = "house"
url = "https://api.example.com/v1"
models = ["small", "large"]
"""

WORKFLOW = "[workflow.support]\n"
BAD = [
    (
        WORKFLOW + "controllers = ['steps']",
        2,
        "workflow.support.controllers[0]",
        'mean "step"',
    ),
    (WORKFLOW + "thresholds = { stop = 0.9 }", 2, "workflow.support.thresholds.stop", 'mean "step"'),
    (WORKFLOW + "thresholds = { step = 98 }", 2, "workflow.support.thresholds.step", "0 to 1|0.0 to 1.0"),
    (WORKFLOW + "latency_milliseconds = 0", 2, "workflow.support.latency_milliseconds", "above 0"),
    (
        WORKFLOW + "routes = { easy = ['tiny'] }",
        2,
        "workflow.support.routes.easy[0]",
        'no endpoint serves "tiny"',
    ),
    (WORKFLOW + "escalate_to = 'huge'", 2, "workflow.support.escalate_to", 'no endpoint serves "huge"'),
    (
        "[workflow.support.tools]\nread_only = ['a']\nwrite_allowed = ['b', 'a']",
        3,
        "workflow.support.tools.write_allowed[1]",
        "in `read_only` already",
    ),
    ("[workflow.support.tools]\nreadonly = ['a']", 2, "workflow.support.tools.readonly", 'mean "read_only"'),
    ("[workflow.support.classify]\nreply = 'x'", 2, "workflow.support.classify.reply", "{label}"),
    (
        ENDPOINT + "[policy.p]\nkind = 'cascade'\nverifiers = [{ kind = 'controller', value = 'support' }]",
        7,
        "policy.p.verifiers[0].value",
        'expected "WORKFLOW/verify"',
    ),
    ("default_policy = 'cheepest'", 1, "default_policy", 'no policy "cheepest"; did you mean "cheapest"'),
    ("default_policy = 'weighted'", 1, "default_policy", r"needs `weights`; write a \[policy.NAME\]"),
    ("default_policy = 'a:b:c'", 1, "default_policy", "no policy"),
    ("[server]\ndatabase = 'mysql://a'", 2, "server.database", "postgresql://"),
    ("[telemetry]\notlp_endpoint = 'localhost:4318'", 2, "telemetry.otlp_endpoint", "http://HOST"),
    (ENDPOINT + "[[rule]]\nwhen = 'true'\npolicy = 'mine'", 7, "rule[0].policy", 'no policy "mine"'),
    (
        ENDPOINT + "[[rule]]\nwhen = 'true'\nmodels = ['small', 'lage']",
        7,
        "rule[0].models[1]",
        'mean "large"',
    ),
    (ENDPOINT + "[[model]]\nname = 'small'\npolicy = 'mine'", 7, "model[0].policy", "no policy"),
    (ENDPOINT + "[[model]]\nname = 'smal'", 6, "model[0].name", 'no endpoint serves "smal".*mean "small"'),
    (
        ENDPOINT + "[[model]]\nname = 'v'\ncandidates = [\n 'small',\n 'lrge']",
        9,
        "model[0].candidates[1]",
        'no endpoint serves "lrge"; did you mean "large"',
    ),
    (
        ENDPOINT + "[[model]]\nname = 'small'\ncandidates = ['large']",
        7,
        "model[0].candidates",
        "stands for other models, so no endpoint may serve it",
    ),
    (ENDPOINT + "[[model]]\nname = 'small'\nprice_as = 'gpt-4o'", 7, "model[0].price_as", '"provider/model"'),
    (
        ENDPOINT + "[[model]]\nname = 'small'\nprice_as = 'openai/nonesuch'",
        7,
        "model[0].price_as",
        'knows no price of "openai/nonesuch"',
    ),
    (ENDPOINT.replace("https://api.example.com", "ftp://a"), 3, "endpoint[0].url", "expected http://HOST"),
    (ENDPOINT.replace("https://api.example.com/v1", "localhost:8000"), 3, "endpoint[0].url", "http://HOST"),
    (ENDPOINT.replace("https://api.example.com", "http://"), 3, "endpoint[0].url", "expected http://HOST"),
    (ENDPOINT.replace("api.example.com", "a:port"), 3, "endpoint[0].url", "is no URL"),
    (ENDPOINT.replace("api.example.com", "[::1"), 3, "endpoint[0].url", "is no URL"),
    (ENDPOINT.replace("api.example.com", "me:pw@a"), 3, "endpoint[0].url", "secrets do not stand"),
    (ENDPOINT.replace("/v1", "/v1?api-version=1"), 3, "endpoint[0].url", "a base URL ends with its path"),
    (
        ENDPOINT + "upstream_names = { small = 'S', lrge = 'L' }",
        5,
        "endpoint[0].upstream_names.lrge",
        '"lrge" is not in `models` of endpoint "house"; did you mean "large"',
    ),
    (ENDPOINT + "headers = { Authorization = 'x' }", 5, "endpoint[0].headers.Authorization", "api_key_env"),
    (ENDPOINT + "headers = { x = 'a\\nb' }".replace("'", '"'), 5, "endpoint[0].headers.x", "HTTP header"),
    (ENDPOINT + "headers = { 'a b' = 'c' }", 5, 'endpoint[0].headers."a b"', "HTTP header"),
    (
        ENDPOINT + "breaker = { cooldown_seconds = 9, max_cooldown_seconds = 8 }",
        5,
        "endpoint[0].breaker.max_cooldown_seconds",
        "cooldown_seconds .9.0. or more",
    ),
    ("[policy.a]\nkind = 'pined'", 2, "policy.a.kind", 'did you mean "pinned"'),
    ("[policy.a]\nkind = 'weighted'", 2, "policy.a.kind", "needs `weights`"),
    ("[policy.a]\nkind = 'cascade'", 2, "policy.a.kind", "needs `verifiers`"),
    (ENDPOINT + "[policy.a]\nkind='weighted'\nweights={small=0}", 7, "policy.a.weights", "weight above 0"),
    (ENDPOINT + "[policy.a]\nkind='weighted'\nweights={smal=1}", 7, "policy.a.weights.smal", 'mean "small"'),
    (ENDPOINT + "[policy.a]\nkind='cheapest'\nweights={small=1}", 7, "policy.a.weights", "only weighted"),
    (ENDPOINT + "[policy.a]\nkind='cheapest'\nmodels=['smal']", 7, "policy.a.models[0]", 'mean "small"'),
    (ENDPOINT + "[policy.a]\nkind='pinned'\nendpoint='hous'", 7, "policy.a.endpoint", 'mean "house"'),
    (ENDPOINT + "[policy.a]\nkind='pinned'\nuntil='first_token'", 7, "policy.a.until", "only fastest"),
    (
        "[policy.a]\nkind = 'cascade'\nverifiers = [\n { kind = 'tool_calls' },\n { kind = 'logprob' },\n]",
        5,
        "policy.a.verifiers[1].value",
        "a number of 0 or less",
    ),
    (
        "[policy.a]\nkind = 'cascade'\nverifiers = [{ kind = 'python', value = 'f' }]",
        3,
        "policy.a.verifiers[0].value",
        "module:function",
    ),
    (
        "[[budget]]\nscope = 'run'\nlimit_usd = 1\n[budget.match]\ntenant = '*'",
        5,
        "budget[0].match.tenant",
        "leave it out to mean every tenant",
    ),
    ("[[rate]]\nscope = 'key'\n", 1, "rate[0]", "limits nothing"),
    (
        "[[rate]]\nscope = 'key'\ntokens_per_minute = 1\nmatch = { user = '*' }",
        4,
        "rate[0].match.user",
        "every user",
    ),
]


@pytest.mark.parametrize(
    ("text", "line", "key", "words"), BAD, ids=[f"{n}-{bad[2]}" for n, bad in enumerate(BAD)]
)
def test_tables_that_do_not_fit_name_line_and_key(text, line, key, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load_text(text, "trimtab.toml", {})
    assert (caught.value.line, caught.value.key) == (line, key)


@pytest.mark.parametrize(
    "text",
    [
        "default_policy = 'my.module:choose'",
        "[policy.mine]\nkind = 'my.module:choose'\nhedge = true",
        "default_policy = 'mine'\n[policy.mine]\nkind = 'cheapest'\nhedge = true\nmax_attempts = 2",
        "default_policy = 'c'\n[policy.c]\nkind = 'cascade'\nverifiers = [{ kind = 'json_schema' }]",
        ENDPOINT + "[[rule]]\nwhen = 'true'\npolicy = 'fastest'\n[[rule]]\nwhen = 'false'",
        ENDPOINT + "[[model]]\nname = 'v'\ncandidates = ['small']",
        ENDPOINT + "[[model]]\nname = 'small'\nprice_as = 'openai/gpt-4o-mini'",
        ENDPOINT.replace("https://api.example.com", "http://[::1]:8000"),
        ENDPOINT + "headers = { x-team = 'search' }\nupstream_names = { small = 'S' }",
        "[[budget]]\nscope = 'tenant'\nlimit_usd = 0\nwindow = 'run'\nmatch = { user = 'u', workflow = 'w' }",
        "[server]\ndatabase = 'postgresql://localhost/trimtab'",
    ],
)
def test_tables_that_fit_are_taken(text):
    load_text(text, "trimtab.toml", {})


def test_settings_made_in_code_are_checked_without_a_file():
    with pytest.raises(ConfigError) as caught:
        check_settings(Settings(default_policy="nothing"))
    assert str(caught.value).startswith("default_policy: ")


def test_the_shipped_policies_are_pinned():
    assert SHIPPED_POLICIES == ("pinned", "cheapest", "fastest", "weighted", "cascade")
