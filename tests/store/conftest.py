"""Fixtures for tests of the store: databases of both kinds, and journals."""

import itertools

import pytest

from proofs.postgres import Postgres
from store.made import Hands
from trimtab.store import Database, Journal, migrate, url_of


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
def clock():
    return Hands()


@pytest.fixture
def journal(tmp_path):
    """Makes journals: `first = journal()`, each of a process of its own."""
    made = []
    numbers = itertools.count(1)

    def make(name=""):
        new = Journal(tmp_path / "journal" / (name or f"p{next(numbers)}"))
        made.append(new)
        return new

    yield make
    for each in made:
        if each._file >= 0:
            each.close()
