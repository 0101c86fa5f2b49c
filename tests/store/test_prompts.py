"""Calls read for what was said in them: in order, bounded, of one tenant, in both databases."""

from traces.made import call, keep
from trimtab.core import Usage
from trimtab.store import calls


def test_contents_come_in_order_and_none_that_is_too_long(database):
    keep(
        database,
        call("c2", at=2.0, request=b"long" * 30, reply=b"short", workflow="w"),
        call("c1", at=1.0, request=b"\x00q", reply=b"r" * 200, usage=Usage(7, 1, 3), workflow="w"),
        call("c3", at=3.0),
        call("c4", at=4.0, request=b"by the cache", answered_by="recall"),
        call("c5", at=5.0, request=b"vectors", surface="embeddings"),
        call("c6", at=6.0, request=b"failed", status="failed"),
        call("c7", at=7.0, request=b"theirs", tenant="other"),
        call("c8", at=8.0, request=b"last", step="s"),
    )

    def found(named, most=10):
        return database.read(lambda c: calls.prompts_of_run(c, "acme", "r1", named, most, 100))

    rows = found({})
    assert [(row.request_bytes, row.request, row.reply) for row in rows] == [
        (2, b"\x00q", b""),
        (120, b"", b"short"),
        (0, b"", b""),
        (4, b"last", b""),
    ]
    assert (rows[0].workflow, rows[0].input_tokens, rows[0].cached_tokens) == ("w", 7, 3)
    assert [row.request for row in found({"step": "s"})] == [b"last"]
    assert len(found({}, most=2)) == 2
