"""Readers of recorded outcome sets: each file's rows into one `RecordedSet`.

The sets lie in a folder named by $TRIMTAB_DATA; any JSON Lines file of outcomes or recorded runs can be read too.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from trimtab.core.errors import DataError
from trimtab.learning.recorded import Attempted, RecordedSet, TaskFacts, assemble, tool_features
from trimtab.traces import LineReader

_T = TypeVar("_T")
_GPT4, _MIXTRAL = "gpt-4-1106-preview", "mixtral-8x7b-instruct"
# USD per million tokens as published with the data set (Ong et al. 2024, "RouteLLM"); 4 characters a token.
_MMLU_PRICES = {_GPT4: 24.7, _MIXTRAL: 0.24}


_BFCL_LINE: Any = list[str | float | None] | dict[str, object]


class _BfclModel(msgspec.Struct):
    model: str
    usd_in: float | None
    usd_out: float | None


class _BfclQuestion(msgspec.Struct):
    idx: int
    cat: str
    question: str | list[object]
    function: list[dict[str, object]]


class _McpRun(msgspec.Struct):
    task: str
    service: str
    model: str
    run: int
    success: bool
    turns: int | None = None
    in_tok: float | None = None
    out_tok: float | None = None
    secs: float | None = None
    cost_usd: float | None = None
    error: str | None = None


class _McpTask(msgspec.Struct):
    task: str
    service: str
    prompt: str


class _HandsInstance(msgspec.Struct):
    bench: str
    inst: str
    agent: str
    model: str
    resolved: bool | None
    cost_usd: float | None


class _MmluRow(msgspec.Struct):
    subject: str
    prompt: str
    weak: bool
    strong: bool
    contaminated: bool = False


class _Message(msgspec.Struct):
    role: str = ""
    content: object = None


class _OutcomeRow(msgspec.Struct):
    """A row of a file of the user's own: an outcome, or a whole recorded run."""

    task: str
    reward: float | None = None
    model: str = ""
    agent: str = ""
    domain: str = ""
    group: str = ""
    text: str = ""
    cost_usd: float | None = None
    agent_cost_usd: float | None = None
    seconds: float | None = None
    duration_s: float | None = None
    run: str = ""
    messages: list[_Message] = []


def read_set(name: str, folder: Path) -> RecordedSet:
    """One of the known sets by name. Raises DataError naming the file, field and remedy."""
    return SETS[name](folder / name)


def read_outcomes(path: Path) -> RecordedSet:
    """A JSON Lines file whose rows name `task`, `model` (or `agent`), `reward`, and, where known, `group`, `text`,
    `cost_usd`, `seconds` and `run`; rows without a reward have no known outcome and are left out."""
    return _of_rows(read_rows(path, _OutcomeRow), str(path))


def outcomes_of_lines(lines: Iterable[bytes], name: str) -> RecordedSet:
    """The same of lines at hand, such as exported runs."""
    return _of_rows(_decoded(enumerate(lines, start=1), _OutcomeRow, name), name)


def _of_rows(rows: Iterable[_OutcomeRow], file: str) -> RecordedSet:
    facts: dict[str, TaskFacts] = {}
    attempts: dict[tuple[str, str, str], Attempted] = {}
    unknown = 0
    for number, row in enumerate(rows):
        model, task = row.model or row.agent, f"{row.domain}/{row.task}" if row.domain else row.task
        if not model:
            raise DataError(
                "is missing", file=file, field="model", remedy="name the model or agent of every row"
            )
        if row.reward is None:
            unknown += 1
            continue
        facts.setdefault(task, TaskFacts(row.text or _opening(row.messages) or task, row.group or task))
        # The conversations of one run are lines of their own; their costs add up.
        key = (task, model, row.run or str(number))
        attempts[key] = _joined(attempts.get(key), _attempted(task, model, row))
    priced = {attempt.model for attempt in attempts.values() if attempt.cost}
    if not priced:
        raise DataError("no row has one", file=file, field="cost_usd", remedy="record what each run cost")
    notes = (f"{unknown} runs without a known outcome left out",) if unknown else ()
    kept = [attempt for attempt in attempts.values() if attempt.model in priced]
    return assemble(Path(file).name, facts, _numbered(kept), notes=notes)


def _attempted(task: str, model: str, row: _OutcomeRow) -> Attempted:
    cost = row.cost_usd if row.cost_usd is not None else row.agent_cost_usd
    seconds = row.seconds if row.seconds is not None else row.duration_s
    statistics = (_log(seconds), _log(cost), float(len(row.messages)))
    return Attempted(task, model, row.reward or 0.0, cost, seconds, 0, statistics)


def _joined(before: Attempted | None, now: Attempted) -> Attempted:
    if before is None:
        return now
    cost = None if before.cost is None or now.cost is None else before.cost + now.cost
    return msgspec.structs.replace(before, cost=cost)


def _numbered(attempts: Iterable[Attempted]) -> Iterator[Attempted]:
    """Repeats of a task by a model, in the order they came."""
    seen: Counter[tuple[str, str]] = Counter()
    for attempt in attempts:
        key = (attempt.task, attempt.model)
        yield msgspec.structs.replace(attempt, repeat=seen[key])
        seen[key] += 1


def read_mcpmark(folder: Path) -> RecordedSet:
    """79 tasks with MCP servers; statistics of an attempt: turns, tokens, seconds, whether it broke off."""
    tasks = read_rows(folder / "tasks.jsonl.gz", _McpTask)
    facts = {f"{row.service}/{row.task}": TaskFacts(f"{row.service} {row.prompt}", row.task) for row in tasks}
    attempts = [
        Attempted(
            f"{row.service}/{row.task}",
            row.model,
            float(row.success),
            row.cost_usd or None,
            row.secs,
            row.run,
            (row.turns, _log(row.in_tok), _log(row.out_tok), _log(row.secs), float(row.error is not None)),
        )
        for row in read_rows(folder / "runs.jsonl.gz", _McpRun)
    ]
    return assemble("mcpmark", facts, attempts)


