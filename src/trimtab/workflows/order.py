"""What is asked of the host: a run of a workflow, and the terms it is driven on."""

from typing import Annotated, Any, Literal

import msgspec

Multitask = Literal["reject", "enqueue", "interrupt", "rollback"]
StreamMode = Literal[
    "values",
    "messages",
    "messages-tuple",
    "updates",
    "events",
    "custom",
    "debug",
    "tasks",
    "checkpoints",
]
_UNSET = msgspec.UNSET


class CommandTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """LangGraph's `Command` as JSON. `resume`: a value, or answers by the interrupts' ids."""

    resume: Any | msgspec.UnsetType = _UNSET
    update: Any = None
    goto: Any = None


class RunConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of LangGraph's `RunnableConfig` a client may say."""

    configurable: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    tags: list[str] = []
    recursion_limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None


class RunWishes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the SDKs say of how a run is driven, of a cron's runs as of one that begins now."""

    config: RunConfig | None = None
    context: dict[str, Any] | None = None
    interrupt_before: list[str] | Literal["*"] | None = None
    interrupt_after: list[str] | Literal["*"] | None = None
    stream_mode: StreamMode | tuple[StreamMode, ...] | None = None
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    multitask_strategy: Multitask | None = None


class RunTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run is driven, beside its input. `checkpoint` is the id of the one to begin at, '' for the latest;
    `streamed` runs keep their events, of `stream_mode`, for whoever listens; `models` are those the asking key may
    name, all where there are none; `new_thread`: its thread was made for it."""

    command: CommandTerms | None = None
    config: dict[str, Any] = {}
    context: dict[str, Any] | None = None
    checkpoint: str = ""
    interrupt_before: list[str] | Literal["*"] | None = None
    interrupt_after: list[str] | Literal["*"] | None = None
    stream_mode: tuple[StreamMode, ...] = ("values",)
    stream_subgraphs: bool = False
    streamed: bool = False
    on_completion: Literal["keep", "delete"] = "keep"
    models: tuple[str, ...] = ()
    new_thread: bool = False


class Order(msgspec.Struct, frozen=True):
    """A run that is asked for.

    `input` and `metadata` are JSON; `deadline` and `begin_at` are epoch seconds; `thread`: '' is a new one; where it
    `makes_thread`, one that is not there is made; `waits`: it may begin later; `origin` says what asked, e.g. `cron:ID`
    or `fork:RUN`.
    """

    workflow: str
    input: bytes
    tenant: str = "default"
    user: str = ""
    key: str = ""
    priority: int = 0
    deadline: float | None = None
    waits: bool = False
    thread: str = ""
    makes_thread: bool = False
    assistant: str = ""
    terms: RunTerms = RunTerms()
    metadata: bytes = b"{}"
    multitask: Multitask = "enqueue"
    begin_at: float = 0.0
    origin: str = ""

    @property
    def resumes(self) -> bool:
        """Whether it answers what a run that stands has asked."""
        return self.terms.command is not None and self.terms.command.resume is not _UNSET
