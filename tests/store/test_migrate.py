"""The store knows its newest migration."""

from pathlib import Path

from alembic.script import ScriptDirectory

from trimtab import store
from trimtab.store.migrate import HEAD


def test_the_head_that_is_looked_for_is_the_newest_migration():
    folder = Path(store.__file__).with_name("migrations")
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD
