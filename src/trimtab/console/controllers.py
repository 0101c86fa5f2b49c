"""The pages of controllers: all versions with their state; one with its figures, and what can be done with it."""

from collections.abc import Mapping

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from trimtab.console.charts import bar
from trimtab.console.levels import drift_in, level_lines, mode_tables, option_lines
from trimtab.console.premises import Premises, Seats
from trimtab.console.sheets import link
from trimtab.console.shelf import Spot, Version, fault_of, read_states, read_tallies, read_versions
from trimtab.console.visitor import Visitor
from trimtab.core.errors import BadRequest, Conflict, NotFound

_MOST = 200
_EVENTS = 50
_VERIFIED_SECONDS = 30.0


class ControllersPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/controllers`: every version there is."""
        versions = await self._versions()
        return self._premises.sheets.page(
            "controllers",
            visitor,
            "Controllers",
            rows=versions[:_MOST],
            more=max(0, len(versions) - _MOST),
            silence=self._silence,
            folder=str(self._premises.controllers),
        )

    async def one(self, visitor: Visitor) -> Response:
        """`GET /console/controller?workflow=&kind=&version=`: all of one version; its files are verified."""
        version = await self._find(_spot(visitor.query))
        spot, manifest = version.spot, version.manifest
        told = await self._premises.reader.read(lambda c: read_tallies(c, spot))
        known = self._premises.loaded.settings.workflow.get(spot[0])
        return self._premises.sheets.page(
            "controller",
            visitor,
            f"Controller {version.title[:60]}",
            version=version,
            fault=version.fault or await self._fault(spot),
            silence=self._silence(version),
            manifest=manifest,
            levels=[] if manifest is None else level_lines(manifest),
            raised={} if known is None else known.thresholds,
            modes=mode_tables(manifest, told.rows),
            options=option_lines(told.rows),
            drift=drift_in(manifest, told.rows),
            events=told.events[::-1][:_EVENTS],
            can_act=self._premises.seats is not None,
            passed=_passed(version),
            bar=bar,
        )

    async def shadowed(self, visitor: Visitor) -> Response:
        """`POST /console/controller/shadow`: it decides beside the model from now on."""
        version = await self._find(_spot(visitor.form))
        await self._seats().put_to_work(*version.spot, "shadow", visitor.name, forced=False)
        return _seen(version)

    async def enabled(self, visitor: Visitor) -> Response:
        """`POST /console/controller/enable`: it answers in the model's place from now on."""
        version, forced = await self._find(_spot(visitor.form)), visitor.form.get("force") == "1"
        if not (_passed(version) or forced):
            raise BadRequest(
                f"{version.title} has no evaluation that was passed: tick the box beside Enable to do it all the same",
                param="force",
            )
        await self._seats().put_to_work(*version.spot, "enabled", visitor.name, forced=forced)
        return _seen(version)

    async def disabled(self, visitor: Visitor) -> Response:
        """`POST /console/controller/disable`: it is taken off its work."""
        version = await self._find(_spot(visitor.form))
        if not await self._seats().lay_off(*version.spot, visitor.name):
            raise Conflict(f"{version.title} is not at work")
        return _seen(version)

    async def _versions(self) -> list[Version]:
        reader, root = self._premises.reader, self._premises.controllers

        def work(connection: Connection) -> list[Version]:
            return read_versions(root, *read_states(connection))

        return await reader.read(work)

    async def _find(self, spot: Spot) -> Version:
        """By what is there, never by a path made of what was asked. Raises NotFound."""
        found = next((each for each in await self._versions() if each.spot == spot), None)
        if found is None:
            workflow, kind, version = spot
            raise NotFound(f"there is no controller {workflow}/{kind}@{version}", code="controller_not_found")
        return found

    async def _fault(self, spot: Spot) -> str:
        """Hashing takes a while for large encoders, so it is not done anew for every look."""
        reader, root = self._premises.reader, self._premises.controllers
        key = ("controller", *spot)
        return await reader.kept(key, _VERIFIED_SECONDS, lambda: reader.run(lambda: fault_of(root, spot)))

    def _silence(self, version: Version) -> str:
        seats = self._premises.seats
        return "" if seats is None or version.manifest is None else seats.silence(version.manifest)

    def _seats(self) -> Seats:
        if self._premises.seats is None:
            raise BadRequest("controllers can only be looked at here")
        return self._premises.seats


def _seen(version: Version) -> Response:
    """Back to its page. Who did it stands among the events of the controller."""
    workflow, kind, name = version.spot
    return RedirectResponse(link("/controller", workflow=workflow, kind=kind, version=name), 303)


def _spot(asked: Mapping[str, str]) -> Spot:
    workflow, kind, version = (asked.get(name, "") for name in ("workflow", "kind", "version"))
    if not (workflow and kind and version):
        raise BadRequest("name a controller by workflow, kind and version")
    return workflow, kind, version


def _passed(version: Version) -> bool:
    manifest = version.manifest
    return manifest is not None and manifest.report is not None and manifest.report.passed
