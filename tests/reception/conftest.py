"""Houses that host graphs, as in the tests of workflows; a small database for doors without a house."""

import pytest

from trimtab.store import Database, url_of
from workflows.conftest import database, hosting, postgres

__all__ = ["database", "hosting", "postgres", "sqlite_database"]


@pytest.fixture
def sqlite_database(tmp_path, fresh_database):
    """An empty file with all tables."""
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    opened = Database(url_of("sqlite", tmp_path))
    yield opened
    opened.close()
