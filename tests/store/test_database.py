"""The database: failures have one name, nothing waits for ever, and what a slow answer did is done once."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from trimtab.core.errors import ConfigError, StoreUnavailable
from trimtab.store import Database, migrate, url_of
from trimtab.store import schema as store_schema

from .made import rows


def test_a_database_is_a_file_or_a_postgresql_url(tmp_path):
    assert url_of("sqlite", tmp_path).database == str(tmp_path / "trimtab.sqlite")
    assert url_of("postgres://u@h/d", tmp_path).drivername == "postgresql+psycopg"
    assert url_of("postgresql://u@h/d", tmp_path).drivername == "postgresql+psycopg"
    with pytest.raises(ConfigError):
        url_of("mysql://u@h/d", tmp_path)


def test_a_postgresql_that_is_away_is_unavailable_at_once(tmp_path):
    database = Database(url_of("postgresql://u@127.0.0.1:1/d", tmp_path))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        migrate(database)
    assert time.monotonic() - began < 5
    database.close()


def test_a_failed_transaction_leaves_nothing(database):
    def work(connection):
        connection.execute(text("INSERT INTO process VALUES ('p', 'h', 1, 'live', 1, 1, 1, 0)"))
        raise KeyError("stop")

    with pytest.raises(KeyError):
        database.transact(work)
    assert rows(database, "process") == []


async def test_work_without_an_answer_is_unavailable_and_queued_work_is_never_done(database):
    gate, done = threading.Event(), []

    def wait(connection):
        gate.wait(10)
        done.append("slow")

    slow = [asyncio.ensure_future(database.run(wait, 0.2)) for _ in range(3)]
    await asyncio.sleep(0)
    queued = asyncio.ensure_future(database.run(lambda c: done.append("queued"), 0.1))
    answers = await asyncio.gather(*slow, queued, return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    gate.set()
    await database.run(lambda c: None)
    assert "queued" not in done
    assert "slow" in done


async def test_work_that_was_given_up_leaves_nothing_even_if_it_ends_later(database):
    gate, begun = threading.Event(), threading.Event()

    def slow(connection):
        connection.execute(text("INSERT INTO process VALUES ('p', 'h', 1, 'live', 1, 1, 1, 0)"))
        begun.set()
        gate.wait(10)

    waiting = asyncio.ensure_future(database.run(slow, 0.3))
    assert await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(StoreUnavailable):
        await waiting
    gate.set()
    await asyncio.gather(*[database.run(lambda c: None) for _ in range(3)])
    assert rows(database, "process") == []


async def test_cancelled_work_leaves_nothing_even_if_it_ends_later(database):
    gate, begun = threading.Event(), threading.Event()

    def slow(connection):
        connection.execute(text("INSERT INTO process VALUES ('p', 'h', 1, 'live', 1, 1, 1, 0)"))
        begun.set()
        gate.wait(10)

    waiting = asyncio.ensure_future(database.run(slow))
    assert await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.set()
    await asyncio.gather(*[database.run(lambda c: None) for _ in range(3)])
    assert rows(database, "process") == []


def test_a_frozen_postgresql_holds_up_no_shutdown(tmp_path, monkeypatch):
    from proofs.postgres import Postgres
    from trimtab.store import database as databases

    monkeypatch.setattr(databases, "_CLOSE_SECONDS", 0.5)
    server = Postgres()
    try:
        database = Database(url_of(server.database(), tmp_path))
        migrate(database)
        server.freeze()
        stuck = database._threads.submit(database.transact, lambda c: c.execute(text("SELECT 1")))
        began = time.monotonic()
        database.close()
        assert time.monotonic() - began < 8
        assert isinstance(stuck.exception(), StoreUnavailable)
    finally:
        server.close()


def test_power_loss_is_guarded_against_where_it_is_asked_for(tmp_path):
    for wanted, number in (("NORMAL", 1), ("FULL", 2)):
        database = Database(url_of("sqlite", tmp_path), wanted)
        assert database.transact(lambda c: c.scalar(text("PRAGMA synchronous"))) == number
        database.close()


def test_a_file_that_was_deleted_swallows_nothing(tmp_path):
    database = Database(url_of("sqlite", tmp_path))
    migrate(database)
    database.transact(lambda c: c.execute(text("SELECT 1")))
    for path in tmp_path.glob("trimtab.sqlite*"):
        path.unlink()
    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        database.transact(lambda c: c.execute(text("SELECT 1")))
    assert list(tmp_path.glob("trimtab.sqlite*")) == []
    database.close()


def test_a_database_of_an_older_version_is_brought_up_with_what_is_in_it(tmp_path):
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    database = Database(url_of("sqlite", tmp_path))
    config = Config()
    config.set_main_option("script_location", str(Path(store_schema.__file__).parent / "migrations"))

    def older(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        columns = [row[1:3] for row in connection.execute(text("PRAGMA table_info(entry)"))]
        values = ", ".join("0" if kind in ("BIGINT", "FLOAT") else "'x'" for _, kind in columns)
        connection.execute(text(f"INSERT INTO entry VALUES ({values})"))

    database.transact(older)
    migrate(database)
    assert database.read(lambda c: c.scalar(text("SELECT saved_nanodollars FROM entry"))) == 0
    database.close()


def test_a_process_that_stops_within_a_transaction_loses_its_rows_to_others(postgres, tmp_path):
    url = url_of(postgres.database(), tmp_path)
    stopped, other = Database(url), Database(url)
    migrate(stopped)
    stopped.transact(
        lambda c: c.execute(text("INSERT INTO process VALUES ('p', 'h', 1, 'live', 1, 1, 1, 0)"))
    )
    locked = threading.Event()

    def stops(connection):
        connection.execute(text("UPDATE process SET beat_at = 2"))
        locked.set()
        time.sleep(2.5)
        connection.execute(text("UPDATE process SET beat_at = 3"))

    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(stopped.transact, stops)
        locked.wait(5)
        began = time.monotonic()
        other.transact(lambda c: c.execute(text("UPDATE process SET beat_at = 4")))
        assert time.monotonic() - began < 2.4
        with pytest.raises(StoreUnavailable):
            late.result()
    assert [row["beat_at"] for row in rows(other, "process")] == [4]
    assert stopped.transact(lambda c: c.execute(text("SELECT 1")).scalar()) == 1
    for database in (stopped, other):
        database.close()


def test_a_database_of_a_later_version_is_left_alone(tmp_path):
    database = Database(url_of("sqlite", tmp_path))
    migrate(database)
    database.transact(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(ConfigError, match="is of version 9999"):
        migrate(database)
    database.close()
