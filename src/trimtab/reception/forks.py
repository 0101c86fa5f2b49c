"""What people tell runs to do over HTTP: to fork, to be tried again, to end. Of the caller's tenant's runs."""

from functools import partial

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trimtab.reception.desk import Asked, Desk, said
from trimtab.store import Database
from trimtab.traces import brief_json
from trimtab.workflows import Forks, ForkTerms, Host, cancel_run, retry_run


def fork_routes(desk: Desk, door: "ForkDoor") -> list[BaseRoute]:
    """For the gateway."""
    return [
        Route("/v1/runs/{run}/fork", desk.door(door.forked), methods=["POST"]),
        Route("/v1/runs/{run}/retry", desk.door(door.retried), methods=["POST"]),
        Route("/v1/runs/{run}/cancel", desk.door(door.cancelled), methods=["POST"]),
    ]


class ForkDoor:
    """Constructed by `app/`."""

    def __init__(self, forks: Forks, host: Host, database: Database) -> None:
        self._forks, self._host, self._database = forks, host, database

    async def forked(self, asked: Asked) -> Response:
        """`POST /v1/runs/{run}/fork` with {checkpoint | step, update, as_node}: the new run."""
        terms = asked.decoded(ForkTerms)
        row = await self._forks.fork(asked.key.tenant, asked.path["run"], terms, by=asked.key)
        return said(brief_json(row), 201)

    async def retried(self, asked: Asked) -> Response:
        """`POST /v1/runs/{run}/retry`: a parked or failed run is queued again."""
        work = partial(retry_run, tenant=asked.key.tenant, id=asked.path["run"])
        return said(brief_json(await self._database.run(work)))

    async def cancelled(self, asked: Asked) -> Response:
        """`POST /v1/runs/{run}/cancel`: 409 where it is over already."""
        work = partial(cancel_run, tenant=asked.key.tenant, id=asked.path["run"])
        row = await self._database.run(work)
        if row.state == "running":
            # Where it is driven in this process, the call under way ends at once.
            await self._host.cancel(row.id)
        return said(brief_json(row))
