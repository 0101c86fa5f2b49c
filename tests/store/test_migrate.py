"""The store knows its newest migration, and gets there even where it takes long."""

import time
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from trimtab import store
from trimtab.store import Database, migrate, url_of
from trimtab.store.migrate import HEAD, require_head


def test_the_head_that_is_looked_for_is_the_newest_migration():
    folder = Path(store.__file__).with_name("migrations")
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_a_slow_upgrade_is_not_cut_off(postgres, tmp_path, monkeypatch):
    upgrade = command.upgrade

    def slowly(config, revision):
        upgrade(config, revision)
        time.sleep(2.5)

    monkeypatch.setattr(command, "upgrade", slowly)
    database = Database(url_of(postgres.database(), tmp_path))
    try:
        migrate(database)
        require_head(database)
    finally:
        database.close()