def read_openhands(folder: Path) -> RecordedSet:
    """swe-bench instances by the OpenHands agent; no task text is recorded but the instance's name, no seconds."""
    rows = [
        row
        for row in read_rows(folder / "instances.jsonl.gz", _HandsInstance)
        if row.agent == "OpenHands" and row.bench == "swe-bench"
    ]
    facts = {row.inst: TaskFacts(row.inst.replace("__", " ").replace("-", " "), row.inst) for row in rows}
    attempts = [
        Attempted(
            row.inst,
            row.model,
            float(row.resolved),
            row.cost_usd or None,
            statistics=(_log(row.cost_usd or None),),
        )
        for row in rows
        if row.resolved is not None
    ]
    notes = ("the task text is not recorded: policies see the instance's name (its repository) only",)
    return assemble("openhands_index", facts, attempts, notes=notes)


def read_bfcl(folder: Path) -> RecordedSet:
    """Function-calling questions; models with a public price only. Statistics of an attempt: tokens, seconds.

    Questions that share a function or their words are one group. The category's name is no feature.
    """
    prices = {
        row.model: (row.usd_in, row.usd_out)
        for row in read_rows(folder / "models.jsonl.gz", _BfclModel)
        if row.usd_in is not None and row.usd_out is not None
    }
    questions = list(read_rows(folder / "questions.jsonl.gz", _BfclQuestion))
    groups = _kin([(str(row.question), *(str(tool["name"]) for tool in row.function)) for row in questions])
    facts = {}
    for row, group in zip(questions, groups, strict=True):
        text = row.question if isinstance(row.question, str) else str(row.question)
        tools = " ".join(f"{tool['name']} {tool['description']}".replace("_", " ") for tool in row.function)
        facts[f"{row.cat}/{row.idx}"] = TaskFacts(
            f"{text} || {tools}", group, tool_features(text, row.function)
        )
    attempts = [
        _bfcl_attempt(row, prices)
        for row in read_rows(folder / "outcomes.jsonl.gz", _BFCL_LINE)
        if isinstance(row, list) and row[0] in prices
    ]
    return assemble("bfcl_v1", facts, attempts, "gpt-4o-2024-05-13-FC")


def read_mmlu(folder: Path) -> RecordedSet:
    """Exam questions to a strong and a weak model, grouped by subject: every judged subject is unseen."""
    facts, attempts = {}, []
    for at, row in enumerate(read_rows(folder / "mmlu.jsonl.gz", _MmluRow)):
        if row.contaminated:
            continue
        facts[str(at)] = TaskFacts(row.prompt, row.subject)
        tokens = len(row.prompt) / 4
        for model, reward in ((_GPT4, row.strong), (_MIXTRAL, row.weak)):
            attempts.append(Attempted(str(at), model, float(reward), tokens * _MMLU_PRICES[model] / 1e6))
    notes = (
        "costs are estimates: a token per four characters of the prompt, at the prices published with the set",
    )
    return assemble("routellm", facts, attempts, notes=notes)


SETS: Mapping[str, Callable[[Path], RecordedSet]] = {
    "mcpmark": read_mcpmark,
    "openhands_index": read_openhands,
    "bfcl_v1": read_bfcl,
    "routellm": read_mmlu,
}


def read_rows(path: Path, kind: type[_T]) -> Iterator[_T]:
    """Typed rows of JSON Lines, gzipped or not. Raises DataError naming file, line, field and remedy."""
    if not path.exists():
        raise DataError("no such file", file=str(path), remedy="check the path, or set TRIMTAB_DATA")
    yield from _decoded(LineReader(path), kind, str(path))


def _decoded(lines: Iterable[tuple[int, bytes]], kind: type[_T], file: str) -> Iterator[_T]:
    decoder = msgspec.json.Decoder(kind)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            remedy = "one JSON object a line, see docs/evaluation.md"
            raise DataError(str(error), file=file, line=number, remedy=remedy) from error
        yield row


def _bfcl_attempt(row: list[str | float | None], prices: Mapping[str, tuple[float, float]]) -> Attempted:
    model, category, index, correct, tokens_in, tokens_out, seconds = row
    usd_in, usd_out = prices[str(model)]
    known = isinstance(tokens_in, float | int) and isinstance(tokens_out, float | int)
    cost = (float(tokens_in) * usd_in + float(tokens_out) * usd_out) / 1e6 if known else None  # type: ignore[arg-type]
    wrote = float(tokens_out) if isinstance(tokens_out, float | int) else None
    took = float(seconds) if isinstance(seconds, float | int) else None
    task = f"{category}/{int(float(index or 0))}"
    return Attempted(task, str(model), float(correct or 0), cost, took, 0, (wrote, _log(wrote), _log(took)))


def _opening(messages: list[_Message]) -> str:
    said = (m.content for m in messages if m.role == "user" and isinstance(m.content, str))
    return next(said, "")


def _log(value: float | None) -> float | None:
    return None if value is None else math.log1p(max(value, 0.0))


def _kin(names: list[tuple[str, ...]]) -> list[str]:
    """One label for all rows that share a name, directly or through others."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    for first, *others in names:
        for other in others:
            parents[root(other)] = root(first)
    return [root(first) for first, *_ in names]
