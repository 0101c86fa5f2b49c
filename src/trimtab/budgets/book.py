"""Which limits a call falls under: budgets in money, rates in requests and tokens a minute.

Pure: settings and a call's attribution in, meters out. The ledger keeps the counting.
"""

from collections.abc import Callable, Mapping, Sequence

from trimtab.budgets.keys import KEY_WINDOWS, KeyLimit, KeyWindow
from trimtab.budgets.windows import Window, WindowName, window_at
from trimtab.config import BudgetSettings, RateSettings, TenantSettings
from trimtab.core import Attribution, Meter, Unit, nanodollars_of

_NONE = "(none)"
_KEY_LABELS: dict[KeyWindow, str] = {window: f"key limit/{window}" for window in KEY_WINDOWS}
_RUN = window_at("run", 0.0).label


def key_meter(key: str, limit: KeyLimit, at: float) -> Meter:
    """The meter of what a key may spend in the window that holds a moment."""
    return _of_keys(limit.window).meter(Attribution("", "", key=key), at, limit.nanodollars)


def _unlimited(key: str) -> KeyLimit | None:
    return None


def _value(scope: str, who: Attribution) -> str:
    """The scope's value for a call; users, workflows and runs are their tenant's own."""
    if scope == "tenant":
        return quoted(who.tenant)
    if scope == "key":
        return who.key or _NONE
    return f"{quoted(who.tenant)}/{quoted(getattr(who, scope)) or _NONE}"


def quoted(text: str) -> str:
    """A part of a meter's id: clients choose users and runs, and must not reach another's meter by a slash or bar."""
    if "/" in text or "%" in text or "|" in text:
        return text.replace("%", "%25").replace("/", "%2F").replace("|", "%7C")
    return text


class _Limit:
    """One configured limit, with its window's label kept until it is over.

    `label` is what tells its meters from those of other limits: it must not depend on where in the file it stands.
    """

    def __init__(self, scope: str, match: Mapping[str, str], window: WindowName, name: str) -> None:
        self.scope, self.match, self.window, self.name = scope, match, window, name
        matched = ",".join(f"{field}={value}" for field, value in sorted(match.items()))
        self.label = f"{name}[{matched}]" if matched else name
        self.unit: Unit = "nanodollars"
        self.amount = 0
        self.spared: frozenset[str] = frozenset()
        self._now = Window("", 0.0, 0.0)

    def covers(self, who: Attribution) -> bool:
        if who.tenant in self.spared:
            return False
        return not self.match or all(getattr(who, field) == value for field, value in self.match.items())

    def meter(self, who: Attribution, at: float, amount: int | None = None) -> Meter:
        current = self._now
        if current.resets_at is not None and not current.starts_at <= at < current.resets_at:
            current = self._now = window_at(self.window, at)
        value = _value(self.scope, who)
        if self.window == "run" and self.scope != "run":
            value = f"{value}/{quoted(who.run)}"
        id = f"{self.label}|{self.scope}:{value}|{current.label}"
        return Meter(id, self.name, self.unit, self.amount if amount is None else amount, current.resets_at)


class BudgetBook:
    """All limits of the settings, and what `of_key` tells of keys by their ids; asked once a call."""

    def __init__(
        self,
        budgets: Sequence[BudgetSettings] = (),
        rates: Sequence[RateSettings] = (),
        tenants: Sequence[TenantSettings] = (),
        of_key: Callable[[str], KeyLimit | None] = _unlimited,
    ) -> None:
        self._of_key = of_key
        self._keys = {window: _of_keys(window) for window in KEY_WINDOWS}
        self._budgets = [_budget(settings) for settings in budgets]
        self._rates = [limit for settings in rates for limit in _rates(settings)]
        named = [t.name for t in tenants if t.name != "*"]
        for tenant in tenants:
            self._rates += _tenant_rates(tenant, named)
        _tell_apart([*self._keys.values(), *self._budgets, *self._rates])

    def budgets(self, who: Attribution, at: float) -> tuple[Meter, ...]:
        """Money meters of a call at `at` (epoch seconds), in the order of the settings; its key's own comes last."""
        meters = [limit.meter(who, at) for limit in self._budgets if limit.covers(who)]
        own = self._of_key(who.key) if who.key else None
        if own is not None:
            meters.append(self._keys[own.window].meter(who, at, own.nanodollars))
        return tuple(meters)

    def rates(self, who: Attribution, at: float) -> tuple[Meter, ...]:
        """Request and token meters of a call."""
        return tuple([limit.meter(who, at) for limit in self._rates if limit.covers(who)])


def is_of_keys(id: str) -> bool:
    """Whether a meter counts what a key's own limit is held against: no limit of the settings has such a label."""
    return id.partition("|")[0] in _KEY_LABELS.values()


def lasts_a_run(meter: Meter) -> bool:
    """Whether a meter counts for one run, and ends with it."""
    return meter.id.endswith(f"|{_RUN}")


def _of_keys(window: KeyWindow) -> _Limit:
    return _Limit("key", {}, window, _KEY_LABELS[window])


def _tell_apart(limits: Sequence[_Limit]) -> None:
    """Limits that are alike in name and match get numbers, so that each counts for itself."""
    taken: set[str] = set()
    for limit in limits:
        label, number = limit.label, 1
        while limit.label in taken:
            number += 1
            limit.label = f"{label}#{number}"
        taken.add(limit.label)


def _budget(settings: BudgetSettings) -> _Limit:
    name = settings.name or f"{settings.scope}/{settings.window}"
    limit = _Limit(
        settings.scope, {str(field): value for field, value in settings.match.items()}, settings.window, name
    )
    limit.amount = nanodollars_of(settings.limit_usd)
    return limit


def _rates(settings: RateSettings) -> list[_Limit]:
    wanted: tuple[tuple[Unit, int], ...] = (
        ("requests", settings.requests_per_minute),
        ("tokens", settings.tokens_per_minute),
    )
    limits = []
    for unit, amount in wanted:
        if amount:
            limit = _Limit(
                settings.scope,
                {str(field): value for field, value in settings.match.items()},
                "minute",
                f"{settings.scope}/{unit}",
            )
            limit.unit, limit.amount = unit, amount
            limits.append(limit)
    return limits


def _tenant_rates(tenant: TenantSettings, named: Sequence[str]) -> list[_Limit]:
    """`[[tenant]] name = "*"` limits every tenant that has no table of its own."""
    limits = _rates(
        RateSettings(
            scope="tenant",
            requests_per_minute=tenant.requests_per_minute,
            tokens_per_minute=tenant.tokens_per_minute,
            match={} if tenant.name == "*" else {"tenant": tenant.name},
        )
    )
    for limit in limits if tenant.name == "*" else ():
        limit.spared = frozenset(named)
    return limits
