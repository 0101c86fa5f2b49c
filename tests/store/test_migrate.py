"""The store knows its newest migration, and gets there even where it takes long."""

import time
from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from trimtab import store
from trimtab.store import Database, migrate, url_of
from trimtab.store.migrate import HEAD, require_head


def test_the_head_that_is_looked_for_is_the_newest_migration():
    folder = Path(store.__file__).with_name("migrations")
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_a_slow_upgrade_is_not_cut_off(postgres, tmp_path, monkeypatch):
    upgrade, told = command.upgrade, {}

    def slowly(config, revision):
        upgrade(config, revision)
        connection = config.attributes["connection"]
        for name in ("statement_timeout", "lock_timeout", "client_connection_check_interval"):
            told[name] = connection.scalar(text(f"SHOW {name}"))
        time.sleep(2.5)

    monkeypatch.setattr(command, "upgrade", slowly)
    database = Database(url_of(postgres.database(), tmp_path))
    try:
        migrate(database)
        require_head(database)
        assert told == {
            "statement_timeout": "0",
            "lock_timeout": "30s",
            "client_connection_check_interval": "5s",
        }
        assert (
            database.transact(lambda connection: connection.scalar(text("SHOW statement_timeout"))) == "30s"
        )
    finally:
        database.close()


def test_a_server_that_cannot_notice_a_death_is_brought_up_to_date_all_the_same(
    postgres, tmp_path, monkeypatch
):
    module = import_module("trimtab.store.migrate")
    monkeypatch.setattr(module, "_NOTICE_DEATH", "no_such_setting = '5s'")
    database = Database(url_of(postgres.database(), tmp_path))
    try:
        migrate(database)
        require_head(database)
    finally:
        database.close()
