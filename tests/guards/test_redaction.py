import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.guards import redact

CARD = "4111111111111111"
KEY = "sk-" + "proj-A1b2C3d4E5f6G7h8"
TOKEN = "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("write to ann.lee+x@mail.example.co.uk.", "write to [email]."),
        ("two: a@b.com,c@d.org", "two: [email],[email]"),
        ("call +49 (0)30 901820 now", "call [phone] now"),
        ("call +1-555-123-4567", "call [phone]"),
        ("call (555) 234-5678 or 555-234-5678", "call [phone] or [phone]"),
        ("ring 030 90182000 or 06 12 34 56 78", "ring [phone] or [phone]"),
        ("ring 020 7946 0958!", "ring [phone]!"),
        ("card 4111 1111 1111 1111 exp 12/29", "card [card] exp 12/29"),
        ("amex 3782-822463-10005", "amex [card]"),
        ("pay DE89 3704 0044 0532 0130 00 AND go", "pay [iban] AND go"),
        ("pay GB82WEST12345698765432.", "pay [iban]."),
        ("from 192.168.10.4:8080", "from [ip]:8080"),
        (f"key {KEY}!", "key [secret]!"),
        ("Authorization: Bearer abcdefghijklmnop1234==", "Authorization: [secret]"),
        ("ghp_" + "a1" * 18, "[secret]"),
        ("github_pat_" + "a1" * 20, "[secret]"),
        ("AKIA" + "ABCDEFGH12345678", "[secret]"),
        ("AIza" + "b" * 35, "[secret]"),
        ("xoxb-" + "123456789012-abc", "[secret]"),
        (f"jwt={TOKEN};", "jwt=[secret];"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAE=\n-----END RSA PRIVATE KEY-----\nok", "[secret]\nok"),
        ("grüße an jo@x.de, 你好", "grüße an [email], 你好"),
    ],
)
def test_what_is_sensitive_is_replaced_in_text_and_in_json(text, stored):
    assert redact(text.encode()) == stored.encode()
    for body in ({"content": text}, {"a": [text, {"b": f'say "{text}"\\ \t'}]}):
        for ascii_only in (True, False):
            written = json.dumps(body, ensure_ascii=ascii_only).encode()
            expected = json.loads(json.dumps(body).replace(json.dumps(text)[1:-1], json.dumps(stored)[1:-1]))
            assert json.loads(redact(written)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "order 4111-1111-1111-1112",
        "DE89 3704 0044 0532 0130 01",
        "ZZ89 3704 0044 0532 0130 00",
        "at 1700000000 and 1700000000123 and 1700000000123456789",
        "-0.4111111111111111",
        "id call_4111111111111111 chatcmpl-abc",
        "550e8400-e29b-41d4-a716-446655440000",
        "version 1.2.3 and 300.1.2.3 and 1.2.3.4.5",
        "2026-03-14T15:09:26Z, 14.03.2026, 01-02-2024",
        "1,024.50 x 200 300 4000",
        "user@localhost @mention a@b",
        "sk-short risk-averse-and-very-long-words task-1234567890123456",
        "eyJust a word",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert redact(text.encode()) == text.encode()


def test_a_bare_number_stays_a_number():
    body = b'{"card": %b, "list": [%b,\n %b], "id": 1700000000}' % ((CARD.encode(),) * 3)
    assert redact(body) == b'{"card": 0, "list": [0,\n 0], "id": 1700000000}'


def test_an_ungrouped_card_number_gets_its_label_in_a_json_string_and_a_0_outside_of_one():
    assert redact(b'{"a": "card %b, please"}' % CARD.encode()) == b'{"a": "card [card], please"}'
    assert redact(b"card %b, please" % CARD.encode()) == b"card 0, please"


def test_tool_arguments_stay_json():
    arguments = json.dumps({"card": int(CARD), "all": [1, int(CARD)], "note": f"my {CARD}"}, indent=1)
    stored = json.loads(redact(json.dumps({"arguments": arguments}).encode()))
    assert json.loads(stored["arguments"]) == {"card": 0, "all": [1, 0], "note": "my [card]"}


def test_escapes_beside_a_find_are_not_torn_apart():
    text = f'\\njo@x.de\\{CARD}"a@b.de"\n{CARD}\tc@d.de\u00e9e@f.de/+4930901820\\'
    stored = json.loads(redact(json.dumps([text]).encode()))
    assert stored == [
        '\\njo@x.de\\[card]"[email]"\n[card]\t[email]\u00e9[email]/[phone]\\'.replace("njo@x.de", "[email]")
    ]


def test_the_pieces_of_a_stream_are_scrubbed_one_by_one():
    stream = b'data: {"delta":"a@b.de"}\n\ndata: {"delta":"c"}\n\ndata: [DONE]\n\n'
    assert redact(stream) == stream.replace(b"a@b.de", b"[email]")


FINDS = st.sampled_from(
    ["jo@x.de", CARD, "+49 30 901820", "10.0.0.1", KEY, TOKEN, "DE89370400440532013000", "AKIA", "@", "-----"]
)
TEXTS = st.lists(
    st.text(max_size=8) | FINDS | st.sampled_from(['"', "\\", "\n", "\\n", "é", "/"]), max_size=8
).map("".join)
BODIES = st.recursive(
    TEXTS | st.integers() | st.just(int(CARD)) | st.floats(allow_nan=False) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def _shape(written):
    """What `written` is made of, without its keys and texts; fails where it is no JSON."""

    def of(value):
        return [of(each) for each in value] if isinstance(value, list) else type(value)

    return of(json.loads(written, object_pairs_hook=lambda pairs: [value for _, value in pairs]))


@given(BODIES, st.booleans(), st.sampled_from([None, 2]))
def test_valid_json_stays_valid_json_of_the_same_shape(body, ascii_only, indent):
    written = json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    assert _shape(redact(written)) == _shape(written)


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(content):
    redact(content)


HARD = [
    "a",
    "A",
    "1",
    "4111 ",
    "@",
    "a@",
    "a.",
    "a@b.",
    "eyJ",
    "eyJaaaaaaaa.",
    "sk-",
    "+1",
    "1.",
    "0 1",
    "DE89 ",
    '"',
]
HARD += ["\\n", "\\u00e9", "-----BEGIN PRIVATE KEY-----", "(2", "ghp_", "Bearer ", "555-", "A1 ", "\\"]


@pytest.mark.parametrize("unit", HARD)
def test_no_text_takes_more_than_linear_time(unit):
    content = (unit * (1_000_000 // len(unit))).encode()
    began = time.perf_counter()
    redact(content)
    assert time.perf_counter() - began < 2.0
