"""The console as routes: which path leads to which page, and who may go there."""

from collections.abc import Sequence

from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route

from trimtab.console.budgets import BudgetsPage
from trimtab.console.controllers import ControllersPage
from trimtab.console.costs import CostsPage
from trimtab.console.door import Doorway, FrontDoor
from trimtab.console.endpoints import EndpointsPage
from trimtab.console.frontier import FrontierPage
from trimtab.console.inbox import InboxPage
from trimtab.console.keys import KeyPage
from trimtab.console.now import NowPage
from trimtab.console.premises import Premises
from trimtab.console.run import RunPage
from trimtab.console.runs import RunsPage
from trimtab.console.settings import SettingsPage
from trimtab.console.sheets import ROOT
from trimtab.console.whatif import WhatIfPage


def console_routes(premises: Premises) -> Sequence[BaseRoute]:
    """For the gateway, or for a process that serves the console alone."""
    door = FrontDoor(premises.keyring, premises.database, premises.clock, premises.sheets)
    now, runs, run, inbox = NowPage(premises), RunsPage(premises), RunPage(premises), InboxPage(premises)
    costs = CostsPage(premises)

    whatif = WhatIfPage(premises)
    frontier = FrontierPage(premises)

    get, post = ["GET"], ["POST"]
    return [
        Route(f"{ROOT}/static/{{name}}", Doorway(door.static), methods=get),
        Route(f"{ROOT}/sign-in", Doorway(door.signing_in), methods=["GET", "POST"]),
        Route(f"{ROOT}/sign-out", door.page(door.sign_out), methods=post),
        Route(ROOT, door.page(now.shown), methods=get),
        Route(f"{ROOT}/", Doorway(RedirectResponse(ROOT)), methods=get),
        Route(f"{ROOT}/live/now", door.page(now.told), methods=get),
        Route(f"{ROOT}/runs", door.page(runs.shown), methods=get),
        Route(f"{ROOT}/run", door.page(run.shown), methods=get),
        Route(f"{ROOT}/live/run", door.page(run.told), methods=get),
        Route(f"{ROOT}/call", door.page(run.called), methods=get),
        Route(f"{ROOT}/run/cancel", door.page(run.cancelled, "operator"), methods=post),
        Route(f"{ROOT}/run/retry", door.page(run.retried, "operator"), methods=post),
        Route(f"{ROOT}/run/fork", door.page(run.forked, "operator"), methods=post),
        Route(f"{ROOT}/costs", door.page(costs.shown), methods=get),
        Route(f"{ROOT}/costs.csv", door.page(costs.csv), methods=get),
        Route(f"{ROOT}/whatif", door.page(whatif.shown), methods=get),
        Route(f"{ROOT}/frontier", door.page(frontier.shown), methods=get),
        Route(f"{ROOT}/frontier.svg", door.page(frontier.drawn), methods=get),
        Route(f"{ROOT}/inbox", door.page(inbox.shown), methods=get),
        Route(f"{ROOT}/question", door.page(inbox.question), methods=get),
        Route(f"{ROOT}/question", door.page(inbox.answered, "operator"), methods=post),
        *_house_routes(premises, door),
        Route(f"{ROOT}/{{rest:path}}", door.page(door.nowhere)),
    ]


def _house_routes(premises: Premises, door: FrontDoor) -> Sequence[BaseRoute]:
    """What is the house's own: only budgets are for others than admins too."""
    budgets, key, controllers = BudgetsPage(premises), KeyPage(premises), ControllersPage(premises)
    shown = {
        "/budgets": door.page(budgets.shown),
        "/keys/limit": door.page(key.limit_shown, "admin"),
        "/endpoints": door.page(EndpointsPage(premises).shown, "admin"),
        "/controllers": door.page(controllers.shown, "admin"),
        "/controller": door.page(controllers.one, "admin"),
        "/settings": door.page(SettingsPage(premises).shown, "admin"),
    }
    done = {
        "/keys/create": key.created,
        "/keys/limit": key.limited,
        "/keys/revoke": key.revoked,
        "/controller/shadow": controllers.shadowed,
        "/controller/enable": controllers.enabled,
        "/controller/disable": controllers.disabled,
    }
    return [
        *[Route(f"{ROOT}{path}", doorway, methods=["GET"]) for path, doorway in shown.items()],
        *[Route(f"{ROOT}{path}", door.page(act, "admin"), methods=["POST"]) for path, act in done.items()],
    ]
