"""How many threads, crons and items of its store a tenant may keep. One more is refused; what it has stays."""

from collections.abc import Callable
from typing import Literal

import msgspec
from sqlalchemy import Connection

from trimtab.core.errors import Conflict

_SHARE = 10


class Allowance(msgspec.Struct, frozen=True):
    """What one tenant may keep."""

    threads: int
    crons: int
    items: int


AllowanceOf = Callable[[str], Allowance]
Count = Callable[[Connection, str], int]


class Room:
    """Of one kind of things, in this process.

    Counting takes longer the more there are (some 15 ms for 100,000), so far below the limit one count does for a
    tenth of what is left: ten processes together do not pass the limit by that, and at it everything is counted.
    """

    def __init__(
        self, what: Literal["threads", "crons", "items"], count: Count, allowance_of: AllowanceOf
    ) -> None:
        self._what, self._count, self._allowance_of = what, count, allowance_of
        self._uncounted: dict[str, int] = {}

    def require(self, connection: Connection, tenant: str) -> None:
        """For a thing that this transaction has written. Raises Conflict."""
        uncounted = self._uncounted.get(tenant, 0)
        if uncounted:
            self._uncounted[tenant] = uncounted - 1
            return
        most: int = getattr(self._allowance_of(tenant), self._what)
        left = most - self._count(connection, tenant)
        if left < 0:
            raise Conflict(
                f"tenant {tenant!r} may keep {most} {self._what} ([[tenant]] max_{self._what}); delete some first",
                code=f"too_many_{self._what}",
            )
        self._uncounted[tenant] = left // _SHARE
