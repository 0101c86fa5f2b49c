"""What a load test plays: recorded runs as steps with dependencies, pauses and sizes, read from either shape of traces.

One shape tells only sizes (`run`, `sess`, `step`, `deps`, `gap`, `in`, `out`, ...; one step a line): its prompts are
made up. The other are recorded conversations (one run a line, as `trimtab traces export` writes them): those are sent
as they were said.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from trimtab.core.errors import DataError
from trimtab.simulation.chat import Message
from trimtab.simulation.loading.filler import Context, grown, messages_of
from trimtab.simulation.records import Domain, RecordedRun, json_lines, read_domains, slug
from trimtab.simulation.transcript import calls_of, tools_of

Tokens = Annotated[int, Meta(ge=0, le=10_000_000)]
_SHAPES = (
    "expected steps (run, step, deps, gap, in, out) or conversations (agent, domain, task, trial, messages)"
)


class StepLine(msgspec.Struct, frozen=True, rename={"input_tokens": "in", "output_tokens": "out"}):
    """One step of a run. `gap`: seconds of tool or thinking time after the last of `deps`, before the call.

    `share_tok` tokens of its prompt are those of step `share_step` (-1: of what the session had before), `sys_tok`
    those of the system prompt `sys`.
    """

    run: Annotated[str, Meta(min_length=1)]
    step: Annotated[int, Meta(ge=0)]
    input_tokens: Tokens
    output_tokens: Tokens
    sess: str = ""
    deps: tuple[int, ...] = ()
    gap: Annotated[float, Meta(ge=0, le=1e7)] = 0.0
    share_step: int = -1
    share_tok: Tokens = 0
    sys: str = ""
    sys_tok: Tokens = 0
    model: str = ""
    cls: str = ""


class PlayedStep(msgspec.Struct, frozen=True):
    """One call to make. `messages` makes its prompt when it is sent, for one play of the run."""

    name: str
    deps: tuple[int, ...]
    gap_seconds: float
    model: str
    input_tokens: int
    output_tokens: int
    messages: Callable[[str], tuple[Message, ...]]
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class PlayedRun(msgspec.Struct, frozen=True):
    """One run to play; `deps` of a step are numbers of steps here, all smaller than its own."""

    name: str
    workflow: str
    steps: tuple[PlayedStep, ...]


def read_played(path: Path, scale: float = 1.0) -> Iterator[PlayedRun]:
    """The runs of a file in order, sizes of made-up prompts and of replies times `scale`. Raises DataError."""
    first = next(json_lines(path, msgspec.json.Decoder(dict[str, msgspec.Raw])), None)
    if first is None:
        raise DataError("there is no run in it", file=str(path), remedy="name a file with recorded runs")
    if "messages" in first:
        domains = read_domains(path)
        for recorded in json_lines(path, msgspec.json.Decoder(RecordedRun)):
            run = _conversation(recorded, domains.get(recorded.domain), scale)
            if run.steps:
                yield run
        return
    if not {"run", "step", "in", "out"} <= set(first):
        raise DataError(
            f"this is no recorded run: {_SHAPES}", file=str(path), line=1, remedy="name another file"
        )
    lines = json_lines(path, msgspec.json.Decoder(StepLine))
    for name, steps in groupby(lines, key=lambda each: each.run):
        yield _sized(name, list(steps), path, scale)


def _sized(name: str, lines: list[StepLine], path: Path, scale: float) -> PlayedRun:
    numbers: dict[int, int] = {}
    contexts: dict[int, Context] = {}
    steps = []
    for at, line in enumerate(lines):
        strange = [each for each in line.deps if each not in numbers]
        if strange or line.step in numbers:
            fault = f"step {line.step} of run {name!r} waits for step {strange[0]}" if strange else ""
            raise DataError(
                fault or f"step {line.step} of run {name!r} stands here twice",
                file=str(path),
                field="deps" if strange else "step",
                remedy="a step may wait only for steps on lines before its own",
            )
        numbers[line.step] = at
        contexts[line.step] = context = grown(line, contexts.get(line.share_step), scale)
        steps.append(
            PlayedStep(
                _role(line),
                tuple(numbers[each] for each in line.deps),
                line.gap,
                line.model,
                max(1, round(line.input_tokens * scale)),
                max(1, round(line.output_tokens * scale)),
                _prompt(context),
            )
        )
    return PlayedRun(name, lines[0].cls or "load", tuple(steps))


def _role(line: StepLine) -> str:
    """Who of a run makes the call, where its session tells: `user`, `agent`, `agent_002`."""
    named = line.sess.removeprefix(line.run)
    return named[1:] if named.startswith(".") else "step"


def _prompt(context: Context) -> Callable[[str], tuple[Message, ...]]:
    return lambda salt: messages_of(context, salt)


def _conversation(recorded: RecordedRun, domain: Domain | None, scale: float) -> PlayedRun:
    steps: list[PlayedStep] = []
    tools = tools_of(recorded, domain)
    for at, (call, gap) in enumerate(zip(calls_of(recorded, domain), _gaps(recorded), strict=False)):
        usage = call.reply.usage
        written = len(msgspec.json.encode(call.reply)) // 4
        steps.append(
            PlayedStep(
                call.step,
                (at - 1,) if at else (),
                gap,
                call.model,
                usage.input_tokens
                if usage
                else sum(len(msgspec.json.encode(one)) for one in call.messages) // 4,
                max(1, round((usage.output_tokens if usage else written) * scale)),
                _said(call.messages),
                tools,
            )
        )
    return PlayedRun(recorded.id, slug(recorded.domain) or "load", tuple(steps))


def _said(messages: tuple[Message, ...]) -> Callable[[str], tuple[Message, ...]]:
    return lambda salt: messages


def _gaps(recorded: RecordedRun) -> Iterator[float]:
    """Seconds between the assistant's last word and what it was asked next, where times are told; else none."""
    heard: float | None = None
    said: float | None = None
    opened = False
    for message in recorded.messages:
        opened = opened or message.role == "user"
        if message.role != "assistant":
            heard = message.t if message.t is not None else heard
            continue
        if opened if recorded.thread is None else message.t is not None:
            yield max(0.0, heard - said) if heard is not None and said is not None else 0.0
        said = message.t if message.t is not None else said
