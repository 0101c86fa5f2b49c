"""What prompts are made of, estimated from a sample: the newest runs' calls whose content is kept. Read on the
caller's connection."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection

from trimtab.console.prompts import PARTS, Part, PromptReader, called_in
from trimtab.store import PromptRow, RunQuery, Selection, Standing, calls, run_pages

_RUNS = 60
_CALLS = 200
_CALLS_A_RUN = 40
_BYTES_A_CALL = 1 << 20
_BYTES = 6 << 20


class IdleTool(msgspec.Struct, frozen=True):
    """A tool that was declared in so many calls and called in none; tokens of its declarations, estimated."""

    workflow: str
    name: str
    calls: int
    tokens: float


class Overhead(msgspec.Struct, frozen=True):
    """A sample: its calls, those passed over because their content is not kept, is too long or cannot be read; the
    input tokens by part, which are exact together and shared out by bytes."""

    runs: int
    calls: int
    not_kept: int
    too_long: int
    not_read: int
    tokens: Mapping[Part, float]
    input_tokens: int
    cached_tokens: int
    idle: list[IdleTool]


def read_overhead(
    connection: Connection, selection: Selection, named: Mapping[str, str], standing: Standing
) -> Overhead:
    """The sample of a selection's newest runs. `named` narrows their calls by step, model or endpoint."""
    query = RunQuery(selection=selection)
    sample = _Sample()
    for found in run_pages.page(connection, query, standing, _RUNS):
        most = min(_CALLS_A_RUN, sample.calls_left)
        if not most or sample.bytes_left <= 0:
            break
        run, room = found.run, min(_BYTES_A_CALL, sample.bytes_left)
        sample.add(calls.prompts_of_run(connection, run.tenant, run.id, named, most, room))
    return sample.overhead()


class _Sample:
    """Grows run by run."""

    def __init__(self) -> None:
        self.calls_left, self.bytes_left = _CALLS, _BYTES
        self._reader = PromptReader()
        self._runs = self._calls = self._not_kept = self._too_long = self._not_read = 0
        self._tokens: dict[Part, float] = dict.fromkeys(PARTS, 0.0)
        self._input = self._cached = 0
        self._declared: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0])
        self._called: set[tuple[str, str]] = set()

    def add(self, rows: Iterable[PromptRow]) -> None:
        """A run's calls."""
        before = self._calls
        for row in rows:
            if not row.request_bytes:
                self._not_kept += 1
            elif not row.request:
                self._too_long += 1
            else:
                self._look(row)
        self._runs += self._calls > before

    def _look(self, row: PromptRow) -> None:
        self.calls_left -= 1
        self.bytes_left -= len(row.request) + len(row.reply)
        prompt = self._reader.read(row.surface, row.request)
        if prompt is None or not prompt.whole:
            self._not_read += 1
            return
        self._calls += 1
        self._input += row.input_tokens
        self._cached += row.cached_tokens
        tokens_a_byte = row.input_tokens / prompt.whole
        for part in PARTS:
            self._tokens[part] += prompt.sizes[part] * tokens_a_byte
        for name, size in prompt.declared.items():
            known = self._declared[row.workflow, name]
            known[0] += 1
            known[1] += size * tokens_a_byte
        self._called.update((row.workflow, name) for name in prompt.called | called_in(row.reply))

    def overhead(self) -> Overhead:
        """What has come together; the dearest idle tools first."""
        idle = [
            IdleTool(workflow, name, int(number), tokens)
            for (workflow, name), (number, tokens) in self._declared.items()
            if (workflow, name) not in self._called
        ]
        return Overhead(
            runs=self._runs,
            calls=self._calls,
            not_kept=self._not_kept,
            too_long=self._too_long,
            not_read=self._not_read,
            tokens=self._tokens,
            input_tokens=self._input,
            cached_tokens=self._cached,
            idle=sorted(idle, key=lambda tool: (-tool.tokens, tool.workflow, tool.name)),
        )
