"""Where keys stand: every form of TOML key gets its line."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from trimtab.config import Source
from trimtab.config.source import key_text, locate

TOML = """\
# a comment with [brackets] and = signs
default_policy = "pinned"

[server]
port = 8080
"host" = 'a # b'  # trailing

[[endpoint]]
name = "one"
models = [
  "a",
  # between

  "b", "c",
]
[endpoint.timeouts]
idle = 3

[[endpoint]]
name = "two"
timeouts.idle = 4
timeouts . "total" = 5
breaker = { failures = 3, cooldown_seconds = 1 }
headers = { "x-a.b" = \"\"\"
]]] = [[[
"\"\"\"\" }
upstream_names."q.r" = '''
it's'''

[endpoint.price]
tiers = [
  { above_input_tokens = 1, input = 2 },
  { above_input_tokens = 3, input = 4 },

]

[[endpoint.price.more]]
x = 1
[[endpoint.price.more]]
x = 1979-05-27 07:32:00

[policy."a b"]
kind = "x"
"""


def test_every_form_of_key_is_found_on_its_line():
    lines = locate(TOML)
    expected = {
        ("default_policy",): 2,
        ("server",): 4,
        ("server", "port"): 5,
        ("server", "host"): 6,
        ("endpoint",): 8,
        ("endpoint", 0): 8,
        ("endpoint", 0, "models"): 10,
        ("endpoint", 0, "models", 0): 11,
        ("endpoint", 0, "models", 1): 14,
        ("endpoint", 0, "models", 2): 14,
        ("endpoint", 0, "timeouts"): 16,
        ("endpoint", 0, "timeouts", "idle"): 17,
        ("endpoint", 1, "name"): 20,
        ("endpoint", 1, "timeouts"): 21,
        ("endpoint", 1, "timeouts", "idle"): 21,
        ("endpoint", 1, "timeouts", "total"): 22,
        ("endpoint", 1, "breaker", "cooldown_seconds"): 23,
        ("endpoint", 1, "headers", "x-a.b"): 24,
        ("endpoint", 1, "upstream_names", "q.r"): 27,
        ("endpoint", 1, "price"): 30,
        ("endpoint", 1, "price", "tiers", 0, "input"): 32,
        ("endpoint", 1, "price", "tiers", 1): 33,
        ("endpoint", 1, "price", "tiers", 1, "input"): 33,
        ("endpoint", 1, "price", "more", 0, "x"): 38,
        ("endpoint", 1, "price", "more", 1, "x"): 40,
        ("policy", "a b", "kind"): 43,
    }
    assert {key: lines.get(key) for key in expected} == expected


def test_all_keys_that_toml_reads_are_found():
    assert set(keys_of(tomllib.loads(TOML))) == set(locate(TOML))


def test_a_key_that_is_not_there_has_the_line_of_the_table_around_it():
    source = Source("f.toml", locate(TOML))
    assert source.line(("endpoint", 1, "breaker", "nothing")) == 23
    assert source.line(("endpoint", 1, "url")) == 19
    assert source.line(("nowhere",)) == 1
    assert Source().line(("server",)) == 0


def test_a_key_is_shown_as_people_write_it():
    assert key_text(("endpoint", 1, "timeouts", "idle")) == "endpoint[1].timeouts.idle"
    assert key_text(("policy", "a b", "kind")) == 'policy."a b".kind'


def keys_of(value, key=()):
    """Every path into what tomllib read, inner ones included."""
    if key:
        yield key
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, below in inner:
        yield from keys_of(below, (*key, part))


names = st.sampled_from(["a", "b", '"c d"', "'e.f'", '"g\\u0041"', "1"])
blanks = st.sampled_from(["", " ", "\t"])
breaks = st.sampled_from(["", " ", "\n", "# c ]}'\"\n", "\n\n "])
texts = st.sampled_from(
    ['""', "''", '"a"', "'#'", '"\\""', '"""a\n""\\"b"""', "'''\n''c'''", '"""x"""""', '"""\\\\"""']
)
scalars = st.sampled_from(["1", "-0.5", "inf", "true", "1979-05-27 07:32:00Z", "07:32:00", "0x1f"])
dotted = st.lists(names, min_size=1, max_size=3).map(".".join)


def arrays(values):
    return st.tuples(breaks, st.lists(st.tuples(values, breaks), max_size=4)).map(
        lambda parts: "[" + parts[0] + ",".join(value + blank for value, blank in parts[1]) + "]"
    )


def inline_tables(values):
    return st.lists(st.tuples(blanks, dotted, blanks, values), max_size=3).map(
        lambda pairs: "{" + ",".join(f"{b}{key}{c}={c}{value}{b}" for b, key, c, value in pairs) + "}"
    )


values = st.recursive(texts | scalars, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=6)
pairs = st.tuples(dotted, blanks, values).map(lambda parts: f"{parts[0]}{parts[1]}={parts[1]}{parts[2]}")
headers = st.tuples(dotted, st.booleans()).map(
    lambda parts: f"[[{parts[0]}]]" if parts[1] else f"[ {parts[0]} ]"
)
statements = st.tuples(pairs | headers, st.sampled_from(["", " # end"])).map("".join)
documents = st.lists(statements | st.just(""), max_size=8).map("\n".join)


@given(documents)
def test_the_finder_sees_the_same_keys_as_toml_itself(text):
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = locate(text)
    assert set(keys_of(read)) == set(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(documents, documents)
def test_lines_before_a_document_move_all_its_lines(above, text):
    comment = "".join(f"# {line}\n" for line in above.split("\n"))
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    shift = comment.count("\n")
    assert locate(comment + text) == {key: line + shift for key, line in locate(text).items()}
