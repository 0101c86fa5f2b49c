"""Fixtures for tests of hosted workflows: databases of both kinds, houses that host graphs."""

import pytest

from gateway.served import endpoint
from proofs.postgres import Postgres
from trimtab.store import Database, migrate, url_of

GRAPHS = "workflows.own_graphs"


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path, fresh_database):
    """An empty database with all tables; the test runs once with each kind."""
    if request.param == "sqlite":
        (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
        url = url_of("sqlite", tmp_path)
    else:
        url = url_of(request.getfixturevalue("postgres").database(), tmp_path)
    opened = Database(url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
async def hosting(serve, upstream):
    """Serves a house that hosts one graph of `own_graphs` as workflow `work`: `served = await hosting("failing")`."""

    async def start(graph, more="", module=GRAPHS):
        return await serve(f'{endpoint(upstream)}\n[workflow.work]\ngraph = "{module}:{graph}"\n{more}')

    return start
