"""The console as routes: which path leads to which page, and who may go there."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trimtab.console.door import Doorway, FrontDoor
from trimtab.console.inbox import InboxPage
from trimtab.console.now import NowPage
from trimtab.console.premises import Premises
from trimtab.console.run import RunPage
from trimtab.console.runs import RunsPage
from trimtab.console.sheets import ROOT


def console_routes(premises: Premises) -> Sequence[BaseRoute]:
    """For the gateway, or for a process that serves the console alone."""
    door = FrontDoor(premises.keyring, premises.database, premises.clock, premises.sheets)
    now, runs, run, inbox = NowPage(premises), RunsPage(premises), RunPage(premises), InboxPage(premises)

    async def static(request: Request) -> Response:
        return premises.sheets.static(request.path_params["name"]) or Response("not here", 404)

    get, post = ["GET"], ["POST"]
    return [
        Route(f"{ROOT}/static/{{name}}", static, methods=get),
        Route(f"{ROOT}/sign-in", Doorway(door.signing_in), methods=["GET", "POST"]),
        Route(f"{ROOT}/sign-out", door.page(door.sign_out), methods=post),
        Route(ROOT, door.page(now.shown), methods=get),
        Route(f"{ROOT}/live/now", door.page(now.told), methods=get),
        Route(f"{ROOT}/runs", door.page(runs.shown), methods=get),
        Route(f"{ROOT}/run", door.page(run.shown), methods=get),
        Route(f"{ROOT}/live/run", door.page(run.told), methods=get),
        Route(f"{ROOT}/call", door.page(run.called), methods=get),
        Route(f"{ROOT}/run/cancel", door.page(run.cancelled, "operator"), methods=post),
        Route(f"{ROOT}/run/retry", door.page(run.retried, "operator"), methods=post),
        Route(f"{ROOT}/run/fork", door.page(run.forked, "operator"), methods=post),
        Route(f"{ROOT}/inbox", door.page(inbox.shown), methods=get),
        Route(f"{ROOT}/question", door.page(inbox.question), methods=get),
        Route(f"{ROOT}/question", door.page(inbox.answered, "operator"), methods=post),
    ]
