"""The gateway's own description of itself, held against what it does."""

import asyncio
import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .fuzzing import Sturdy
from .served import ask, endpoint

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def _hold_against(url, operation, mode):
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def hold(case):
        case.call_and_validate(base_url=url, checks=CHECKS)

    # An operation that takes nothing cannot be given anything wrong.
    with contextlib.suppress(Unsatisfiable):
        hold()


@pytest.fixture
async def sturdy(serve, upstream):
    upstream.always = Sturdy()
    return await serve(endpoint(upstream, models='"gpt-small", "0"'))


@pytest.mark.parametrize("mode", GenerationMode)
async def test_what_is_served_is_what_is_described(sturdy, mode):
    description = (await sturdy.get("/openapi.json")).json
    schema = schemathesis.openapi.from_dict(description)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 9
    for operation in operations:
        await asyncio.to_thread(_hold_against, sturdy.url, operation, mode)
    await sturdy.at_rest()


async def test_every_path_of_the_description_is_there(sturdy):
    paths = (await sturdy.get("/openapi.json")).json["paths"]
    assert {"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"} <= set(paths)
    await sturdy.post(ask(), headers={"x-trimtab-run": "known"})
    for path, item in paths.items():
        if "get" in item:
            answer = await sturdy.get(path.replace("{model}", "gpt-small").replace("{run}", "known"))
            assert answer.status == 200


async def test_health_readiness_and_metrics(sturdy):
    assert (await sturdy.get("/healthz")).json == {"status": "ok"}
    assert (await sturdy.get("/readyz")).json == {"status": "ready"}
    assert (await sturdy.get("/metrics")).headers["content-type"].startswith("text/plain")
    sturdy.house.draining = True
    assert (await sturdy.get("/readyz")).status == 503
    assert (await sturdy.get("/healthz")).status == 200
