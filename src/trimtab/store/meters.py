"""Meters, leases and holds: who may still spend how much of which limit.

Invariant, kept by every transaction here: `meter.settled + sum(lease.granted) <= limit`, where
`meter.leased` is that sum. Past it go only what is forced, and a limit that is lowered. A process spends
only out of what it was granted, so no set of processes can pass the limit together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.budgets import KeyLimit, key_meter
from trimtab.core import Charge, Hold, Meter
from trimtab.store.bulk import insert_rows
from trimtab.store.schema import api_key, hold, lease, meter

_WANTED_SECONDS = 10.0


class Grant(msgspec.Struct, frozen=True):
    """What a process was given of a meter, what is left for others, and what is settled for good."""

    amount: int
    free: int
    settled: int


class Ask(msgspec.Struct, frozen=True):
    """A process's wish: at least `need`, at best `want`. `force` grants `need` even past the limit.

    With no `need` it is a wish for later: nobody is made to give back for it.
    """

    meter: Meter
    need: int
    want: int
    force: bool = False


def grant(connection: Connection, process: str, asks: Sequence[Ask], sharers: int, now: float) -> list[Grant]:
    """Lease from several meters in one transaction, each all (`need` or more) or nothing; grants as asked.

    The caller has made sure, in the same transaction, that the process is live (`processes.require_live`).

    With `free` left, a process gets at most `free / (2 * sharers)` beyond need: slices shrink as a limit
    nears, and the tail is handed out call by call. An unmet ask marks the meter as wanted, which makes the
    other processes give back what they do not use.
    """
    given = {
        ask.meter.id: _grant_one(connection, process, ask, sharers, now)
        for ask in sorted(asks, key=_by_meter)
    }
    return [given[ask.meter.id] for ask in asks]


def _by_meter(ask: Ask) -> str:
    return ask.meter.id


def _grant_one(connection: Connection, process: str, ask: Ask, sharers: int, now: float) -> Grant:
    _ensure(connection, ask.meter)
    row = connection.execute(
        select(meter.c.settled, meter.c.leased).where(meter.c.id == ask.meter.id).with_for_update()
    ).one()
    free = ask.meter.limit - row.settled - row.leased
    if ask.need == 0 and free <= 0:
        return Grant(0, free, row.settled)
    if free < ask.need and not ask.force:
        connection.execute(update(meter).where(meter.c.id == ask.meter.id).values(wanted_at=now))
        return Grant(0, free, row.settled)
    amount = max(ask.need, min(ask.want, free // (2 * max(1, sharers))))
    connection.execute(update(meter).where(meter.c.id == ask.meter.id).values(leased=meter.c.leased + amount))
    _add_to_lease(connection, process, ask.meter.id, amount)
    return Grant(amount, free - amount, row.settled)


def _ensure(connection: Connection, wanted: Meter) -> None:
    row = {
        "id": wanted.id,
        "name": wanted.name,
        "unit": wanted.unit,
        "limit_amount": wanted.limit,
        "resets_at": wanted.resets_at,
        "settled": 0,
        "leased": 0,
        "wanted_at": 0.0,
    }
    statement = upsert(connection, meter).values(row)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={"limit_amount": wanted.limit, "name": wanted.name}
        )
    )


def count(connection: Connection, wanted: Meter, spent: int) -> None:
    """Count against a meter what was spent while it did not: its limit may be passed by that, and nothing is granted
    then."""
    _ensure(connection, wanted)
    values = {"settled": meter.c.settled + spent}
    connection.execute(update(meter).where(meter.c.id == wanted.id).values(values))


def _add_to_lease(connection: Connection, process: str, meter_id: str, amount: int) -> None:
    statement = upsert(connection, lease).values(process=process, meter=meter_id, granted=amount)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["process", "meter"], set_={"granted": lease.c.granted + amount}
        )
    )


def give_back(connection: Connection, process: str, amounts: Mapping[str, int]) -> None:
    """Return unused amounts by meter id; empty leases disappear."""
    rows = [{"m": m, "a": a} for m, a in sorted(amounts.items())]
    if not rows:
        return
    connection.execute(
        update(meter).where(meter.c.id == bindparam("m")).values(leased=meter.c.leased - bindparam("a")), rows
    )
    mine = (lease.c.process == process) & (lease.c.meter == bindparam("m"))
    connection.execute(update(lease).where(mine).values(granted=lease.c.granted - bindparam("a")), rows)
    connection.execute(delete(lease).where(lease.c.process == process, lease.c.granted == 0))


def settle(connection: Connection, process: str, charges: Iterable[Charge]) -> None:
    """Turn granted amounts into settled ones."""
    rows = [{"m": m, "a": a} for m, a in sorted(summed(charges).items())]
    if not rows:
        return
    taken = {"settled": meter.c.settled + bindparam("a"), "leased": meter.c.leased - bindparam("a")}
    connection.execute(update(meter).where(meter.c.id == bindparam("m")).values(taken), rows)
    mine = (lease.c.process == process) & (lease.c.meter == bindparam("m"))
    connection.execute(update(lease).where(mine).values(granted=lease.c.granted - bindparam("a")), rows)


def settle_unleased(connection: Connection, charges: Iterable[Charge]) -> None:
    """Add to settled amounts and leave the leases: they were taken away before, or are released whole after."""
    rows = [{"m": m, "a": a} for m, a in sorted(summed(charges).items())]
    if rows:
        added = {"settled": meter.c.settled + bindparam("a")}
        connection.execute(update(meter).where(meter.c.id == bindparam("m")).values(added), rows)


def level(connection: Connection, process: str, amounts: Mapping[str, int]) -> None:
    """Bring leases down to `amounts`, what the process knows of by meter id: answers of grants may be lost."""
    mine = (lease.c.process == process) & lease.c.meter.in_(amounts)
    rows = connection.execute(select(lease.c.meter, lease.c.granted).where(mine)).all()
    over = {row.meter: row.granted - amounts[row.meter] for row in rows}
    give_back(connection, process, {meter_id: amount for meter_id, amount in over.items() if amount > 0})


def summed(charges: Iterable[Charge]) -> dict[str, int]:
    """Amounts by meter id."""
    total: dict[str, int] = {}
    for charge in charges:
        total[charge.meter] = total.get(charge.meter, 0) + charge.amount
    return total


def wanted(connection: Connection, process: str, now: float) -> set[str]:
    """Meters this process has leased of which another one lately got too little."""
    statement = (
        select(meter.c.id)
        .join(lease, lease.c.meter == meter.c.id)
        .where(lease.c.process == process, meter.c.wanted_at > now - _WANTED_SECONDS)
    )
    return set(connection.scalars(statement))


def release_leases(connection: Connection, process: str) -> None:
    """Give back everything a dead process had not spent."""
    rows = connection.execute(select(lease.c.meter, lease.c.granted).where(lease.c.process == process)).all()
    give_back(connection, process, {row.meter: row.granted for row in rows})
    connection.execute(delete(lease).where(lease.c.process == process))


def drop_expired(connection: Connection, now: float) -> None:
    """Forget rate-limit windows that are over; budgets stay as history."""
    over = select(meter.c.id).where(meter.c.unit != "nanodollars", meter.c.resets_at < now - 60)
    connection.execute(delete(lease).where(lease.c.meter.in_(over)))
    connection.execute(delete(meter).where(meter.c.unit != "nanodollars", meter.c.resets_at < now - 60))


def insert_holds(connection: Connection, process: str, holds: Sequence[Hold]) -> None:
    """Write holds that are still open."""
    rows = [
        {
            "id": h.id,
            "process": process,
            "at": h.at,
            "nanodollars": h.nanodollars,
            "record": msgspec.msgpack.encode(h),
        }
        for h in holds
    ]
    insert_rows(connection, hold, rows)


def delete_holds(connection: Connection, ids: Sequence[str]) -> None:
    """Remove holds that were settled or released."""
    if ids:
        connection.execute(delete(hold).where(hold.c.id == bindparam("h")), [{"h": i} for i in ids])


def open_holds(connection: Connection, process: str | None = None) -> list[Hold]:
    """Open holds, of one process or of all."""
    statement = select(hold.c.record).order_by(hold.c.id)
    if process is not None:
        statement = statement.where(hold.c.process == process)
    return [msgspec.msgpack.decode(record, type=Hold) for record in connection.scalars(statement)]


def settled(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """What is spent for good, by meter id; meters that nothing was ever leased of are not among them."""
    rows = connection.execute(select(meter.c.id, meter.c.settled).where(meter.c.id.in_(ids)))
    return {row.id: row.settled for row in rows}


class MeterRow(msgspec.Struct, frozen=True):
    """A meter as stored, for reports. `leased` includes open holds."""

    id: str
    name: str
    unit: str
    limit_amount: int
    resets_at: float | None
    settled: int
    leased: int


def meters(connection: Connection, unit: str = "nanodollars") -> list[MeterRow]:
    """All meters of a unit, by id."""
    columns = [meter.c[name] for name in MeterRow.__struct_fields__]
    rows = connection.execute(select(*columns).where(meter.c.unit == unit).order_by(meter.c.id))
    return [MeterRow(*row) for row in rows]


def current(connection: Connection, now: float, whose: Sequence[str] | None, limit: int) -> list[MeterRow]:
    """Budgets whose window is not over (a run's has none, and is not among them), the fullest first; `whose`: only
    those with one of these between the bars of their ids (`user:acme/` stands for all of acme's users)."""
    columns = [meter.c[name] for name in MeterRow.__struct_fields__]
    statement = select(*columns).where(meter.c.unit == "nanodollars", meter.c.resets_at > now)
    if whose is not None:
        ends = [name if name.endswith("/") else f"{name}|" for name in whose]
        # Not LIKE: SQLite's takes `acme` for `ACME`.
        at = func.instr if connection.dialect.name == "sqlite" else func.strpos
        statement = statement.where(or_(*[at(meter.c.id, f"|{end}") > 0 for end in ends]))
    rows = connection.execute(statement.order_by(*_fullest()).limit(limit))
    return [MeterRow(*row) for row in rows]


def of_keys_ever(connection: Connection, tenant: str | None, limit: int) -> list[MeterRow]:
    """Of good keys that may spend so much ever: their meters, the fullest first."""
    before, after = key_meter("\0", KeyLimit(0, "total"), 0.0).id.split("\0")
    columns = [meter.c[name] for name in MeterRow.__struct_fields__]
    theirs = meter.c.id == literal(before) + api_key.c.id + literal(after)
    statement = select(*columns).join(api_key, theirs)
    good = (api_key.c.limit_window == "total", api_key.c.revoked_at.is_(None))
    statement = (
        statement.where(*good) if tenant is None else statement.where(*good, api_key.c.tenant == tenant)
    )
    rows = connection.execute(statement.order_by(*_fullest()).limit(limit))
    return [MeterRow(*row) for row in rows]


def _fullest() -> tuple[ColumnElement[Any], ...]:
    full = cast(meter.c.settled, Float) / func.nullif(meter.c.limit_amount, 0)
    return full.desc().nulls_first(), meter.c.id.asc()


def upsert(connection: Connection, table: object) -> "postgresql.Insert | sqlite.Insert":
    """The dialect's INSERT that knows ON CONFLICT."""
    return upsert_of(connection.dialect.name, table)


def upsert_of(dialect: str, table: object) -> "postgresql.Insert | sqlite.Insert":
    """The INSERT of a dialect by its name, for statements that are made once."""
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return make(table)  # type: ignore[arg-type]
