"""A gateway as a process of its own: started, killed, stopped, and its books read from outside."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

import trimtab
from trimtab.store import Database, meters, url_of, workflow_runs

SOURCE, TESTS = Path(trimtab.__file__).parents[1], Path(__file__).parents[1]
_START_SECONDS = 60


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """One gateway: settings, a data folder and a port that stay the same over all its starts."""

    def __init__(
        self,
        folder: Path,
        settings: str,
        database: str = "sqlite",
        name: str = "gateway",
        data: Path | None = None,
    ):
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        self.data = data or self.folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database
        head = f'[server]\nport = {self.port}\ndata = "{self.data}"\ndatabase = "{database}"\n'
        self.config = self.folder / "trimtab.toml"
        self.config.write_text(head + settings)
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self, wait=True):
        """Start it and wait until it serves."""
        self.starts += 1
        log = (self.folder / f"log.{self.starts}").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trimtab", "serve", "-c", str(self.config)],
            stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": f"{SOURCE}:{TESTS}"},
        )  # fmt: skip
        log.close()
        if wait:
            await self.serving()
        return self

    async def serving(self):
        """Wait until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline:
                assert self.process.poll() is None, f"{self.name} ended: {self.log()}"
                try:
                    async with session.get(f"{self.url}/healthz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.02)
        raise AssertionError(f"{self.name} does not serve: {self.log()}")

    def log(self):
        """What the latest start wrote."""
        return (self.folder / f"log.{self.starts}").read_text(errors="replace")[-4_000:]

    def logs(self):
        """What all starts wrote."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("log.*")))

    def kill(self):
        """Kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)

    async def stop(self, seconds=60):
        """Stop it cleanly."""
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.process.wait, seconds)
        assert code == 0, f"{self.name} ended with {code}: {self.log()}"

    def pause(self):
        """Stop it where it stands."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def books(self):
        """Its database, to be read by `Books`."""
        return Books(Database(url_of(self.database_url, self.data)))


class Books:
    """The ledger as it stands in the database."""

    def __init__(self, database: Database):
        self._database = database

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._database.close()

    def table(self, name):
        """All rows of a table."""
        from sqlalchemy import select

        from trimtab.store import schema

        statement = select(getattr(schema, name))
        return [dict(row) for row in self._database.read(lambda c: c.execute(statement).mappings().all())]

    def runs(self):
        """Hosted runs."""
        return self._database.read(lambda c: workflow_runs.page(c, limit=100_000))

    def entries(self):
        """Entries by id."""
        lines = self.table("entry")
        assert len({line["id"] for line in lines}) == len(lines)
        return {line["id"]: line for line in lines}

    def spent(self):
        """The sum of all entries, in nanodollars."""
        return sum(line["nanodollars"] for line in self.table("entry"))

    def meters(self):
        """Money meters."""
        return self._database.read(meters.meters)

    def leased(self):
        """The sum of all leases."""
        return sum(row["granted"] for row in self.table("lease"))
