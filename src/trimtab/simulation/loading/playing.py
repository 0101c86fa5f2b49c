"""One run of a load test: steps begin when those they wait for have ended and their pause is over; all are measured."""

import asyncio

import msgspec

from trimtab.simulation.chat import StreamOptions
from trimtab.simulation.loading.client import CallBody, Client
from trimtab.simulation.loading.steps import PlayedRun, PlayedStep
from trimtab.simulation.loading.tally import Ending, Tally

_TRIES = 4
_LONGEST_WAIT_SECONDS = 30.0
_HEADER_CHARACTERS = 200


class Terms(msgspec.Struct, frozen=True):
    """How runs are played. `speed` divides pauses; `model` stands for the recorded one where it is not empty."""

    speed: float
    model: str
    workflow: str = ""


class Allowance:
    """How many requests may still be sent; None: any number."""

    def __init__(self, most: int | None) -> None:
        self._left = most

    @property
    def spent(self) -> bool:
        """Whether there are none left."""
        return self._left is not None and self._left <= 0

    def take(self) -> bool:
        """One more request, if there is one."""
        if self.spent:
            return False
        if self._left is not None:
            self._left -= 1
        return True


class Playing:
    """One play of a run by a user. `id` is the run's name at the gateway; `nanodollars` is what headers told of its
    cost, `unpriced` counts the calls answered of which they told none.
    """

    def __init__(
        self,
        client: Client,
        tally: Tally,
        allowance: Allowance,
        terms: Terms,
        run: PlayedRun,
        id: str,
        user: str,
    ) -> None:
        self._client, self._tally, self._allowance = client, tally, allowance
        self._terms, self._run, self.id, self._user = terms, run, id, user
        self._ended = [asyncio.Event() for _ in run.steps]
        self._fault: Ending | None = None
        self.sent = self._closed = False
        self.nanodollars = self.unpriced = 0

    async def play(self) -> Ending:
        """Plays it to its end, or to its first refusal or fault."""
        async with asyncio.TaskGroup() as group:
            for at in range(len(self._run.steps)):
                group.create_task(self._step(at))
        return self._fault or "done"

    async def close(self, ending: Ending) -> bool:
        """Closes the run at the gateway, unless its last call has done so; whether it is closed."""
        if not self.sent or self._closed:
            return True
        reward = 1.0 if ending == "done" else 0.0
        return await self._client.close_run(self.id, reward, f"load test: {ending}")

    async def _step(self, at: int) -> None:
        step = self._run.steps[at]
        try:
            for each in step.deps:
                await self._ended[each].wait()
            if self._fault is None:
                await asyncio.sleep(step.gap_seconds / self._terms.speed if self._terms.speed else 0.0)
            if self._fault is None:
                await self._call(at, step)
        finally:
            self._ended[at].set()

    async def _call(self, at: int, step: PlayedStep) -> None:
        body = CallBody(
            self._terms.model or step.model,
            step.messages(self.id),
            step.output_tokens,
            stream=True,
            stream_options=StreamOptions(include_usage=True),
            tools=step.tools,
        )
        last = at == len(self._run.steps) - 1 and all(each.is_set() for each in self._ended[:at])
        headers = self._headers(step, last=last)
        for attempt in range(_TRIES):
            if not self._allowance.take():
                self._fault = self._fault or "cut off"
                return
            self.sent = True
            self._tally.begun += 1
            tried = await self._client.call(body, headers)
            self._tally.call(tried, step.input_tokens)
            if tried.ok:
                self._closed = self._closed or last
                self.nanodollars += tried.nanodollars or 0
                self.unpriced += tried.nanodollars is None
                return
            if not tried.may_wait or attempt == _TRIES - 1:
                break
            await asyncio.sleep(
                min(_LONGEST_WAIT_SECONDS, 1.0 if tried.retry_after is None else tried.retry_after)
            )
        self._fault = "refused" if tried.refused else "failed"

    def _headers(self, step: PlayedStep, *, last: bool) -> dict[str, str]:
        said = {
            "x-trimtab-run": self.id,
            "x-trimtab-workflow": self._terms.workflow or self._run.workflow,
            "x-trimtab-step": step.name,
            "x-trimtab-user": self._user,
            "x-trimtab-task": self._run.name,
            "x-trimtab-agent": "trimtab-load",
            "x-trimtab-end": "1" if last else "",
        }
        return {name: _one_line(value) for name, value in said.items() if value}


def _one_line(text: str) -> str:
    """Text as a header can carry it."""
    return "".join(each if each.isprintable() and each.isascii() else "-" for each in text)[
        :_HEADER_CHARACTERS
    ]
