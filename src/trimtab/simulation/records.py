"""Recorded agent runs: a streaming, typed reader of JSONL (plain or gzip), tau2 traces and our own exports.

Used by the cassette and the replay; it reads one line at a time and never holds the whole file.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from trimtab.core import Usage
from trimtab.core.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_T = TypeVar("_T")
Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class RecordedToolCall(msgspec.Struct, frozen=True):
    """A tool call; `arguments` is the JSON of an object (`{"_raw": text}` where a model wrote none)."""

    id: str
    name: str
    arguments: msgspec.Raw

    def __post_init__(self) -> None:
        if not bytes(self.arguments).lstrip().startswith(b"{"):
            raise ValueError("Expected `object` of arguments")

    @property
    def text(self) -> str:
        """The arguments as the model wrote them."""
        fields = msgspec.json.decode(self.arguments, type=dict[str, object])
        raw = fields.get("_raw") if len(fields) == 1 else None
        return raw if isinstance(raw, str) else bytes(self.arguments).decode()


class RecordedUsage(msgspec.Struct, frozen=True):
    """Tokens of one message; what was cached is part of `prompt_tokens`, reasoning of `completion_tokens`."""

    prompt_tokens: Tokens
    completion_tokens: Tokens
    cached_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0

    def known(self) -> Usage:
        """The same in the vocabulary of the house."""
        return Usage(
            input_tokens=self.prompt_tokens,
            output_tokens=self.completion_tokens,
            cached_tokens=self.cached_tokens,
            cache_write_tokens=self.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens,
        )


class RecordedMessage(msgspec.Struct, frozen=True):
    """One message. `audience` says whose tool call a tool message answers; `t` is seconds from the start.

    Our own exports tell of a reply also its `step`, its `model` where that is not the run's agent, the `seconds`
    it took, and with `certainty` whether its usage was told or estimated.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[msgspec.Raw] | None
    tool_calls: tuple[RecordedToolCall, ...] = ()
    tool_call_id: str | None = None
    audience: Literal["assistant", "user"] = msgspec.field(name="for", default="assistant")
    usage: RecordedUsage | None = None
    cost_usd: float | None = None
    t: float | None = None
    error: bool = False
    step: str = ""
    model: str = ""
    seconds: float | None = None
    certainty: Literal["exact", "estimated"] = "exact"

    def __post_init__(self) -> None:
        if isinstance(self.content, list):
            for part in self.content:
                if not bytes(part).lstrip().startswith(b"{"):
                    raise ValueError("Expected `object` for each part of `content`")


class RecordedRun(msgspec.Struct, frozen=True):
    """One run of an agent on a task, or one thread of it, with the reward somebody measured (None: unknown).

    The fields from `run` on are those of our own exports.
    """

    agent: str
    domain: str
    task: str
    trial: int
    reward: Annotated[float, msgspec.Meta(ge=0, le=1)] | None
    messages: tuple[RecordedMessage, ...]
    agent_cost_usd: float | None = None
    duration_s: float | None = None
    end: str = ""
    run: str = ""
    thread: Annotated[int, msgspec.Meta(ge=0)] | None = None
    tenant: str = ""
    user: str = ""
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def run_id(self) -> str:
        """A name of the run fit for a header and a path; unlike runs never share one."""
        named = ".".join((slug(self.agent), slug(self.domain), slug(self.task), str(self.trial)))
        return f"{named}-{_digest(f'{self.tenant}/{self.run}')}" if self.run else named

    @property
    def id(self) -> str:
        """The run's name, with the thread's number where it is a further one."""
        return f"{self.run_id}.thread-{self.thread}" if self.thread else self.run_id


class DomainTool(msgspec.Struct, frozen=True):
    """A tool the agent was given; `parameters` is its JSON schema as recorded."""

    name: str
    parameters: msgspec.Raw
    description: str = ""
    read_only: bool = False


class Domain(msgspec.Struct, frozen=True):
    """What every run of a domain starts with: the policy as system prompt, and the tools."""

    domain: str
    policy: str
    tools: tuple[DomainTool, ...] = ()


def slug(text: str) -> str:
    """Letters, digits, dot, dash and underscore, at most 48; altered text gets a hash, so none collide."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")
    if plain == text and len(plain) <= 48:
        return plain
    return f"{plain[:40]}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=3).hexdigest()


def read_runs(path: Path) -> Iterator[RecordedRun]:
    """Yields the lines of a file in order. Raises DataError naming file, line, field and remedy."""
    return json_lines(path, msgspec.json.Decoder(RecordedRun))


def read_threads(path: Path, agents: tuple[str, ...] = ()) -> Iterator[tuple[RecordedRun, ...]]:
    """As `read_runs`, each run whole: its threads stand one after the other. Of these agents; none means all."""
    chosen = (run for run in read_runs(path) if not agents or run.agent in agents)
    for _, threads in groupby(chosen, key=_same_run):
        yield tuple(threads)


def _same_run(run: RecordedRun) -> tuple[str, object]:
    """Lines without `thread` are whole runs, each on its own."""
    return run.run_id, object() if run.thread is None else None


def read_domains(runs_path: Path) -> dict[str, Domain]:
    """The domains file beside a runs file, by name; empty where there is none."""
    for name in ("domains.jsonl.gz", "domains.jsonl"):
        path = runs_path.parent / name
        if path.exists():
            return {found.domain: found for found in json_lines(path, msgspec.json.Decoder(Domain))}
    return {}


def json_lines(path: Path, decoder: msgspec.json.Decoder[_T]) -> Iterator[_T]:
    """Yields a file's lines, one at a time. Raises DataError naming file, line, field and remedy."""
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            yield decoder.decode(line)
        except msgspec.ValidationError as error:
            problem, _, place = str(error).partition(" - at ")
            raise DataError(
                problem,
                file=str(path),
                line=number,
                field=place.strip("`") or "$",
                remedy="mend this line, or export the runs again; docs: the shape of recorded runs",
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(
                f"not JSON: {error}",
                file=str(path),
                line=number,
                remedy="each line must be one whole JSON object in UTF-8",
            ) from error


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == _GZIP_MAGIC
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line
    except FileNotFoundError as error:
        raise DataError("no such file", file=str(path), remedy="check the path") from error
    except EOFError as error:
        raise DataError(
            "the gzip file is cut off",
            file=str(path),
            line=number + 1,
            remedy=f"copy or download it again; {number} lines before this one are whole",
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"the gzip data is damaged: {error}",
            file=str(path),
            line=number + 1,
            remedy="copy or download it again",
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", file=str(path), remedy="check the path"
        ) from error
