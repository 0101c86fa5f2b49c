"""How a question gets from the inside of a model call to LangGraph: SDKs take every Exception for a failed connection
and try again, so that it travels as something else, and becomes LangGraph's own interrupt where the node ends, whatever
was made of it on the way.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.errors import GraphInterrupt
from langgraph.types import interrupt


class PersonAsked(BaseException):
    """On its way from a model call to the node that made it."""


# What was asked in the node the code is in, and has no answer yet; None outside of nodes that listen.
_ASKED: ContextVar[list[GraphInterrupt] | None] = ContextVar("trimtab_asked", default=None)


def ask(question: dict[str, object]) -> object:
    """A person's answer to what a node asks. Raises PersonAsked where there is none yet."""
    asked = _ASKED.get()
    assert asked is not None, "only nodes that listen ask"
    try:
        return interrupt(question)
    except GraphInterrupt as interrupted:
        asked.append(interrupted)
        raise PersonAsked("a person is asked") from None


def listening(does: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """What a node does, so that questions asked inside of its calls interrupt it."""
    return _Listening(does)


@contextmanager
def _listen() -> Iterator[None]:
    """Raises GraphInterrupt at the end where something was asked, however the node took it."""
    asked: list[GraphInterrupt] = []
    token = _ASKED.set(asked)
    try:
        yield
    except asyncio.CancelledError:
        raise
    except BaseException:
        if asked:
            raise asked[0] from None
        raise
    finally:
        _ASKED.reset(token)
    if asked:
        raise asked[0]


class _Listening(Runnable[Any, Any]):
    """What a node does, and what becomes of a question in it."""

    def __init__(self, does: Runnable[Any, Any]) -> None:
        self._does = does

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: ANN401
        with _listen():
            return self._does.invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: ANN401
        with _listen():
            return await self._does.ainvoke(input, config, **kwargs)

    async def astream(
        self,
        input: Any,  # noqa: ANN401 - whatever the node takes
        config: RunnableConfig | None = None,
        **kwargs: Any | None,  # noqa: ANN401
    ) -> AsyncIterator[Any]:
        with _listen():
            async for piece in self._does.astream(input, config, **kwargs):
                yield piece
