"""Recorded runs out of the store, for commands that learn from them or judge by them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.config import Settings
    from trimtab.learning import Picking
    from trimtab.store import Database


def recorded_lines(
    settings: "Settings", database: "Database", workflow: str | None = None, tenant: str | None = None
) -> Iterator[bytes]:
    """Lines of chat in the order the runs began; None means all."""
    from trimtab.core import SystemClock
    from trimtab.store import Selection
    from trimtab.traces import Exporter, providers_of, standing_of

    standing = standing_of(settings, SystemClock.now())
    exporter = Exporter(database, standing, providers_of(settings.endpoint))
    return exporter.lines(Selection(workflow=workflow, tenant=tenant), "openai")


def picking_of(settings: "Settings", workflow: str, kind: str) -> "Picking":
    """What the settings say of a workflow's runs: when one is completed, which steps' replies are labels."""
    from typing import cast

    from trimtab.config import WorkflowSettings
    from trimtab.core import ControllerKind
    from trimtab.learning import Picking

    known = settings.workflow.get(workflow, WorkflowSettings())
    steps, reply = known.classify.steps, known.classify.reply
    return Picking(cast("ControllerKind", kind), workflow, (), known.completed_at, steps, reply)


def read_only_of(settings: "Settings", workflow: str) -> tuple[str, ...]:
    """The tools that the settings declare to have no side effects."""
    known = settings.workflow.get(workflow)
    return known.tools.read_only if known else ()
