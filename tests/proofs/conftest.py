"""Fixtures of the proofs: PostgreSQL servers and gateway processes that never outlive their test."""

import pytest

from .postgres import Postgres
from .process import Gateway
from .upstream import Upstream


@pytest.fixture(scope="session")
def postgres():
    """A server for tests that leave it running."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def own_postgres():
    """A server that this test may stop."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
async def upstream():
    async with Upstream() as made:
        yield made


@pytest.fixture
async def gateways(tmp_path):
    """Makes gateways: `first = await gateways(settings, database)`; whatever still runs at the end is killed."""
    made = []

    async def make(settings, database="sqlite", name="", start=True, data=None):
        gateway = Gateway(tmp_path, settings, database, name or f"gateway{len(made)}", data)
        made.append(gateway)
        return await gateway.start() if start else gateway

    yield make
    for gateway in made:
        gateway.kill()
