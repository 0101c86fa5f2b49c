"""Where each key of a trimtab.toml stands, so that every error can name file, line and key.

`tomllib` forgets positions; `Scanner` walks the same text once more and notes the line of every key, header
and array element. It is given only text that `tomllib` has accepted, so it need not check anything.
"""

import bisect
import re
import tomllib

import msgspec

from trimtab.core.errors import ConfigError

Key = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


class Source(msgspec.Struct, frozen=True):
    """What settings were read from: the file, the line of each key, and what won over keys: environment variables, and
    options of the command line (`--port`)."""

    file: str = ""
    lines: dict[Key, int] = {}
    variables: dict[Key, str] = {}

    def line(self, key: Key) -> int:
        """The line of `key`, or of the nearest table around it; 0 where nothing is known."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.lines:
                return self.lines[key[:length]]
        return 1 if self.lines else 0

    def error(self, key: Key, message: str) -> ConfigError:
        """An error about `key`, placed in the file, or at the environment variable or option that set it."""
        if key in self.variables:
            name = self.variables[key]
            return ConfigError(
                message, file="command line" if name.startswith("--") else "environment", key=name
            )
        return ConfigError(message, file=self.file, line=self.line(key), key=key_text(key))


def key_text(key: Key) -> str:
    """A key as people write it: `endpoint[1].timeouts.idle` (elements count from 0)."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if _BARE_KEY.fullmatch(part) else msgspec.json.encode(part).decode()
            text += f".{shown}" if text else shown
    return text


def locate(text: str) -> dict[Key, int]:
    """The line (from 1) of every key, header and array element of valid TOML with `\\n` line ends."""
    scanner = Scanner(text)
    scanner.scan()
    return scanner.lines


class Scanner:
    """One walk over valid TOML. `lines` grows as it goes; `counts` holds the length of arrays of tables."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.lines: dict[Key, int] = {}
        self.counts: dict[Key, int] = {}
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    def scan(self) -> None:
        """Walk all statements."""
        table: Key = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return match[0]

    def _note(self, key: Key) -> None:
        self.lines.setdefault(key, bisect.bisect_left(self._breaks, self.at) + 1)

    def _header(self) -> Key:
        of_array = self.text.startswith("[[", self.at)
        self.at += 2 if of_array else 1
        *outer, last = self._keys()
        table: Key = ()
        for name in outer:
            table = self._last_element((*table, name))
            self._note(table)
        table = (*table, last)
        if of_array:
            self._note(table)
            self.counts[table] = self.counts.get(table, 0) + 1
            table = self._last_element(table)
        self._note(table)
        self.at += 2 if of_array else 1
        return table

    def _last_element(self, key: Key) -> Key:
        return (*key, self.counts[key] - 1) if key in self.counts else key

    def _keys(self) -> list[str]:
        names = [self._name()]
        while self.text[self.at] == ".":
            self.at += 1
            names.append(self._name())
        return names

    def _name(self) -> str:
        self._skip(_SPACE)
        if self.text[self.at] in "\"'":
            name = str(tomllib.loads("key = " + self._skip(_STRING))["key"])
        else:
            name = self._skip(_BARE_KEY)
        self._skip(_SPACE)
        return name

    def _pair(self, table: Key) -> None:
        start = self.at
        names = self._keys()
        behind, self.at = self.at, start
        for length in range(1, len(names) + 1):
            self._note((*table, *names[:length]))
        self.at = behind + 1
        self._skip(_SPACE)
        self._value((*table, *names))

    def _value(self, key: Key) -> None:
        opening = self.text[self.at]
        if opening == "[":
            self._array(key)
        elif opening == "{":
            self._inline_table(key)
        else:
            self._skip(_STRING if opening in "\"'" else _SCALAR)

    def _array(self, key: Key) -> None:
        self.at += 1
        self._skip(_BLANK)
        element = 0
        while self.text[self.at] != "]":
            self._note((*key, element))
            self._value((*key, element))
            element += 1
            self._separator()
        self.at += 1

    def _inline_table(self, key: Key) -> None:
        self.at += 1
        self._skip(_BLANK)
        while self.text[self.at] != "}":
            self._pair(key)
            self._separator()
        self.at += 1

    def _separator(self) -> None:
        self._skip(_BLANK)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_BLANK)
