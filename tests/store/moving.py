"""Takes a database back to an older version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from trimtab import store


def downgrade(database, revision):
    def work(connection):
        config = Config()
        config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == revision

    database.transact(work)
