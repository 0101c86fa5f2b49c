"""The controllers at work in this process: follows what the database says, loads and warms what is new.

`dispatch/` asks it who serves a workflow. What cannot be loaded is said once, is shown, and serves nobody.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import msgspec

from trimtab.controllers.conversation import Conversation, Turn
from trimtab.controllers.host import Host
from trimtab.controllers.loaders import LOADERS, Bench, Loader
from trimtab.controllers.manifest import Manifest
from trimtab.controllers.question import Question
from trimtab.controllers.registry import Package, Registry
from trimtab.controllers.tally import Tally
from trimtab.core import ControllerKind
from trimtab.core.errors import DataError, StoreUnavailable
from trimtab.store import Database, StateRow, controllers

_log = logging.getLogger(__name__)
_REFRESH_SECONDS = 2.0
_TURNS_TO_RETRY = 15
_WARM = Question(
    Conversation((Turn("system", "You help."), Turn("user", "Hello, what can you do?"))), "Hello?"
)
_Place = tuple[str, str, str]


class Desk:
    """One thread, and what its controllers share."""

    def __init__(self, cache: Path | None, name: str) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"controllers-{name}")
        self.bench = Bench(cache)


class Crew(msgspec.Struct, frozen=True):
    """The controllers of one workflow: who serves, and who looks on."""

    serving: Mapping[str, Host] = {}
    shadows: tuple[Host, ...] = ()


_NOBODY = Crew()


class Roster:
    """Constructed by `app/`. Serving controllers share one thread, those that look on another. `silence` says why the
    settings keep a version from ever answering, which is logged once when it comes to work."""

    def __init__(
        self,
        registry: Registry,
        database: Database,
        loaders: Mapping[ControllerKind, Loader] | None = None,
        refresh_seconds: float = _REFRESH_SECONDS,
        silence: Callable[[Manifest], str] = lambda _: "",
    ) -> None:
        self._registry, self._database, self._loaders = registry, database, loaders or LOADERS
        self._refresh_seconds, self._silence = refresh_seconds, silence
        self._desks = {state: Desk(registry.cache, state) for state in ("enabled", "shadow")}
        self._hosts: dict[_Place, tuple[str, Host]] = {}
        self._crews: dict[str, Crew] = {}
        self._rows: list[StateRow] = []
        self.tally = Tally(database)
        self.problems: dict[_Place, str] = {}

    def crew(self, workflow: str) -> Crew:
        """Who works for a workflow."""
        return self._crews.get(workflow, _NOBODY)

    @property
    def hosts(self) -> Iterable[tuple[str, Host]]:
        """All that are at work, each with its state."""
        return self._hosts.values()

    async def load(self) -> None:
        """Bring the crews in line with the database. Raises StoreUnavailable."""
        rows = await self._database.run(controllers.at_work)
        if rows == self._rows:
            return
        hosts: dict[_Place, tuple[str, Host]] = {}
        problems: dict[_Place, str] = {}
        for row in rows:
            place = (row.workflow, row.kind, row.version)
            known = self._hosts.get(place)
            if known is not None and known[0] == row.state:
                hosts[place] = known
                continue
            try:
                hosts[place] = (row.state, await self._open(row))
            except DataError as error:
                problems[place] = str(error)
                if self.problems.get(place) != str(error):
                    _log.error("controller %s/%s@%s does not work: %s", *place, error)
        self._hosts, self._crews, self.problems, self._rows = hosts, _crews(hosts), problems, rows

    async def run(self) -> None:
        """Follow the database and write counts until cancelled."""
        for turn in count(1):
            await asyncio.sleep(self._refresh_seconds)
            if self.problems and turn % _TURNS_TO_RETRY == 0:
                self._rows = []
            try:
                await self.load()
                await self.tally.flush()
            except StoreUnavailable:
                continue
            except Exception:
                # The task's edge: without it no change would be noticed any more.
                _log.exception("the controllers' states cannot be read; it is tried again")

    async def close(self) -> None:
        """Write what was counted, and end the threads."""
        try:
            await self.tally.flush()
        except StoreUnavailable as error:
            _log.warning("what controllers decided last is not counted: %s", error)
        for desk in self._desks.values():
            desk.thread.shutdown(wait=False, cancel_futures=True)

    async def _open(self, row: StateRow) -> Host:
        """Verify one in any thread, load and warm it in the thread it will decide in. Raises DataError."""
        package = await asyncio.to_thread(self._registry.open, row.workflow, row.kind, row.version)
        desk, loop = self._desks[row.state], asyncio.get_running_loop()
        host = await loop.run_in_executor(desk.thread, open_host, package, desk, self._loaders)
        if why := self._silence(host.manifest):
            _log.warning("controller %s is %s: %s", host.title, row.state, why)
        return host


def open_host(package: Package, desk: Desk, loaders: Mapping[ControllerKind, Loader]) -> Host:
    """A verified package, loaded and asked once, so that the first call need not wait. Raises DataError."""
    try:
        decide = loaders[package.manifest.kind](package.folder, desk.bench)
        host = Host(package.manifest, decide, desk.thread)
        host.decide(_WARM)
    except DataError:
        raise
    except Exception as error:  # the edge to what was learned and to the libraries it needs
        said = f"cannot be loaded: {type(error).__name__}: {error}"
        remedy = "learn it again with this version, or disable it with `trimtab controllers disable`"
        raise DataError(said, file=str(package.folder), remedy=remedy) from error
    return host


def _crews(hosts: Mapping[_Place, tuple[str, Host]]) -> dict[str, Crew]:
    crews: dict[str, Crew] = {}
    for (workflow, kind, _), (state, host) in hosts.items():
        crew = crews.get(workflow, _NOBODY)
        if state == "enabled":
            crew = msgspec.structs.replace(crew, serving={**crew.serving, kind: host})
        else:
            crew = msgspec.structs.replace(crew, shadows=(*crew.shadows, host))
        crews[workflow] = crew
    return crews
