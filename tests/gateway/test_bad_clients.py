"""Clients that send nonsense: always an error in their API's shape with a stable code, never a 500."""

import asyncio
import contextlib
import io
import json

import pytest

from trimtab.gateway import asgi

from .served import Answered, ask

PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
}
GOOD = {
    "chat": ask(),
    "messages": {"model": "gpt-small", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"model": "gpt-small", "input": "Hi"},
    "embeddings": {"model": "gpt-small", "input": ["Hi"]},
}


def check_shape(answer, surface):
    """The error has the surface's own shape; returns (status, code)."""
    assert answer.headers["content-type"] == "application/json"
    error = answer.error
    assert error["message"]
    if surface == "messages":
        assert set(answer.json) == {"type", "error"}
        assert answer.json["type"] == "error"
        assert error["type"].endswith("_error") or error["type"] == "request_too_large"
        return answer.status, error["type"]
    assert {"message", "type", "param", "code"} <= set(error)
    return answer.status, error["code"]


@pytest.mark.parametrize("surface", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b'{"model": "gpt-small", "messages": [{"role": "user", "content": "\\udc00"}], "input": "\\udc00"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": "gpt-small", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"model": NaN}',
        b"{'model': 'x'}",
        b'{"model": "gpt-small"} trailing',
        b"\x00" * 100,
    ],
    ids=range(16),
)
async def test_bodies_that_are_no_json_object(house, upstream, surface, body):
    status, code = check_shape(await house.post(body, PATHS[surface]), surface)
    assert status == 400
    assert code in ("invalid_json", "invalid_request", "invalid_request_error")
    assert upstream.seen == []


WRONG = {
    "chat": [
        {"model": 3},
        {"model": None},
        {"model": ""},
        {"model": "a\x00b"},
        {"model": "x" * 1_000_000},
        {"messages": None},
        {"messages": []},
        {"messages": {}},
        {"messages": "Hi"},
        {"messages": ["Hi"]},
        {"messages": [None]},
        {"stream": "yes"},
        {"stream": 1},
        {"n": 0},
        {"n": 129},
        {"n": "2"},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"max_completion_tokens": -1},
        {"max_completion_tokens": 10**12},
        {"temperature": "hot"},
        {"tools": [{}]},
        {"tools": "search"},
        {"tools": [[]]},
        {"metadata": []},
        {"stream_options": "usage"},
        {"response_format": []},
        {"logprobs": "yes"},
        {"user": 3},
    ],
    "messages": [
        {"model": 3},
        {"max_tokens": None},
        {"max_tokens": -1},
        {"messages": []},
        {"messages": 3},
        {"system": 3},
        {"tools": 3},
        {"metadata": "x"},
        {"stream": "x"},
    ],
    "responses": [
        {"model": []},
        {"input": None},
        {"input": ""},
        {"input": []},
        {"input": 3},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"previous_response_id": "r"},
        {"conversation": "c"},
        {"background": True},
        {"max_output_tokens": 0},
        {"tools": [{}]},
    ],
    "embeddings": [
        {"model": {}},
        {"input": None},
        {"input": ""},
        {"input": {}},
        {"input": [None]},
        {"user": []},
    ],
}


@pytest.mark.parametrize(
    ("surface", "wrong"),
    [(surface, wrong) for surface, wrongs in WRONG.items() for wrong in wrongs],
    ids=lambda value: str(value)[:60],
)
async def test_fields_of_the_wrong_kind_are_named(house, upstream, surface, wrong):
    answer = await house.post(GOOD[surface] | wrong, PATHS[surface])
    status, _ = check_shape(answer, surface)
    assert status == 400
    (field,) = wrong
    said = answer.error["message"] if surface == "messages" else answer.error["param"]
    assert field in said
    assert upstream.seen == []


@pytest.mark.parametrize("surface", PATHS)
async def test_an_unknown_model_is_not_found_and_close_ones_are_named(house, surface):
    answer = await house.post(GOOD[surface] | {"model": "gpt-smal"}, PATHS[surface])
    status, code = check_shape(answer, surface)
    assert (status, code) == (404, "not_found_error" if surface == "messages" else "model_not_found")
    assert "did you mean gpt-small" in answer.error["message"]


