"""A run as a tree: its steps, their calls, nested calls under the call they serve, entries beside them.

Read by the CLI and the console.
"""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from trimtab.core import CallRecord, Entry
from trimtab.store import Database, RunRow, calls, entries

_DEEPEST = 16


class CallNode(msgspec.Struct, frozen=True):
    """A call with its entries and the calls made on its behalf. `nanodollars` sums its own entries;
    `upstream_nanodollars` is what another gateway charged for it, which that gateway's own entries hold."""

    record: CallRecord
    nanodollars: int
    upstream_nanodollars: int
    entries: tuple[Entry, ...]
    nested: tuple["CallNode", ...] = ()


class StepNode(msgspec.Struct, frozen=True):
    """A step with its calls in order, and entries that belong to none of them (tools, compute).

    `nanodollars` is all that was charged to the step, for calls nested in other steps' calls too.
    """

    name: str
    nanodollars: int
    calls: tuple[CallNode, ...]
    entries: tuple[Entry, ...]


class RunTree(msgspec.Struct, frozen=True):
    """A whole run."""

    run: RunRow
    steps: tuple[StepNode, ...]


def read_tree(database: Database, run: RunRow) -> RunTree:
    """A run's tree, without what was said. Raises StoreUnavailable."""

    def work(connection: Connection) -> RunTree:
        made = calls.of_run(connection, run.tenant, run.id)
        return tree_of(run, made, entries.of_run(connection, run.tenant, run.id))

    return database.read(work)


def read_tree_with_content(database: Database, run: RunRow) -> RunTree:
    """A run's tree with requests and replies as they were kept. Raises StoreUnavailable."""

    def work(connection: Connection) -> RunTree:
        made = calls.of_run_with_content(connection, run.tenant, run.id)
        return tree_of(run, made, entries.of_run(connection, run.tenant, run.id))

    return database.read(work)


def tree_of(run: RunRow, made: Sequence[CallRecord], lines: Sequence[Entry]) -> RunTree:
    """The tree of a run's calls (in order) and entries. A call whose parent is not there stands alone."""
    by_call: dict[str, list[Entry]] = {}
    for line in lines:
        by_call.setdefault(line.call, []).append(line)
    parents = {record.call.id: record.call.who.parent_call for record in made}
    nested: dict[str, list[CallRecord]] = {}
    roots: dict[str, list[CallRecord]] = {}
    for record in made:
        parent = record.call.who.parent_call
        alone = parent not in parents or _is_endless(record.call.id, parents)
        home = roots.setdefault(record.call.who.step, []) if alone else nested.setdefault(parent, [])
        home.append(record)
    loose = [line for line in lines if line.call not in parents]
    names = dict.fromkeys([*(r.call.who.step for r in made), *(line.step for line in lines)])
    steps = (
        StepNode(
            name=name,
            nanodollars=sum(line.nanodollars for line in lines if line.step == name),
            calls=tuple(_node(record, by_call, nested) for record in roots.get(name, ())),
            entries=tuple(line for line in loose if line.step == name),
        )
        for name in names
    )
    return RunTree(run, tuple(steps))


def _is_endless(id: str, parents: Mapping[str, str]) -> bool:
    """Whether a call's ancestors, which clients name, are too many to show, as where they form a circle."""
    for _ in range(_DEEPEST):
        id = parents[id]
        if id not in parents:
            return False
    return True


def _node(
    record: CallRecord, by_call: dict[str, list[Entry]], nested: dict[str, list[CallRecord]]
) -> CallNode:
    own = by_call.get(record.call.id, [])
    return CallNode(
        record=record,
        nanodollars=sum(line.nanodollars for line in own),
        upstream_nanodollars=sum(line.upstream_nanodollars for line in own),
        entries=tuple(own),
        nested=tuple(_node(inner, by_call, nested) for inner in nested.get(record.call.id, ())),
    )
