import json

import anthropic.types.shared
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.wire import anthropic_error, error_message, openai_error


def test_an_openai_error():
    assert json.loads(openai_error("no", "invalid_request_error", "bad", "model")) == {
        "error": {"message": "no", "type": "invalid_request_error", "code": "bad", "param": "model"}
    }


def test_an_anthropic_error_is_valid_for_the_sdk():
    body = anthropic_error("no", "overloaded_error")
    assert anthropic.types.shared.ErrorResponse.model_validate_json(body).error.message == "no"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (openai_error("no", "t", None, None), "no"),
        (anthropic_error("no", "api_error"), "no"),
        (b'{"error":"no"}', "no"),
        (b'{"message":"no"}', "no"),
        (b'{"detail":"no"}', "no"),
        (b'{"detail":[{"loc":["body"],"msg":"no"}]}', "no"),
        (b'[{"error":{"code":429,"message":"no"}}]', "no"),
        (
            b'{"error":{"message":"Provider returned error","metadata":{"raw":"no"}}}',
            "Provider returned error: no",
        ),
        (b"<html><head><title>502 Bad Gateway</title></head><body>x</body></html>", "502 Bad Gateway"),
        (b"<p>no</p>", "no"),
        (b"upstream connect\n error", "upstream connect error"),
        (b"", ""),
        (b"{}", ""),
        (b"5", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_best_sentence_is_found(body, text):
    assert error_message(body) == text


@given(
    st.binary(max_size=200)
    | st.sampled_from([b"x" * 100_000, b"[" * 100_000, b'{"error":"' + b"y" * 9999 + b'"}'])
)
def test_any_body_gives_a_bounded_text(body):
    assert len(error_message(body)) <= 500
