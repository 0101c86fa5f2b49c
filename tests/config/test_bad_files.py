"""Every way a file can be wrong names the line, the key and what to do."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimtab.config import load_text
from trimtab.config.schema import plain, root_type
from trimtab.core.errors import ConfigError

ENDPOINT = """
[[endpoint]]
name = "house"
url = "http://10.0.0.1/v1"
models = ["small", "large"]
"""

BAD = [
    # syntax
    ("[server]\nport 8080", 2, "", "not TOML, column 6.*write key = value\n    port 8080"),
    ("[server]\nhost = localhost", 2, "", "text needs quotes"),
    ('host = "a\nport = 1', 1, "", "close the quotes"),
    ("[server]\nport = 1\nport = 2", 3, "", "given twice; remove one"),
    ("[server]\n\n[server]\n", 3, "", r"written \[\[name\]\]"),
    ('[server]\nhost = """abc\n', 3, "", "close the quotes"),
    ("[server]\nport = 1\n\n[[endpoint]\n", 4, "", "not TOML"),
    # types and bounds
    ('[server]\nport = "8080"', 2, "server.port", 'whole number.*got "8080"; write it without quotes'),
    ("[server]\n\nport = 99999", 3, "server.port", r"0 to 65535\), got 99999.*Port to listen on"),
    ("[server]\nport = 80.5", 2, "server.port", "whole number.*got 80.5"),
    ("server = 3", 1, "server", "a table, got 3"),
    ("[[server]]\nport = 1", 1, "server", r"write \[server\] with one pair of brackets"),
    ("[model]\nname = 'x'", 1, "model", r"write \[\[model\]\] with two brackets"),
    ("[server]\nhost = 127", 2, "server.host", 'put it in quotes: "..."'),
    ("[server]\nhost = 1979-05-27", 2, "server.host", "got 1979-05-27; put it in quotes"),
    ("[telemetry]\ncontent = 1", 2, "telemetry.content", "true or false, got 1"),
    ("[hedging]\nshare = 0.6", 2, "hedging.share", "a number .0 to 0.5., got 0.6"),
    ("[server]\ndrain_seconds = 0", 2, "server.drain_seconds", "above 0"),
    ("[server]\ndrain_seconds = inf", 2, "server.drain_seconds", "finite number"),
    ("[[budget]]\nscope = 'run'\nlimit_usd = nan", 3, "budget[0].limit_usd", "finite number"),
    ("[server]\nmax_body_bytes = 99999999999999999999", 2, "server.max_body_bytes", "64 bits"),
    (ENDPOINT.replace('["small", "large"]', '"small"'), 5, "endpoint[0].models", "put it in brackets"),
    (
        ENDPOINT.replace('["small", "large"]', "[]"),
        5,
        "endpoint[0].models",
        "at least one.*got an empty list",
    ),
    (
        ENDPOINT.replace('["small", "large"]', '[\n"small",\n3,\n]'),
        7,
        "endpoint[0].models[1]",
        "got 3; put it in quotes",
    ),
    (ENDPOINT.replace('"house"', '""'), 3, "endpoint[0].name", 'got ""'),
    (ENDPOINT.replace('"house"', '"a\\nb"'), 3, "endpoint[0].name", "printable"),
    (ENDPOINT + 'timeouts = { total = 9, idle = "x" }', 6, "endpoint[0].timeouts.idle", 'got "x"'),
    (ENDPOINT + "\n[endpoint.timeouts]\ntotal = 9\nidle = -1", 9, "endpoint[0].timeouts.idle", "above 0"),
    (ENDPOINT + ENDPOINT + "timeouts.idle = true", 11, "endpoint[1].timeouts.idle", "a number.*got true"),
    # closed sets
    ("[traces]\ncontent = 'stor'", 2, "traces.content", 'one of "drop", "redact", "store".*mean "store"'),
    ("[[tenant]]\nname = 'a'\ncontent = 3", 3, "tenant[0].content", 'one of "drop"'),
    ("[[budget]]\nscope = 'tenan'\nlimit_usd = 1", 2, "budget[0].scope", 'did you mean "tenant"'),
    (
        "[[budget]]\nscope = 'run'\nlimit_usd = 1\nmatch = { tenat = 'a' }",
        4,
        "budget[0].match.tenat",
        'unknown key.*mean "tenant"',
    ),
    ("[[model]]\nname = 'a'\ncapabilities = ['tool']", 3, "model[0].capabilities[0]", 'mean "tools"'),
    # keys
    ("[server]\nport = 1\nhots = 'a'", 3, "server.hots", 'unknown key; did you mean "host"'),
    ("\n[srever]\nport = 1", 2, "srever", 'did you mean "server"'),
    ("[[endpoints]]\nname = 'a'", 1, "endpoints", 'did you mean "endpoint"'),
    ("[hedging]\nxyzzy = 1", 2, "hedging.xyzzy", r"\[hedging\] may have share"),
    (ENDPOINT + "api_key = 'sk'", 6, "endpoint[0].api_key", 'did you mean "api_key_env"'),
    ("[[endpoint]]\nname = 'a'\nurl = 'http://a'", 1, "endpoint[0]", "`models` is missing.*add `models"),
    ("\n[[tool]]\nname = 'a'", 2, "tool[0]", "`price_usd` is missing"),
    ("[policy.a]\nkind = 'pinned'\n[policy.b]\nkind = ''", 4, "policy.b.kind", 'got ""'),
    ("[policy.a]\nkind = 'pinned'\n[policy.b]\nhedge = true", 3, "policy.b", "`kind` is missing"),
    (
        "[policy.a]\nkind = 'pinned'\nweights = {}\n[policy.'b c']\nkind = 'x'\nweights = { q = 1, r = 's' }",
        6,
        'policy."b c".weights.r',
        'a number.*got "s"',
    ),
    ("[workflow.w]\ncompleted_at = 2", 2, "workflow.w.completed_at", "0 to 1"),
    # names given twice
    (ENDPOINT + ENDPOINT, 8, "endpoint[1].name", '"house" is named twice, first on line 3'),
    (
        ENDPOINT + "[[model]]\nname = 'small'\n[[model]]\nname = 'small'",
        9,
        "model[1].name",
        "named twice, first on line 7",
    ),
    ("[[tenant]]\nname = '*'\n[[tenant]]\nname = '*'", 4, "tenant[1].name", "twice"),
    (ENDPOINT.replace('"large"', '"small"'), 5, "endpoint[0].models[1]", "twice"),
    ("[[rule]]\nwhen='true'\nname='r'\n[[rule]]\nwhen='true'\nname='r'", 6, "rule[1].name", "twice"),
]


