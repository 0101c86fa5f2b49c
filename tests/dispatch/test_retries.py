"""Failures that another try, or another endpoint, makes good."""

import asyncio
import socket

import msgspec
import pytest

from gateway.served import ask, cost, endpoint
from gateway.upstream import Says, hangs_up, refuses
from trimtab.core import AttemptRecord, Usage

RETRIES = "retries = 2\n"


def attempts_of(call):
    """(endpoint, outcome, status) of each attempt of a recorded call."""
    attempts = msgspec.json.decode(call.attempts, type=list[AttemptRecord])
    return [(made.endpoint, made.outcome, made.status) for made in attempts]


@pytest.fixture
async def patient(serve, upstream):
    """One endpoint with two retries."""
    return await serve(endpoint(upstream, more=RETRIES))


@pytest.fixture
async def pair(serve, upstreams):
    """Two endpoints of one model, the cheaper one first; no retries."""
    first, second = await upstreams(), await upstreams()
    dear = "price = { input = 2.0, output = 20.0 }"
    served = await serve(endpoint(first, "first") + endpoint(second, "second", more=dear))
    return served, first, second


async def test_a_500_is_tried_again_and_only_the_answer_is_charged(patient, upstream):
    upstream.then(refuses(500), refuses(503))
    answer = await patient.post(ask())
    assert answer.status == 200
    assert len(upstream.seen) == 3
    assert (await patient.entry()).nanodollars == cost(upstream.seen[2].billed)
    outcomes = attempts_of(await patient.call())
    assert outcomes == [("main", "failed", 500), ("main", "failed", 503), ("main", "answered", 200)]


async def test_a_stream_that_fails_before_its_first_event_is_tried_again(patient, upstream):
    upstream.then(refuses(500))
    answer = await patient.post(ask(stream=True))
    assert answer.text == Says().text
    assert len(upstream.seen) == 2


async def test_retries_end_and_the_last_error_is_told(patient, upstream):
    upstream.always = refuses(500, "still broken")
    answer = await patient.post(ask())
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    assert (answer.error["endpoint"], answer.error["upstream_status"]) == ("main", 500)
    assert "still broken" in answer.error["message"]
    assert len(upstream.seen) == 3
    assert await patient.entries() == []


async def test_an_endpoints_retry_after_is_waited_for(patient, upstream):
    upstream.then(refuses(429, retry_after="0.4"))
    began = asyncio.get_running_loop().time()
    assert (await patient.post(ask())).status == 200
    assert asyncio.get_running_loop().time() - began >= 0.4


async def test_a_retry_after_that_is_too_long_is_passed_on_at_once(patient, upstream):
    upstream.then(refuses(429, retry_after="90"))
    answer = await patient.post(ask())
    assert (answer.status, answer.headers["retry-after"]) == (429, "90")
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("value", ["inf", "-1", "nan", "1e300", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_odd_retry_afters_do_no_harm(house, upstream, value):
    upstream.then(refuses(429, retry_after=value))
    answer = await house.post(ask())
    assert answer.status == 429
    assert int(answer.headers.get("retry-after", "1")) <= 86_400


async def test_a_429_goes_to_another_endpoint_rather_than_wait(pair):
    served, first, second = pair
    first.always = refuses(429, retry_after="30")
    answer = await served.post(ask())
    assert answer.headers["x-trimtab-endpoint"] == "second"
    assert (len(first.seen), len(second.seen)) == (1, 1)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 408, 425, 500, 502, 503, 504, 529])
async def test_faults_of_an_endpoint_go_to_the_next(pair, status):
    served, first, second = pair
    first.always = refuses(status)
    assert (await served.post(ask())).status == 200
    assert len(second.seen) == 1
    assert (await served.entries())[-1].endpoint == "second"


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_faults_that_last_are_not_tried_again_at_the_same_endpoint(patient, upstream, status):
    upstream.always = refuses(status)
    assert (await patient.post(ask())).status == 502
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_an_endpoint_says_of_the_request_itself_is_passed_on(pair, status):
    served, first, second = pair
    first.always = refuses(status, "too much of it")
    answer = await served.post(ask())
    assert (answer.status, answer.error["code"]) == (status, "upstream_refused")
    assert "too much of it" in answer.error["message"]
    assert second.seen == []
    assert await served.entries() == []


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_faults_of_our_own_account_are_not_told_as_the_clients(house, upstream, status):
    upstream.always = refuses(status)
    answer = await house.post(ask())
    assert (answer.status, answer.error["upstream_status"]) == (502, status)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_connection_goes_to_the_next_endpoint(serve, upstream, stream):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = endpoint(upstream, "gone").replace(str(upstream.port), str(nobody.getsockname()[1]))
        served = await serve(gone + endpoint(upstream, "here"))
        answer = await served.post(ask(stream=stream))
    assert answer.headers["x-trimtab-endpoint"] == "here"
    line = await served.entry()
    assert (line.endpoint, line.nanodollars) == ("here", cost(upstream.seen[0].billed))
    assert attempts_of(await served.call())[0] == ("gone", "failed", None)


async def test_an_endpoint_that_hangs_up_may_have_billed_so_its_worst_case_is_charged(pair):
    served, first, second = pair
    first.always = hangs_up()
    asked = ask()
    assert (await served.post(asked)).status == 200
    lost, won = await served.entries()
    assert (lost.endpoint, lost.certainty, won.endpoint, won.certainty) == (
        "first",
        "worst_case",
        "second",
        "exact",
    )
    assert lost.output_tokens == asked["max_completion_tokens"]
    assert lost.nanodollars >= cost(first.seen[0].billed)
    assert lost.nanodollars == cost(Usage(lost.input_tokens, lost.output_tokens))
    assert won.nanodollars == 2 * cost(second.seen[0].billed)


async def test_when_all_fail_the_last_failure_is_told(pair):
    served, first, second = pair
    first.always, second.always = refuses(500, "first words"), refuses(503, "last words")
    answer = await served.post(ask())
    assert (answer.status, answer.error["endpoint"]) == (502, "second")
    assert "last words" in answer.error["message"]
    assert (await served.call()).status == "failed"


async def test_no_further_try_after_the_calls_own_deadline(pair):
    served, first, second = pair

    async def slowly(talk):
        await asyncio.sleep(0.3)
        await refuses(500)(talk)

    first.always = slowly
    answer = await served.post(ask(), headers={"x-trimtab-timeout-seconds": "0.2"})
    assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
    assert second.seen == []


async def test_connections_to_an_endpoint_are_used_again(house, upstream):
    for stream in (False, True, False, True, False):
        assert (await house.post(ask(stream=stream))).status == 200
    assert {seen.connection for seen in upstream.seen} == {1}


async def test_a_kept_connection_that_the_endpoint_closed_is_replaced(patient, upstream):
    upstream.then(Says())
    await patient.post(ask())
    await upstream.hang_up()
    assert (await patient.post(ask())).status == 200
    assert len(await patient.entries()) == 2
