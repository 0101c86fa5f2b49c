"""What of the spending is asked for, from the query of a page's URL and back into it. Pure."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Literal, get_args

import msgspec

from trimtab.console.filters import one_of
from trimtab.console.sheets import link
from trimtab.core.errors import BadRequest
from trimtab.store import Selection, SpendField, SpendSelection

Narrowing = Literal["tenant", "user", "workflow", "step", "model", "endpoint"]
NARROWINGS: tuple[Narrowing, ...] = get_args(Narrowing)
FIELDS: tuple[SpendField, ...] = (*NARROWINGS, "day")
RANGES = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
_RANGE = "7d"
# A page's chart and its reading stay small.
_MOST_DAYS = 731
_DAY = 86_400.0
_EPOCH = date(1970, 1, 1)
# What runs can be found by, too.
_OF_RUNS = frozenset(("tenant", "workflow", "user"))
# Of these only one is summed at a time.
_EACH_APART: tuple[SpendField, ...] = ("user", "step", "endpoint")


class CostQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whole days from `since` to `until`, both included, in days since the epoch, grouped by a field. `range` is ''
    where dates are asked for; `own` tenants cannot be changed."""

    by: SpendField
    since: int
    until: int
    range: str
    named: Mapping[Narrowing, str] = {}
    own: bool = False
    against: str = ""

    @property
    def selection(self) -> SpendSelection:
        """For the sums."""
        named: dict[SpendField, str] = {name: value for name, value in self.named.items()}
        return SpendSelection(since=self.since, until=self.until, named=named)

    @property
    def offered(self) -> list[SpendField]:
        """The fields that may still tell something apart."""
        return [name for name in FIELDS if self.tells(name)]

    def tells(self, field: SpendField) -> bool:
        """Whether lines by this field can differ."""
        if field == "day":
            return self.since != self.until
        return field not in self.named and field not in _apart(self.named)

    def narrowed(self, field: SpendField, value: str) -> "CostQuery":
        """To one value of a field, grouped by what is sensible next."""
        if field == "day":
            found = msgspec.structs.replace(self, since=int(value), until=int(value), range="")
        else:
            found = msgspec.structs.replace(self, named={**self.named, field: value})
        return found.regrouped(_next(found, field))

    def widened(self, field: Narrowing) -> "CostQuery":
        """Without what a field narrows it to, and grouped by that field."""
        named = {name: value for name, value in self.named.items() if name != field}
        return msgspec.structs.replace(self, named=named, by=field)

    def regrouped(self, by: SpendField) -> "CostQuery":
        """Grouped by another field."""
        return msgspec.structs.replace(self, by=by)

    def over(self, range: str) -> str:
        """The URL of the same over another range."""
        rest = {name: text for name, text in self.asked.items() if name not in ("since", "until", "range")}
        return link("/costs", **rest, range=range)

    @property
    def asked(self) -> dict[str, str]:
        """As a URL's query."""
        dates = {"since": day_text(self.since), "until": day_text(self.until)}
        shown: dict[str, str] = {
            name: value for name, value in self.named.items() if not (self.own and name == "tenant")
        }
        without = ",".join(name for name, value in shown.items() if not value)
        days = {"range": "" if self.range == _RANGE else self.range} if self.range else dates
        found: dict[str, str] = {"by": self.by, **days, "without": without, "against": self.against}
        found |= shown
        return {name: value for name, value in found.items() if value}

    def address(self, path: str = "/costs") -> str:
        """The page's URL."""
        return link(path, **self.asked)

    def runs(self, field: SpendField, value: str) -> str:
        """The URL of the runs that a line is about, '' where runs are not found by that."""
        of_line = self.narrowed(field, value)
        named = of_line.named
        if any(name not in _OF_RUNS or not text for name, text in named.items()):
            return ""
        shown = {name: text for name, text in named.items() if not (self.own and name == "tenant")}
        return link("/runs", **shown, since=day_text(of_line.since), until=day_text(of_line.until + 1))

    @property
    def of_runs(self) -> Selection:
        """The runs in which this was spent, as far as runs tell."""
        return Selection(
            since=self.since * _DAY,
            until=(self.until + 1) * _DAY,
            tenant=self.named.get("tenant"),
            user=self.named.get("user"),
            workflow=self.named.get("workflow"),
        )

    @property
    def of_calls(self) -> dict[str, str]:
        """What of those runs' calls is meant."""
        return {name: value for name, value in self.named.items() if name not in _OF_RUNS}


