"""Opens the store for a process: settings, database, migrations, and whatever dead processes left behind."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from trimtab.config import Loaded, Settings, database_of, load
from trimtab.core import SystemClock
from trimtab.core.errors import ConfigError
from trimtab.store import Database, migrate, recover_journals, url_of

DEFAULT_CONFIG = Path("trimtab.toml")


def load_config(config: Path | None) -> Loaded:
    """The settings of `config`, else of ./trimtab.toml if it is there, else defaults. Raises ConfigError."""
    if config is None and DEFAULT_CONFIG.is_file():
        config = DEFAULT_CONFIG
    return load(config, os.environ)


def data_folder(settings: Settings) -> Path:
    """The folder of journal and SQLite file, created if need be. Raises ConfigError."""
    folder = Path(settings.server.data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the data folder cannot be made: {error}", key="server.data") from error
    return folder


def journal_root(settings: Settings) -> Path:
    """Where processes keep their journals."""
    root = data_folder(settings) / "journal"
    root.mkdir(exist_ok=True)
    return root


def controller_folder(settings: Settings) -> Path:
    """Where packaged controllers are kept."""
    return Path(settings.controllers.folder or data_folder(settings) / "controllers")


def database_for(loaded: Loaded) -> Database:
    """The configured database, not yet asked anything."""
    settings = loaded.settings
    database = database_of(settings, os.environ, loaded.source)
    synchronous: Literal["NORMAL", "FULL"] = "FULL" if settings.ledger.durability == "disk" else "NORMAL"
    return Database(url_of(database, data_folder(settings)), synchronous)


@contextmanager
def open_database(config: Path | None) -> Iterator[tuple[Settings, Database]]:
    """Settings and an up-to-date database for a command. Raises ConfigError, StoreUnavailable."""
    loaded = load_config(config)
    database = database_for(loaded)
    try:
        migrate(database)
        recover_journals(database, journal_root(loaded.settings), SystemClock.now())
        yield loaded.settings, database
    finally:
        database.close()
