"""Small real things for tests of the store and the ledger: records, meters, a clock, a failing line."""

import os
import random

import msgspec
from sqlalchemy import func, select

from trimtab.core import Attribution, Call, CallRecord, Charge, Entry, Hold, Meter, Release, Usage
from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, schema

ACME = Attribution(tenant="acme", run="run-1", user="ada", workflow="lookup", step="plan", source="headers")


class Hands:
    """A clock that stands until it is put forward."""

    def __init__(self, at=1_700_000_000.0):
        self.at = at

    def now(self):
        return self.at

    def monotonic(self):
        return self.at


class FlakyDatabase(Database):
    """A database behind a bad line: some transactions fail before they begin, of some the answer is lost."""

    def __init__(self, url, seed=0):
        super().__init__(url)
        self.random = random.Random(seed)
        self.lost = 0.0
        self.answers_lost = 0.0

    def transact(self, work):
        if self.random.random() < self.lost:
            raise StoreUnavailable("the line is down")
        done = super().transact(work)
        if self.random.random() < self.answers_lost:
            raise StoreUnavailable("the line broke before the answer came")
        return done


def meter(name="tenant/day", limit=1_000, unit="nanodollars", resets_at=None):
    return Meter(f"{name}|tenant:acme|x", name, unit, limit, resets_at)


def hold(id, worst=100, meters=(), at=1.0):
    return Hold(
        id=id, call=f"call-{id}", at=at, tenant="acme", run="run-1", user="ada", workflow="lookup", step="plan",
        key="", endpoint="main", model="small", nanodollars=worst,
        charges=tuple(Charge(each.id, worst) for each in meters),
    )  # fmt: skip


def entry(id, nanodollars=70, meters=(), kind="model", certainty="exact", at=2.0):
    return Entry(
        id=id, call=f"call-{id}", at=at, tenant="acme", run="run-1", user="ada", workflow="lookup", step="plan",
        key="", kind=kind, endpoint="main", model="small", nanodollars=nanodollars, certainty=certainty,
        usage=Usage(input_tokens=3, output_tokens=4),
        charges=tuple(Charge(each.id, nanodollars) for each in meters),
    )  # fmt: skip


def release(id):
    return Release(id, "refused")


def call(id, at=1.0, who=ACME):
    facts = Call(
        id=id,
        at=at,
        surface="chat",
        model="small",
        who=who,
        input_tokens=3,
        max_output_tokens=4,
        stream=False,
    )
    return CallRecord(call=facts, status="ok", seconds=0.5, http_status=200)


def rows(database, table):
    """All rows of a table, as dicts."""
    statement = select(getattr(schema, table))
    return [dict(row) for row in database.transact(lambda c: c.execute(statement).mappings().all())]


def count(database, table):
    return database.transact(lambda c: c.scalar(select(func.count()).select_from(getattr(schema, table))))


def meter_row(database, meter):
    """(settled, leased) of a meter."""
    found = [row for row in rows(database, "meter") if row["id"] == meter.id]
    return (found[0]["settled"], found[0]["leased"]) if found else (0, 0)


def leases(database):
    """What is leased, by process and meter."""
    return {(row["process"], row["meter"]): row["granted"] for row in rows(database, "lease")}


def damage(path, at, data=b"\xff"):
    """Overwrite bytes of a file in place."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(handle, data, at)
    finally:
        os.close(handle)


def same(first, second):
    return msgspec.msgpack.encode(first) == msgspec.msgpack.encode(second)