async def _raw(house, data, *, then=b"", wait=0.0, half_close=False):
    """Send raw bytes; what comes back, b'' where the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rsplit(":", 1)[1]))
    try:
        writer.write(data)
        await writer.drain()
        if wait:
            await asyncio.sleep(wait)
            writer.write(then)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(10):
            head = b"HTTP/1.1 100"
            while head.startswith(b"HTTP/1.1 100"):
                head = await reader.readuntil(b"\r\n\r\n")
            length = int(
                next(ln for ln in head.lower().split(b"\r\n") if b"content-length" in ln).split(b":")[1]
            )
            body = await reader.readexactly(length)
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return Answered(int(lines[0].split()[1]), headers, body)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


LIMIT = 16 * 1024 * 1024


@pytest.mark.parametrize("surface", ["chat", "messages"])
async def test_a_body_over_the_limit_is_413_by_its_announced_length(house, surface):
    head = f"POST {PATHS[surface]} HTTP/1.1\r\nhost: x\r\ncontent-length: {LIMIT + 1}\r\n\r\n"
    answer = await _raw(house, head.encode())
    assert check_shape(answer, surface) == (413, "request_too_large")


async def test_a_body_over_the_limit_is_413_in_chunks_too(house):
    async def chunks():
        for _ in range(16):
            yield b" " * (1024 * 1024)
        yield b" "

    async with house.session.post(f"{house.v1}/chat/completions", data=chunks()) as answer:
        got = Answered(answer.status, answer.headers, await answer.read())
    assert check_shape(got, "chat") == (413, "request_too_large")


async def test_a_body_of_just_the_limit_is_read(house):
    body = json.dumps(ask()).encode()
    padded = io.BytesIO(body + b" " * (LIMIT - len(body)))
    async with house.session.post(f"{house.v1}/chat/completions", data=padded) as answer:
        assert answer.status == 200


async def test_a_body_that_does_not_come_is_refused(house, monkeypatch):
    monkeypatch.setattr(asgi, "_BODY_SECONDS", 0.2)
    answer = await _raw(house, b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
    assert check_shape(answer, "chat") == (400, "invalid_request")


async def test_a_slow_body_is_waited_for(house):
    body = json.dumps(ask()).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    answer = await _raw(house, head + body[:20], then=body[20:], wait=0.3)
    assert answer.status == 200


async def test_a_body_that_is_left_in_the_middle_leaves_nothing(house, upstream):
    _, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rsplit(":", 1)[1]))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await writer.wait_closed()
    await house.no_strays()
    assert upstream.seen == []
    assert await house.calls() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("surface", PATHS)
async def test_the_wrong_method(house, method, surface):
    async with house.session.request(method, house.url + PATHS[surface]) as answer:
        got = Answered(answer.status, answer.headers, await answer.read())
    status, code = check_shape(got, surface)
    assert status == 405
    assert code == ("invalid_request_error" if surface == "messages" else "method_not_allowed")
    assert "POST" in got.headers["allow"] or method == "OPTIONS"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/chat/completions", "/v1/messages/batches", "/v1/running", "/%ff%00"]
)
async def test_an_unknown_path(house, path):
    surface = "messages" if path.startswith("/v1/messages") else "chat"
    status, code = check_shape(await house.post({}, path), surface)
    assert (status, code) == (404, "not_found_error" if surface == "messages" else "not_found")


HEADERS = [
    {"content-type": "text/plain"},
    {"content-type": "application/x-www-form-urlencoded"},
    {"accept": "image/png"},
    {"expect": "100-continue"},
    {"authorization": "Bearer"},
    {"authorization": "Bearer " + "x" * 5000},
    {"authorization": "\xff\xfe"},
    {"x-api-key": "ü"},
    {"baggage": "=" * 4000},
    {"baggage": ",".join(f"k{n}={n}" for n in range(400))},
    {"baggage": "a=%zz,%41=%"},
    {"traceparent": "\xff" * 55},
    {"x-trimtab-run": "\xff" * 300},
    {"x-trimtab-end": "maybe"},
    {"x-trimtab-gateway": "2"},
    {"x-trimtab-unknown": "1"},
    {"x-trimtab-gateway": "1"},
    {"cookie": "a=b; " * 500},
    {"range": "bytes=0-1"},
    {"x-forwarded-proto-x": "y"},
]


@pytest.mark.parametrize("headers", HEADERS, ids=range(len(HEADERS)))
async def test_odd_headers_do_no_harm(house, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    body = json.dumps(ask()).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
    answer = await _raw(house, head.encode("latin-1") + body)
    assert answer.status == 200


@pytest.mark.parametrize(
    "data", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01", b"POST / HTTP/9.9\r\n\r\n"]
)
async def test_what_is_no_http_hurts_nobody(house, data):
    _, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rsplit(":", 1)[1]))
    writer.write(data)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert (await house.post(ask())).status == 200


async def test_a_fault_of_ours_is_told_in_the_clients_shape_and_logged(house, caplog, monkeypatch):
    monkeypatch.setattr(house.house.dispatch, "_walk", None)
    for surface in PATHS:
        answer = await house.post(GOOD[surface], PATHS[surface], {"x-trimtab-run": "r7"})
        status, code = check_shape(answer, surface)
        assert (status, code) == (500, "api_error" if surface == "messages" else "internal_error")
        assert "NoneType" not in answer.error["message"]
    assert "r7" in caplog.text
    monkeypatch.setattr(house.house.keyring, "open", None)
    answer = await house.post({"reward": 1}, "/v1/runs/r8/outcome")
    assert check_shape(answer, "chat") == (500, "internal_error")
    assert "r8" in caplog.text
