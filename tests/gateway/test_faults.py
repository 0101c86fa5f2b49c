"""Faults of the gateway's own disk and database: clients learn that much, the log the rest."""

import errno

import pytest

from gateway.served import ask, endpoint
from trimtab.core.errors import StoreUnavailable

WHERE = "/srv/secret/place"


@pytest.fixture
def full_disk(house, monkeypatch):
    def append(record):
        raise OSError(errno.ENOSPC, "No space left on device", f"{WHERE}/journal")

    monkeypatch.setattr(house.house.writer, "append", append)
    yield
    monkeypatch.undo()


async def test_a_journal_that_cannot_be_written_is_told_without_its_place(house, full_disk, caplog):
    answer = await house.post(ask())
    assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
    assert "journal" in answer.error["message"]
    assert WHERE.encode() not in answer.body
    assert WHERE in caplog.text


async def test_the_same_for_an_entry_of_a_tool(house, full_disk, caplog):
    body = {"id": "1", "kind": "tool", "what": "search", "usd": 0.1}
    answer = await house.post(body, "/v1/runs/r1/entries")
    assert (answer.status, WHERE.encode() in answer.body) == (503, False)
    assert WHERE in caplog.text


def _cut_off(served, monkeypatch):
    async def run(*arguments):
        raise StoreUnavailable(f"the database does not answer: unable to open {WHERE}/trimtab.sqlite")

    monkeypatch.setattr(served.house.database, "run", run)


async def test_a_key_that_cannot_be_checked_is_told_without_the_databases_place(house, monkeypatch, caplog):
    await house.key()
    with monkeypatch.context() as patch:
        _cut_off(house, patch)
        answer = await house.post(ask(), headers={"authorization": "Bearer tt-unknown"})
    assert (answer.status, WHERE.encode() in answer.body) == (503, False)
    assert WHERE in caplog.text


async def test_money_that_cannot_be_set_aside_is_told_without_the_databases_place(
    serve, upstream, monkeypatch, caplog
):
    budget = '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 1.0\n'
    served = await serve(endpoint(upstream) + budget)
    with monkeypatch.context() as patch:
        _cut_off(served, patch)
        answer = await served.post(ask())
    assert (answer.status, WHERE.encode() in answer.body) == (503, False)
    assert WHERE in caplog.text
