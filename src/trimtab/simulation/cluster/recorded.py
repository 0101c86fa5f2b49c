"""Recorded steps of agents (`agent_steps`: one JSON line a call, or gzip of it) -> plans of sessions."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from trimtab.core.errors import DataError
from trimtab.simulation.cluster.plans import RunPlan, SessionPlan, StepPlan, linked

_Tokens = Annotated[int, msgspec.Meta(ge=0)]
_MOST_GAP_SECONDS = 60.0
_MOST_THINK_SECONDS = 120.0


class Cut(msgspec.Struct, frozen=True):
    """How much of a session is played: up to the run in which a prompt passes `input_tokens`, and so many steps."""

    input_tokens: int = 200_000
    steps: int = 150


class _Row(msgspec.Struct, frozen=True):
    run: str
    sess: str
    step: int
    input: _Tokens = msgspec.field(name="in")
    output: _Tokens = msgspec.field(name="out")
    deps: tuple[int, ...] = ()
    gap: float | None = 0.0
    share: _Tokens = msgspec.field(name="share_tok", default=0)
    sys: str = ""
    system: _Tokens | None = msgspec.field(name="sys_tok", default=0)
    cls: str = "runs"


def read_sessions(path: Path, cut: Cut | None = None) -> list[SessionPlan]:
    """The sessions of a file; those whose first run is already too long are left out.

    Tool gaps count at most a minute, a user's thinking two. Raises `DataError`.
    """
    limits = cut or Cut()
    sessions: dict[str, dict[str, list[_Row]]] = {}
    for row in _rows(path):
        name, _, number = row.run.rpartition(".")
        session = name if number.isdigit() else row.run
        sessions.setdefault(session, {}).setdefault(row.run, []).append(row)
    plans = [_session(list(runs.values()), limits) for runs in sessions.values()]
    found = [plan for plan in plans if plan.runs]
    if not found:
        raise DataError("no session is in it", file=str(path), remedy="or all are beyond the cut: raise it")
    return found


def _rows(path: Path) -> Iterator[_Row]:
    decoder = msgspec.json.Decoder(_Row)
    opened = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opened(path, "rb") as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007 - named in errors
                if line.strip():
                    yield decoder.decode(line)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{error}", file=str(path), line=number, remedy="one call a line: run, sess, step, in, out, ..."
        ) from None
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise DataError(
            f"cannot be read: {error}",
            file=str(path),
            line=number,
            remedy="expected JSON Lines, or gzip of it",
        ) from None


def _session(runs: list[list[_Row]], cut: Cut) -> SessionPlan:
    contexts: dict[str, int] = {}
    plans: list[RunPlan] = []
    left = cut.steps
    for rows in runs:
        if left <= 0 or max(row.input for row in rows) > cut.input_tokens:
            break
        plans.append(_run(rows[:left], contexts))
        left -= len(rows)
    return SessionPlan(tuple(plans))


def _run(rows: list[_Row], contexts: dict[str, int]) -> RunPlan:
    places: dict[int, int] = {}
    steps: list[StepPlan] = []
    for index, row in enumerate(rows):
        parents = tuple(places[dep] for dep in row.deps if dep in places)
        if not parents and index:
            parents = (index - 1,)
        steps.append(_step(row, parents, contexts.setdefault(row.sess, len(contexts)), index))
        places[row.step] = index
    think = min(rows[0].gap or 0.0, _MOST_THINK_SECONDS)
    return linked(rows[0].cls, steps, think)


def _step(row: _Row, parents: tuple[int, ...], context: int, index: int) -> StepPlan:
    tokens = max(1, row.input)
    _, _, label = row.sess.rpartition(".")
    helper = ".sub." in row.cls
    return StepPlan(
        step="helper" if helper else label if label in ("user", "assistant") else "main",
        input_tokens=tokens,
        output_tokens=max(1, row.output),
        shared_tokens=min(row.share, tokens - 1),
        context=context,
        system=row.sys,
        system_tokens=min(row.system or 0, tokens - 1),
        gap_seconds=min(row.gap or 0.0, _MOST_GAP_SECONDS) if index else 0.0,
        parents=parents,
        tolerant=helper or label == "user",
    )
