import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.errors import BadRequest
from trimtab.wire import canonical, rewrite

OBJECTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=5)


def test_a_field_is_replaced_added_or_removed_and_the_others_keep_their_bytes():
    body = b'{ "model" : "a", "x": [1.50, "\\u00e9"],"user":"u" }'
    changed = rewrite(body, {"model": b'"b"', "max_tokens": b"5", "user": b"", "none": b""})
    assert changed == b'{"model":"b","x":[1.50, "\\u00e9"],"max_tokens":5}'


def test_a_field_written_in_other_case_cannot_stand_in_for_a_changed_one():
    assert rewrite(b'{"Model":"dear","model":"a","MAX":1}', {"model": b'"b"'}) == b'{"model":"b","MAX":1}'


@given(OBJECTS)
def test_no_change_changes_no_value(fields):
    assert json.loads(rewrite(json.dumps(fields).encode(), {})) == fields


@given(OBJECTS)
def test_the_order_of_keys_does_not_matter_to_the_canonical_form(fields):
    turned = dict(reversed(fields.items()))
    assert canonical(json.dumps(fields).encode()) == canonical(json.dumps(turned, indent=2).encode())


def test_delivery_does_not_matter_to_the_canonical_form():
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    extras = {"stream": True, "stream_options": {}, "user": "u", "metadata": {"run": "r"}}
    assert canonical(json.dumps(extras | body).encode()) == canonical(json.dumps(body).encode())
    assert canonical(json.dumps(body | {"seed": 1}).encode()) != canonical(json.dumps(body).encode())


@pytest.mark.parametrize("change", [canonical, lambda body: rewrite(body, {"a": b"1"})])
@given(
    body=st.binary(max_size=40).filter(lambda body: not body.strip().startswith(b"{"))
    | st.sampled_from([b"[]", b"null", b"[" * 5000 + b"]" * 5000])
)
def test_what_is_no_object_is_refused(change, body):
    with pytest.raises(BadRequest):
        change(body)
