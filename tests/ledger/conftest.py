"""Fixtures for tests of the ledger: a database, a clock, and branches that are closed at the end."""

import pytest

from store.made import FlakyDatabase, Hands
from trimtab.store import url_of

from .bank import Branch


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def database(tmp_path, fresh_database):
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    opened = FlakyDatabase(url_of("sqlite", tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def branch(tmp_path, database, clock):
    """Makes branches: `first = branch()`."""
    made = []

    def make(the_book=None, **settings):
        new = Branch(database, tmp_path / "journal", clock, the_book, **settings).open()
        made.append(new)
        return new

    yield make
    for each in made:
        if each.journal._file >= 0:
            each.journal.close()