def cost_query(asked: Mapping[str, str], tenant: str | None, now: float, *, own: bool) -> CostQuery:
    """What a query asks for. `own`: the tenant is the visitor's and no other can be asked for. Raises BadRequest."""
    named = _named(asked, tenant)
    range, since, until = _days(asked, int(now // _DAY))
    found = CostQuery(
        by="day",
        since=since,
        until=until,
        range=range,
        named=named,
        own=own,
        against=asked.get("against", ""),
    )
    by = one_of(asked, "by", FIELDS) or _first(found)
    if by in (apart := _apart(named)):
        raise BadRequest(
            f"{by} and {' or '.join(name for name in named if by in _apart({name: ''}))} are not summed together; "
            f"group by {', '.join(name for name in FIELDS if name not in apart)}, or take the narrowing away",
            param="by",
        )
    return found.regrouped(by)


def _named(asked: Mapping[str, str], tenant: str | None) -> dict[Narrowing, str]:
    without = [name for name in asked.get("without", "").split(",") if name]
    strange = [name for name in without if name not in NARROWINGS or name == "tenant"]
    if strange:
        raise BadRequest(
            f"without names fields: {', '.join(NARROWINGS[1:])}, not {strange[0][:60]!r}", param="without"
        )
    named: dict[Narrowing, str] = {} if tenant is None else {"tenant": tenant}
    for name in NARROWINGS[1:]:
        if text := asked.get(name, ""):
            named[name] = text
        elif name in without:
            named[name] = ""
    both = [name for name in _EACH_APART if name in named]
    if len(both) > 1:
        raise BadRequest(
            f"{' and '.join(both)} are not summed together; narrow by one of them, not by both",
            param=both[-1],
        )
    return named


def _apart(named: Mapping[Narrowing, str]) -> frozenset[SpendField]:
    """Fields that cannot be told apart where these are narrowed."""
    found = {other for name in named if name in _EACH_APART for other in _EACH_APART if other != name}
    return frozenset(found)


def _next(query: CostQuery, field: SpendField) -> SpendField:
    """The first field after this one that tells something, else the first of all."""
    after = FIELDS.index(field) + 1
    order: list[SpendField] = [name for name in (*FIELDS[after:], *FIELDS[:after]) if name != "user"]
    return next((name for name in (*order, "user") if query.tells(name)), field)


def _first(query: CostQuery) -> SpendField:
    return "workflow" if query.tells("workflow") else _next(query, "workflow")


def _days(asked: Mapping[str, str], today: int) -> tuple[str, int, int]:
    """The range's name, its first day and its last."""
    first, last = _day(asked, "since"), _day(asked, "until")
    if first is None and last is None:
        range = one_of(asked, "range", tuple(RANGES)) or _RANGE
        return range, today - RANGES[range] + 1, today
    until = max(today, first or 0) if last is None else last
    since = until - RANGES[_RANGE] + 1 if first is None else first
    if not 0 <= until - since < _MOST_DAYS:
        raise BadRequest(
            f"from {day_text(since)} to {day_text(until)} are {until - since + 1} days; ask for 1 to {_MOST_DAYS}",
            param="since",
        )
    return "", since, until


def _day(asked: Mapping[str, str], name: str) -> int | None:
    text = asked.get(name, "").strip()
    if not text:
        return None
    try:
        found = (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        found = -1
    # A range's other end is reckoned from this one, and must be a date too.
    if not _MOST_DAYS <= found <= 2_900_000:
        raise BadRequest(f"{name} is a day such as 2026-11-01, not {text[:60]!r}", param=name)
    return found


def day_text(day: int) -> str:
    """A day since the epoch as people write it."""
    return (_EPOCH + timedelta(days=day)).isoformat()
