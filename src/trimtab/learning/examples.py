"""Texts with labels for text controllers: from a file of labelled rows, or read off recorded runs, a way for each kind.

Each text is what the controller will see when it serves. What a controller or the cache answered is never learned from.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from trimtab.controllers import verify_text
from trimtab.core import ControllerKind
from trimtab.core.errors import DataError
from trimtab.learning.conduct import Conduct, cheapest_completing, conducts, success_of
from trimtab.traces import ChatLine, LineMessage, LineReader, read_line

ACCEPT, REJECT = "accept", "reject"
_LONGEST_LABEL = 200
_FEWEST_REPLIES = 8
_TEXTS_A_LABEL = 4


class Example(msgspec.Struct, frozen=True):
    """A text and its label. `group` is its task (or user), `teacher` who said so, `part` where a file puts it."""

    text: str
    label: str
    group: str = ""
    teacher: str = ""
    part: str = ""
    weight: float = 1.0


class Picking(msgspec.Struct, frozen=True):
    """What to take of recorded runs. `steps`: those whose replies are labels (empty: found by looking); `reply` is
    what a label is wrapped in; `by_user` groups by user instead of task. `reward` 0 takes unknown outcomes too."""

    kind: ControllerKind
    workflow: str
    teachers: tuple[str, ...] = ()
    reward: float = 1.0
    steps: tuple[str, ...] = ()
    reply: str = "{label}"
    by_user: bool = False


class _Row(msgspec.Struct):
    text: str
    label: str
    group: str = ""
    split: str = ""
    teacher: str = ""
    weight: float = 1.0


def holds_runs(path: Path) -> bool:
    """Whether a file holds recorded runs rather than labelled rows, by its first line. Raises DataError."""
    for number, line in LineReader(path):
        if not line.strip():
            continue
        try:
            first = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            remedy = "each line must be one whole JSON object in UTF-8"
            raise DataError(f"not JSON: {error}", file=str(path), line=number, remedy=remedy) from error
        if isinstance(first, dict) and ("messages" in first or "label" in first):
            return "messages" in first
        raise DataError(
            "is neither a recorded run nor a labelled row", file=str(path), line=number,
            remedy="give runs (see docs/traces.md) or rows such as {\"text\": ..., \"label\": ..., \"group\": ...}",
        )  # fmt: skip
    raise DataError("is empty", file=str(path), remedy="check the path")


def read_rows(path: Path) -> list[Example]:
    """Labelled rows `{text, label[, group, split, teacher, weight]}`. Raises DataError."""
    decoder = msgspec.json.Decoder(_Row)
    found = []
    for number, line in LineReader(path):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except msgspec.DecodeError as error:
            remedy = "each line needs `text` and `label`; `group`, `split` are optional"
            raise DataError(str(error), file=str(path), line=number, remedy=remedy) from error
        if not row.label.strip() or row.weight <= 0:
            field = "label" if row.weight > 0 else "weight"
            raise DataError(
                "is empty or not above 0", file=str(path), line=number, field=field, remedy="mend the row"
            )
        found.append(Example(row.text, row.label, row.group, row.teacher, row.split, row.weight))
    return found


def read_runs(path: Path, workflow: str) -> list[ChatLine]:
    """The conversations of a workflow. Raises DataError naming the workflows there are."""
    lines: list[ChatLine] = []
    others: Counter[str] = Counter()
    for number, line in LineReader(path):
        if line.strip():
            read = read_line(line, str(path), number)
            others[read.domain] += 1
            if read.domain == workflow:
                lines.append(read)
    if not lines:
        known = ", ".join(f"{name} ({count:,})" for name, count in others.most_common(20)) or "none at all"
        raise DataError(
            f"no runs of workflow {workflow!r}", file=str(path), field="domain", remedy=f"there are {known}"
        )
    return lines


def examples_of_runs(lines: Sequence[ChatLine], picking: Picking, file: str) -> list[Example]:
    """What a kind learns from recorded runs. Raises DataError naming what is missing and a remedy."""
    read = _READERS.get(picking.kind)
    if read is None:
        raise DataError(
            f"recorded runs say nothing to learn {picking.kind} from", file=file,
            remedy="give a file of rows such as {\"text\": ..., \"label\": \"refuse\"}",
        )  # fmt: skip
    done = chosen(conducts(lines), picking, file)
    return list(read(done, picking, file))


def chosen(done: Sequence[Conduct], picking: Picking, file: str) -> list[Conduct]:
    """The runs of the teachers asked for, of known outcome. Raises DataError."""
    agents = sorted({each.agent for each in done})
    strange = [name for name in picking.teachers if name not in agents]
    if strange:
        raise DataError(
            f"no runs of {', '.join(strange)}",
            file=file,
            field="agent",
            remedy=f"there are {', '.join(agents)}",
        )
    mine = [each for each in done if not picking.teachers or each.agent in picking.teachers]
    known = [each for each in mine if each.reward is not None or picking.reward == 0]
    if not known:
        remedy = "report outcomes (POST /v1/runs/RUN/outcome), or take all runs with --reward 0"
        raise DataError(f"none of {len(mine)} runs has an outcome", file=file, field="reward", remedy=remedy)
    return known


def _classified(done: Sequence[Conduct], picking: Picking, file: str) -> Iterator[Example]:
    """Calls whose replies are labels, of runs that did their job."""
    success = success_of(done, picking.reward)
    good = [each for each in done if each.completed(picking.reward)]
    if not good:
        raise _nothing_completed(done, picking, file)
    by_step: dict[str, list[Example]] = defaultdict(list)
    for run in good:
        for question, message in _replies(run):
            label = _label(message, picking.reply)
            if label and question:
                group = run.user if picking.by_user else run.task
                by_step[message.step].append(
                    Example(question, label, group, message.model or run.agent, "", success[run.agent])
                )
    steps = picking.steps or tuple(name for name, found in by_step.items() if _is_closed(found))
    found = [example for name in steps for example in by_step.get(name, ())]
    if not found:
        seen = ", ".join(repr(name) for name in sorted(by_step)) or "none without tool calls"
        raise DataError(
            "no step's replies come from a small closed set of texts",
            file=file,
            field="step",
            remedy=f"name the step with --step (there are {seen}), or give a file of labelled rows",
        )
    yield from found


def _routed(done: Sequence[Conduct], picking: Picking, file: str) -> Iterator[Example]:
    """What users said, labelled with the cheapest agent that completes their task."""
    cheapest = cheapest_completing(done, picking.reward)
    if not cheapest:
        raise DataError(
            "no task was tried by several agents, completed, and has a known cost",
            file=file,
            field="agent",
            remedy="record the same tasks with several agents (x-trimtab-task names a task)",
        )
    said: dict[str, set[str]] = defaultdict(set)
    for run in done:
        said[run.task].update(text for text, _ in _replies(run) if text)
    for task, agent in cheapest.items():
        texts = sorted(said[task])
        for text in texts:
            yield Example(text, agent, task, "recorded outcomes", "", 1.0 / len(texts))


def _verified(done: Sequence[Conduct], picking: Picking, _: str) -> Iterator[Example]:
    """Question and reply, labelled with whether the run was completed: weak labels, so a run counts once in all."""
    for run in done:
        replies = [(question, message) for question, message in _replies(run) if question]
        group = run.user if picking.by_user else run.task
        for question, message in replies:
            calls = [(call.name, bytes(call.arguments).decode()) for call in message.tool_calls]
            text = verify_text(question, _text(message), calls)
            label = ACCEPT if run.completed(picking.reward) else REJECT
            yield Example(text, label, group, "recorded outcomes", "", 1.0 / len(replies))


def _replies(run: Conduct) -> Iterator[tuple[str, LineMessage]]:
    """What the user said last, and what a model replied."""
    for messages in run.conversations:
        question = ""
        for message in messages:
            if message.role == "user" and not message.tool_calls:
                question = _text(message)
            elif message.role == "assistant" and not message.answered_by:
                yield question, message


def _label(message: LineMessage, reply: str) -> str:
    """The label in a reply of the shape `reply`; empty where it has another."""
    begin, _, end = reply.partition("{label}")
    text = _text(message).strip()
    fits = text.startswith(begin) and text.endswith(end) and len(text) > len(begin) + len(end)
    if message.tool_calls or not fits or len(text) > _LONGEST_LABEL:
        return ""
    return text[len(begin) : len(text) - len(end)].strip()


def _is_closed(found: Sequence[Example]) -> bool:
    labels = {each.label for each in found}
    return len(found) >= _FEWEST_REPLIES and 1 < len(labels) <= len(found) / _TEXTS_A_LABEL


def _text(message: LineMessage) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    parts = [msgspec.json.decode(part) for part in message.content]
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _nothing_completed(done: Sequence[Conduct], picking: Picking, file: str) -> DataError:
    best = max((each.reward for each in done if each.reward is not None), default=0.0)
    said = f"none of {len(done)} runs reached {picking.reward:g}; the best has {best:g}"
    return DataError(said, file=file, field="reward", remedy="lower --reward")


_READERS: Mapping[ControllerKind, Callable[[Sequence[Conduct], Picking, str], Iterable[Example]]] = {
    "classify": _classified,
    "route": _routed,
    "verify": _verified,
}
