"""What a packaged controller says of itself: where it comes from, what it promises, and what its files must hash to."""

import hashlib
import re
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from trimtab.controllers.conversation import Tool
from trimtab.controllers.drift import Profile
from trimtab.core import ControllerKind

FORMAT = 1
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_PATH_PART = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]{0,199}")

Version = Annotated[str, Meta(min_length=1, max_length=100)]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class PackedFile(msgspec.Struct, frozen=True):
    """A file of the package: its path in the folder, its SHA-256 and its size."""

    path: str
    sha256: Hash
    bytes: int

    def __post_init__(self) -> None:
        if not all(_PATH_PART.fullmatch(part) for part in self.path.split("/")):
            raise ValueError(f"Expected a plain relative `path`, got {self.path!r}")


class Report(msgspec.Struct, frozen=True):
    """What the evaluation on held-out runs came to. `digest` is the whole report's; `misses` say what fell short."""

    passed: bool
    digest: str
    held_out: str = ""
    metrics: dict[str, float] = {}
    misses: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`manifest.json`. `created` is epoch seconds; `tools` the digest of every tool the training saw, by name (empty:
    any tool); `profile` how the controller decided on its validation runs; `licence` is the package's own; `shared`
    the files outside of the package that it rests on, by their paths among the registry's shared encoders.

    `metrics` are those of validation; what held-out runs say stands in `report`, None where none were kept back.
    """

    kind: ControllerKind
    workflow: Annotated[str, Meta(min_length=1, max_length=200)]
    version: Version
    created: float
    name: str = ""
    format: int = FORMAT
    teacher: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    thresholds: dict[str, float] = {}
    metrics: dict[str, float] = {}
    promised_precision: Annotated[float, Meta(ge=0, le=1)] | None = None
    data_digest: str = ""
    tools: dict[str, str] = {}
    base_model: str = ""
    base_licence: str = ""
    licence: str = ""
    seed: int = 0
    packages: dict[str, str] = {}
    report: Report | None = None
    profile: Profile | None = None
    files: tuple[PackedFile, ...] = ()
    shared: tuple[PackedFile, ...] = ()

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise ValueError(f"Expected a `version` of letters, digits and .-_, got {self.version!r}")
        if self.format != FORMAT:
            raise ValueError(f"Expected `format` {FORMAT}, got {self.format}")
        name = name_of(self.workflow, self.kind)
        if self.name not in ("", name):
            raise ValueError(f"Expected `name` {name!r}, got {self.name!r}")
        if not self.name:
            msgspec.structs.force_setattr(self, "name", name)

    @property
    def title(self) -> str:
        """Name and version, as replies and traces show them."""
        return f"{self.name}@{self.version}"


def silence(manifest: Manifest, *, eager: bool) -> str:
    """Why it would never answer, in a workflow whose settings say `eager`; '' where it may."""
    if manifest.kind != "step":
        return "" if manifest.thresholds else "none of its levels has a threshold, so it never answers"
    way, other = ("eager", "exact") if eager else ("exact", "eager")
    if way in manifest.thresholds:
        return ""
    hint = f"; it has one for eager = {str(not eager).lower()}" if other in manifest.thresholds else ""
    return f"with eager = {str(eager).lower()} in the settings it has no threshold, so it never answers{hint}"


def name_of(workflow: str, kind: str) -> str:
    """The name of a workflow's controllers of a kind; versions come behind it."""
    return f"{workflow}/{kind}"


def new_version(now: str, salt: str) -> str:
    """A version that sorts by time: `now` as 20261101T120000Z, and eight characters that tell two apart."""
    return f"{now}-{hashlib.blake2b(salt.encode(), digest_size=4).hexdigest()}"


def tool_digest(tool: Tool) -> str:
    """The same for two declarations that take the same arguments, however their schemas are written down."""
    schema = msgspec.json.encode([tool.name, tool.parameters], order="sorted")
    return hashlib.blake2b(schema, digest_size=16).hexdigest()


def tool_digests(tools: Iterable[Tool]) -> dict[str, str]:
    """Digests by name, as a manifest keeps them."""
    return {tool.name: tool_digest(tool) for tool in tools}
