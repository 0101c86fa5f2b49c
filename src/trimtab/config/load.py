"""From a trimtab.toml and the environment to settings that can be used: read, decode, override, check.

`app/` and the verbs of `cli/` call it once at start. Whatever is wrong becomes a ConfigError that names file,
line and key (or the variable) and says what was expected.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from trimtab.config.check import check_settings
from trimtab.config.decode import decode
from trimtab.config.environment import overridden
from trimtab.config.prices import check_prices
from trimtab.config.settings import Settings
from trimtab.config.source import Source, locate
from trimtab.core.errors import ConfigError

_POSITION = re.compile(
    r"(?P<fault>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.S
)
_REMEDIES = (
    ("Invalid value", 'text needs quotes: key = "value"'),
    ("Cannot overwrite a value", "the key is given twice; remove one"),
    ("Cannot declare", "the table is given twice; a table that may come often is written [[name]]"),
    ("Expected '=' after a key", "write key = value"),
    ("Unterminated string", "close the quotes"),
    ("Illegal character", "close the quotes on the same line"),
)


class Loaded(msgspec.Struct, frozen=True):
    """Settings, and where each key came from for errors found later."""

    settings: Settings
    source: Source


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings from the file at `path` (None: defaults) and from `environ`. Raises ConfigError."""
    return load(path, environ).settings


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """As `load_settings`, with the positions that `secrets_of` and others use in their errors."""
    if path is None:
        return load_text("", "", environ)
    return load_text(_text_of(path), str(path), environ)


def load_text(text: str, file: str, environ: Mapping[str, str]) -> Loaded:
    """Settings from TOML text; `file` is the name shown in errors. Raises ConfigError."""
    raw, source = parse(text, file)
    settings, variables = overridden(decode(raw, source), environ)
    source = msgspec.structs.replace(source, variables=variables)
    check_settings(settings, source)
    check_prices(settings, source)
    return Loaded(settings, source)


def parse(text: str, file: str) -> tuple[dict[str, Any], Source]:
    """The tables of TOML text and the line of each key. Raises ConfigError."""
    text = text.replace("\r\n", "\n")
    try:
        return tomllib.loads(text), Source(file, locate(text))
    except RecursionError:
        raise ConfigError("brackets are nested too deep to be read", file=file, line=1) from None
    except ValueError as error:
        raise _syntax_error(str(error), text, file) from None


def _syntax_error(message: str, text: str, file: str) -> ConfigError:
    lines = text.split("\n")
    position = _POSITION.fullmatch(message)
    line = int(position["line"]) if position and position["line"] else len(lines)
    fault = position["fault"] if position else message
    column = f", column {position['column']}" if position and position["column"] else ""
    remedy = next((f"; {remedy}" for start, remedy in _REMEDIES if fault.startswith(start)), "")
    shown = lines[line - 1].strip()[:80]
    return ConfigError(f"this is not TOML{column}: {fault}{remedy}\n    {shown}", file=file, line=line)


def _text_of(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("no such file; `trimtab init` writes one to start from", file=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("this is not UTF-8; save the file as UTF-8", file=str(path), line=line) from None
