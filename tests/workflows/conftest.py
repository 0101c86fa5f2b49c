"""Fixtures for tests of hosted workflows: databases of both kinds, houses that host graphs."""

import pytest

from gateway.served import endpoint
from store.conftest import database, postgres

__all__ = ["database", "hosting", "postgres"]
GRAPHS = "workflows.own_graphs"


@pytest.fixture
async def hosting(serve, upstream):
    """Serves a house that hosts one graph of `own_graphs` as workflow `work`: `served = await hosting("failing")`."""

    async def start(graph, more="", module=GRAPHS):
        return await serve(f'{endpoint(upstream)}\n[workflow.work]\ngraph = "{module}:{graph}"\n{more}')

    return start