@pytest.mark.parametrize(
    ("text", "line", "key", "words"), BAD, ids=[f"{n}-{bad[2]}" for n, bad in enumerate(BAD)]
)
def test_a_bad_file_names_line_and_key(text, line, key, words):
    with pytest.raises(ConfigError, match=f"(?s){words}") as caught:
        load_text(text, "trimtab.toml", {})
    error = caught.value
    assert (error.file, error.line, error.key) == ("trimtab.toml", line, key)
    assert str(error).startswith(f"trimtab.toml:{line}: {key + ': ' if key else ''}")
    assert "$" not in str(error)


def loads_or_is_refused(text):
    lines = text.replace("\r\n", "\n").count("\n") + 1
    try:
        load_text(text, "f.toml", {})
    except ConfigError as error:
        line = error.line
    else:
        line = 1
    assert 1 <= line <= lines


@given(st.text())
@example("a = 0x" + "f" * 5000)
@example("a = " + "9" * 5000)
@example("server.port = 1e400")
@example("\r")
@example("\ufeff")
@example("a.b.c = {}")
@example("'' = 1")
@example("policy.'' = 1")
def test_no_text_raises_anything_but_a_config_error(text):
    loads_or_is_refused(text)


TOML_PIECES = st.sampled_from(
    [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ",",
        ".",
        "\n",
        "\r\n",
        " ",
        '"',
        "'",
        '"""',
        "'''",
        "#",
        "\\",
        "inf",
    ]
    + [
        "server",
        "port",
        "endpoint",
        "models",
        "policy",
        "budget",
        "match",
        "1",
        "-1",
        "1.5",
        "true",
        "1979-05-27",
    ]
)


@given(st.lists(TOML_PIECES, max_size=30).map("".join))
def test_no_string_of_toml_pieces_raises_anything_but_a_config_error(text):
    loads_or_is_refused(text)


VALUES = st.recursive(
    st.one_of(
        st.booleans().map(lambda flag: str(flag).lower()),
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(
            ["1e300", "99999999999999999999999", "1979-05-27", "07:32:00", '"http://a/v1"', '"pinned"']
        ),
        st.text(max_size=8).map(lambda text: msgspec.json.encode(text).decode()),
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from("ab"), inner, max_size=2).map(
            lambda table: "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }"
        )
    ),
    max_leaves=4,
)
FIELDS = [
    (table.encode_name, field.encode_name)
    for table in root_type().fields
    if hasattr(plain(table.type), "fields")
    for field in plain(table.type).fields
]
LISTS = [
    (table.encode_name, field.encode_name)
    for table in root_type().fields
    if hasattr(plain(table.type), "item_type")
    for field in plain(table.type).item_type.fields
]


@given(st.sampled_from(FIELDS), VALUES)
def test_no_value_of_a_key_raises_anything_but_a_config_error(field, value):
    table, key = field
    loads_or_is_refused(f"[{table}]\n{key} = {value}")


@given(st.lists(st.tuples(st.sampled_from(LISTS), VALUES), max_size=6))
def test_no_value_in_a_list_of_tables_raises_anything_but_a_config_error(entries):
    loads_or_is_refused("\n".join(f"[[{table}]]\n{key} = {value}" for (table, key), value in entries))


@given(st.sampled_from(["kind", "models", "weights", "verifiers", "x"]), VALUES)
def test_no_value_in_a_policy_raises_anything_but_a_config_error(key, value):
    kind = "" if key == "kind" else "kind = 'cheapest'\n"
    loads_or_is_refused(f"[policy.p]\n{kind}{key} = {value}\n[policy.q]\nkind = 'pinned'")
