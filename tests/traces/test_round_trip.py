"""Whatever a house recorded: what goes out comes in elsewhere, and goes out from there the same, with its money."""

import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.core import Usage
from trimtab.store import Database, EndRecord, Selection, Standing, runs, url_of
from trimtab.traces import Exporter, Importer, write_lines

from .made import START, call, chat_bytes, entry, keep, outcome, reply_bytes, tool_call

NAMES = st.sampled_from(["", "a", "b c", 'q"\\', "é\n", "plan"])
MONEY = st.integers(0, 10**18)
TIMES = st.floats(0, 5000, allow_nan=False)
ARGUMENTS = st.sampled_from(
    ["{}", '{"x": 1.50, "y": [null]}', "", "oops", "[1]", '{"_raw": "z"}', '{"n": 12345678901234567890}']
)
TEXTS = st.sampled_from([None, "", "hi", "ünï \\ \u2028", "x"])
USAGES = st.builds(
    lambda i, o, c, w, r: Usage(i, o, min(i, c), min(w, i - min(i, c)), reasoning_tokens=min(r, o)),
    *[st.integers(0, 9) for _ in range(5)],
)


@st.composite
def messages(draw):
    said = [{"role": draw(st.sampled_from(["system", "developer", "user"])), "content": draw(TEXTS)}]
    if draw(st.booleans()):
        said.append({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]})
    return said


@st.composite
def conversations(draw, run, tenant):
    """Calls of a run, each of which goes on where an earlier one left off, or begins anew."""
    made, open_ones = [], []
    for index in range(draw(st.integers(0, 5))):
        history = draw(st.sampled_from([*open_ones, None])) or draw(messages())
        tools = [tool_call(f"t{index}", draw(NAMES), draw(ARGUMENTS))] if draw(st.booleans()) else None
        answer = draw(TEXTS)
        request, reply = chat_bytes(history), reply_bytes(answer, tools)
        result = (
            {"role": "tool", "tool_call_id": f"t{index}", "content": "ok"}
            if tools
            else {"role": "user", "content": "on"}
        )
        told = {"role": "assistant", "content": answer} | ({"tool_calls": tools} if tools else {})
        open_ones.append([*history, told, result])
        kept = draw(st.sampled_from([True, True, True, False]))
        made.append(
            call(
                f"{tenant}-{run}-{index}", at=draw(TIMES), seconds=draw(TIMES), run=run, tenant=tenant,
                request=request if kept else b"", reply=reply if kept else b"",
                status=draw(st.sampled_from(["ok", "ok", "ok", "failed"])), step=draw(NAMES),
                model=draw(st.sampled_from(["m", "m2", ""])), endpoint=draw(NAMES), usage=draw(USAGES),
                first_token_seconds=draw(st.none() | TIMES), workflow="w",
            )
        )  # fmt: skip
    return made


@st.composite
def entries_of(draw, made, run, tenant):
    lines = []
    for index in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["model", "model", "tool"]))
        owner = draw(st.sampled_from([*made, None])) if kind == "model" else None
        name = f"tool:{tenant}:{run}:t{index}" if kind == "tool" else f"{tenant}-{run}-e{index}"
        certainty = draw(
            st.sampled_from(["exact", "exact", "estimated", "worst_case", "unpriced", "upstream"])
        )
        certainty = "exact" if kind == "tool" else certainty
        spent = 0 if certainty in ("unpriced", "upstream") else draw(MONEY)
        lines.append(
            entry(
                name, spent, at=draw(TIMES), call=owner.call.id if owner else "", kind=kind, certainty=certainty,
                run=run, tenant=tenant, step=draw(NAMES), usage=draw(USAGES), model=draw(st.sampled_from(["m", "m2"])),
                upstream_nanodollars=draw(MONEY) if certainty == "upstream" else 0, workflow="w",
            )
        )  # fmt: skip
    return lines


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_goes_out_comes_in_and_goes_out_the_same(fresh_database, data):
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        first = stack.enter_context(_database(fresh_database, folder / "first"))
        second = stack.enter_context(_database(fresh_database, folder / "second"))
        for run, tenant in (("r1", "acme"), ("r1", "other"), ("r2", "acme")):
            made = data.draw(conversations(run, tenant))
            told = [
                outcome(reward, run, tenant) for reward in data.draw(st.lists(st.floats(0, 1), max_size=1))
            ]
            keep(first, *made, *data.draw(entries_of(made, run, tenant)), *told)
            if data.draw(st.booleans()):
                first.transact(lambda c, t=tenant, r=run: runs.end(c, [EndRecord(t, r, START)]))
        out = _exported(first, folder / "out")
        assert Importer(second, None, START).read(folder / "out").errors == []
        assert _exported(second, folder / "again") == out


@contextmanager
def _database(fresh, folder):
    folder.mkdir()
    shutil.copy(fresh, folder)
    database = Database(url_of("sqlite", folder))
    yield database
    database.close()


def _exported(database, path):
    write_lines(path, Exporter(database, Standing(), {}).lines(Selection(), "openai"))
    return path.read_text()
