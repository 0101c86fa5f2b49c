"""What an API key may spend, as people write it and as a store keeps it. Pure."""

import re
from typing import Literal, get_args

import msgspec

from trimtab.core import nanodollars_of, usd_text
from trimtab.core.errors import ConfigError

KeyWindow = Literal["day", "month", "total"]
KEY_WINDOWS: tuple[KeyWindow, ...] = get_args(KeyWindow)
_AMOUNT = re.compile(r"\$?[0-8]?[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


class KeyLimit(msgspec.Struct, frozen=True, gc=False):
    """What the calls of an API key may cost in each window; `total`: ever."""

    nanodollars: int
    window: KeyWindow

    def __str__(self) -> str:
        """For people: `$2.5 a month`, `$7 in all`."""
        return f"${self.usd} {'in all' if self.window == 'total' else f'a {self.window}'}"

    @property
    def usd(self) -> str:
        """The amount, exact and short."""
        return usd_text(self.nanodollars).rstrip("0").rstrip(".")


def key_limit(usd: str, window: str) -> KeyLimit:
    """The limit that somebody wrote. Raises ConfigError that says what cannot be used."""
    if window not in KEY_WINDOWS:
        raise ConfigError(f"a limit's window is {', '.join(KEY_WINDOWS)}, not {window[:40]!r}", key="window")
    if not _AMOUNT.fullmatch(usd):
        raise ConfigError(f"a limit is USD as in 2.50, below 9000000000, not {usd[:40]!r}", key="usd")
    return KeyLimit(nanodollars_of(usd.removeprefix("$")), window)


def stored_limit(nanodollars: int | None, window: str) -> KeyLimit | None:
    """The limit as a store keeps it; None where there is none."""
    if nanodollars is None:
        return None
    # A window of some later version: nothing may be spent, rather than anything.
    return KeyLimit(nanodollars, window) if window in KEY_WINDOWS else KeyLimit(0, "total")
