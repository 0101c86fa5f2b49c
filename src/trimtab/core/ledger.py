"""Holds and entries: money set aside before an attempt, and the append-only line after it."""

from typing import Literal

import msgspec

from trimtab.core.usage import Usage

EntryKind = Literal["model", "tool", "compute"]
Certainty = Literal["exact", "estimated", "worst_case", "unpriced", "upstream"]
Unit = Literal["nanodollars", "requests", "tokens"]


class Meter(msgspec.Struct, frozen=True, gc=False):
    """One counter with a limit: a budget or a rate limit, in one of its windows.

    `id` is unique per scope value and window: `tenant:acme/month/2026-11`. `resets_at` is epoch seconds,
    None where the window never ends (a run).
    """

    id: str
    name: str
    unit: Unit
    limit: int
    resets_at: float | None = None


class Charge(msgspec.Struct, frozen=True, gc=False):
    """An amount against one meter."""

    meter: str
    amount: int


class Hold(msgspec.Struct, frozen=True, gc=False, tag="hold"):
    """Worst case of one attempt, written before it is sent. `id` is the attempt's id."""

    id: str
    call: str
    at: float
    tenant: str
    run: str
    user: str
    workflow: str
    step: str
    key: str
    endpoint: str
    model: str
    nanodollars: int
    charges: tuple[Charge, ...] = ()


class Entry(msgspec.Struct, frozen=True, gc=False, tag="entry"):
    """One ledger line. `id` is its idempotency key: the attempt's id, or the caller's for tools.

    `certainty`: exact (the endpoint's own usage at a known price), estimated (usage missing but all was seen, or
    the price is not sure), worst_case (more may have been billed than was seen, or a dead process's open hold),
    unpriced (no price known: counts as unknown, not as free), upstream (another gateway of the
    same house charged it; `upstream_nanodollars` says how much, and `nanodollars` is 0 so that the money is
    counted once).

    `saved_nanodollars` is an estimate of what a model would have cost where none was needed.
    """

    id: str
    call: str
    at: float
    tenant: str
    run: str
    user: str
    workflow: str
    step: str
    key: str
    kind: EntryKind
    endpoint: str
    model: str
    nanodollars: int
    certainty: Certainty
    usage: Usage = Usage()
    upstream_nanodollars: int = 0
    reason: str = ""
    charges: tuple[Charge, ...] = ()
    saved_nanodollars: int = 0


class Release(msgspec.Struct, frozen=True, gc=False, tag="release"):
    """An attempt that cannot have been billed (never sent, or refused by the endpoint): its hold goes back."""

    id: str
    reason: str = ""
