"""LangGraph checkpoint savers over our own tables: for a leg, fenced by the run's claim and committed together with all
other runs of the process; for looking at a thread and changing its state, while no run is open in it.

Protocol: langgraph-checkpoint 4 (`BaseCheckpointSaver`), whose stock savers it agrees with on order and replacing.
"""

import random
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from sqlalchemy import Connection

from trimtab.core.errors import Conflict
from trimtab.store import (
    CheckpointRow,
    Database,
    Progress,
    WorkflowRunRow,
    WriteRow,
    key_of,
    workflow_checkpoints,
    workflow_runs,
    workflow_threads,
    workflow_writes,
)
from trimtab.workflows.batch import Batch, patiently

_json = msgspec.json.Encoder(enc_hook=str)
_Found = tuple[CheckpointRow, list[WriteRow]]


class ThreadSaver(BaseCheckpointSaver[str]):
    """Reads a tenant's threads; LangGraph knows them by their plain ids."""

    def __init__(self, database: Database, tenant: str, run: str) -> None:
        super().__init__()
        self._database, self._tenant, self._run = database, tenant, run

    @abstractmethod
    async def _keep(self, item: Progress) -> None:
        """Make durable what is handed in."""

    def get_next_version(self, current: str | None, channel: None) -> str:
        """A channel's next version: a growing number, and a random part that tells branches apart."""
        number = 0 if current is None else int(current.split(".")[0])
        return f"{number + 1:032}.{random.random():016}"

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint. Raises what `_keep` raises."""
        place = config["configurable"]
        kind, body = self.serde.dumps_typed(checkpoint)
        row = CheckpointRow(
            thread=key_of(self._tenant, place["thread_id"]),
            namespace=place["checkpoint_ns"],
            id=checkpoint["id"],
            run=self._run,
            parent=place.get("checkpoint_id") or "",
            kind=kind,
            body=body,
            metadata=_json.encode(get_serializable_checkpoint_metadata(config, metadata)),
        )
        await self._keep(Progress(self._run, 0, checkpoints=(row,)))
        return _config(place["thread_id"], row.namespace, row.id)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write what a task did. Raises what `_keep` raises."""
        place = config["configurable"]
        rows = tuple(
            WriteRow(
                key_of(self._tenant, place["thread_id"]),
                place["checkpoint_ns"],
                place["checkpoint_id"],
                task_id,
                WRITES_IDX_MAP.get(channel, at),
                task_path,
                channel,
                *self.serde.dumps_typed(value),
            )
            for at, (channel, value) in enumerate(writes)
        )
        if all(channel in WRITES_IDX_MAP for channel, _ in writes):
            await self._keep(Progress(self._run, 0, replaced=rows))
        else:
            await self._keep(Progress(self._run, 0, kept=rows))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """A checkpoint with what was written after it; the latest where none is named."""
        place = config["configurable"]
        thread, namespace = key_of(self._tenant, place["thread_id"]), place.get("checkpoint_ns", "")
        id = get_checkpoint_id(config) or ""

        def work(connection: Connection) -> _Found | None:
            row = workflow_checkpoints.find(connection, thread, namespace, id)
            if row is None:
                return None
            return row, workflow_writes.of_checkpoint(connection, thread, namespace, row.id)

        found = await patiently(self._database, work)
        return None if found is None else self._tuple(place["thread_id"], *found)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """A thread's checkpoints, the latest first."""
        place: Mapping[str, Any] = config["configurable"] if config else {}
        earlier = (get_checkpoint_id(before) or "") if before else ""

        def work(connection: Connection) -> list[_Found]:
            rows = workflow_checkpoints.history(
                connection,
                key_of(self._tenant, place["thread_id"]),
                place.get("checkpoint_ns"),
                id=place.get("checkpoint_id") or "",
                before=earlier,
                limit=None if filter else limit,
            )
            return [
                (row, workflow_writes.of_checkpoint(connection, row.thread, row.namespace, row.id))
                for row in rows
            ]

        told = 0
        for found in await patiently(self._database, work):
            listed = self._tuple(place["thread_id"], *found)
            wanted = all(listed.metadata.get(name) == value for name, value in (filter or {}).items())
            if wanted and (limit is None or told < limit):
                told += 1
                yield listed

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all that is kept of a thread."""
        thread = key_of(self._tenant, thread_id)

        def work(connection: Connection) -> None:
            workflow_checkpoints.remove(connection, thread)
            workflow_writes.remove(connection, thread)

        await patiently(self._database, work)

    def _tuple(self, thread: str, row: CheckpointRow, writes: Sequence[WriteRow]) -> CheckpointTuple:
        return CheckpointTuple(
            config=_config(thread, row.namespace, row.id),
            checkpoint=self.serde.loads_typed((row.kind, row.body)),
            metadata=msgspec.json.decode(row.metadata),
            parent_config=_config(thread, row.namespace, row.parent) if row.parent else None,
            pending_writes=[
                (write.task, write.channel, self.serde.loads_typed((write.kind, write.body)))
                for write in writes
            ],
        )


class RunSaver(ThreadSaver):
    """A leg's saver: writes raise LostRun once the run was claimed anew."""

    def __init__(
        self, database: Database, batch: Batch, row: WorkflowRunRow, *, new_thread: bool = False
    ) -> None:
        super().__init__(database, row.tenant, row.id)
        self._batch, self._row = batch, row
        self._is_empty = new_thread and row.is_fresh

    async def _keep(self, item: Progress) -> None:
        self._is_empty = False
        await self._batch.put(msgspec.structs.replace(item, claim=self._row.claim))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As `ThreadSaver`; a thread made for a run that was never driven before has nothing to be asked for."""
        return None if self._is_empty else await super().aget_tuple(config)

    async def has_begun(self) -> bool:
        """Whether the run has written a checkpoint of its own yet."""
        if self._row.is_fresh:
            return False
        thread = key_of(self._row.tenant, self._row.thread)
        return await patiently(self._database, lambda c: workflow_checkpoints.is_of(c, thread, self._run))


class StateSaver(ThreadSaver):
    """For whoever changes a thread's state from outside. Writes raise Conflict while a run is open in it."""

    def __init__(self, database: Database, tenant: str, thread: str) -> None:
        super().__init__(database, tenant, "")
        self._thread = thread

    async def _keep(self, item: Progress) -> None:
        def work(connection: Connection) -> None:
            workflow_threads.lock(connection, self._tenant, self._thread)
            if workflow_runs.standing_in(connection, self._tenant, self._thread, workflow_runs.OPEN):
                raise Conflict(f"thread {self._thread!r} has an open run; its state is the run's to change")
            workflow_checkpoints.put(connection, item.checkpoints)
            workflow_writes.put(connection, item.kept, replace=False)
            workflow_writes.put(connection, item.replaced, replace=True)

        await self._database.run(work)


def _config(thread: str, namespace: str, checkpoint: str) -> RunnableConfig:
    place = {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint}
    return {"configurable": place}
