"""What dead processes left behind is brought in once, whoever finds it, however often."""

import subprocess
import sys
import textwrap
import threading

import pytest

from trimtab.core.errors import ConfigError, StoreUnavailable
from trimtab.store import Journal, bury, processes, recover_journals
from trimtab.store import journal as journals
from trimtab.store.journal import Position

from .made import FlakyDatabase, call, count, entry, hold, leases, meter, meter_row, release, rows
from .test_apply import apply
from .test_meters import ask, enter


@pytest.fixture
def root(tmp_path):
    return tmp_path / "journal"


def died(root, name, records):
    """A journal whose process is dead."""
    j = Journal(root / name)
    for record in records:
        j.append(record)
    j.close()


def entries_of(database):
    return {row["id"]: (row["nanodollars"], row["certainty"]) for row in rows(database, "entry")}


def test_a_dead_process_is_settled(database, root):
    m = meter(limit=1_000)
    enter(database, "p1")
    ask(database, "p1", m, need=500)
    died(
        root,
        "p1",
        [hold("a", 100, [m]), entry("a", 70, [m]), hold("b", 60, [m]), hold("c", 5, [m]), release("c")],
    )
    lines = recover_journals(database, root, 9.0)
    assert [line.id for line in lines] == ["b"]
    assert entries_of(database) == {"a": (70, "exact"), "b": (60, "worst_case")}
    assert meter_row(database, m) == (130, 0)
    assert leases(database) == {}
    assert list(root.iterdir()) == []
    assert rows(database, "process")[0]["state"] == "dead"


def test_a_part_that_was_applied_is_not_applied_again(database, root):
    m = meter(limit=1_000)
    enter(database, "p1")
    ask(database, "p1", m, need=500)
    j = Journal(root / "p1")
    j.append(hold("a", 100, [m]))
    upto = j.append(entry("a", 70, [m]))
    apply(database, [hold("a", 100, [m]), entry("a", 70, [m])], upto=upto)
    j.append(hold("b", 60, [m]))
    j.append(entry("b", 10, [m]))
    j.close()
    recover_journals(database, root, 9.0)
    assert entries_of(database) == {"a": (70, "exact"), "b": (10, "exact")}
    assert meter_row(database, m) == (80, 0)


def test_a_live_process_is_left_alone(database, root, journal):
    enter(database, "p1")
    j = journal("p1")
    j.append(hold("a"))
    assert recover_journals(database, root, 9.0) == []
    assert j.folder.exists()


def test_a_process_buried_while_silent_is_corrected_by_its_journal(database, root):
    m = meter(limit=1_000)
    enter(database, "p1")
    ask(database, "p1", m, need=500)
    j = Journal(root / "p1")
    upto = j.append(hold("a", 100, [m]))
    apply(database, [hold("a", 100, [m])], upto=upto)
    for record in (
        entry("a", 70, [m]),
        hold("b", 60, [m]),
        entry("b", 10, [m]),
        call("b"),
        hold("c", 30, [m]),
    ):
        j.append(record)
    j.close()
    database.transact(lambda c: bury(c, "p1", 5.0))
    recover_journals(database, root, 9.0)
    assert entries_of(database) == {"a": (100, "worst_case"), "b": (10, "exact"), "c": (30, "worst_case")}
    assert meter_row(database, m) == (140, 0)
    assert count(database, "call") == 1
    assert list(root.iterdir()) == []


def test_an_empty_journal_is_removed(database, root):
    died(root, "p1", [])
    recover_journals(database, root, 9.0)
    assert list(root.iterdir()) == []


def test_a_journal_of_another_database_is_refused_and_keeps_nobody_from_his_own(database, root):
    enter(database, "p2")
    died(root, "p1", [entry("strange")])
    died(root, "p2", [entry("own")])
    with pytest.raises(ConfigError, match="another database"):
        recover_journals(database, root, 9.0)
    assert entries_of(database) == {"own": (70, "exact")}
    assert [path.name for path in root.iterdir()] == ["p1"]


def test_a_torn_tail_is_no_hindrance(database, root):
    enter(database, "p1")
    died(root, "p1", [entry("a")])
    with (root / "p1" / "00000001.log").open("ab") as file:
        file.write(b"\x40\0\0\0half a frame")
    recover_journals(database, root, 9.0)
    assert list(entries_of(database)) == ["a"]


@pytest.mark.parametrize("seed", range(12))
def test_recovery_over_a_bad_line_brings_everything_in_once(
    tmp_path, fresh_database, root, monkeypatch, seed
):
    """Some transactions fail, of some the answer is lost: recovery is begun again until it is through."""
    from trimtab.store import url_of

    monkeypatch.setattr(journals, "_CHUNK_RECORDS", 7)
    monkeypatch.setattr(journals, "_SEGMENT_BYTES", 3_000)
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    database = FlakyDatabase(url_of("sqlite", tmp_path), seed)
    m = meter(limit=100_000)
    enter(database, "p1")
    ask(database, "p1", m, need=50_000)
    records = []
    for number in range(60):
        records.append(hold(f"h{number}", 100, [m]))
        if number % 5:
            records.append(entry(f"h{number}", 70, [m]))
        records.append(call(f"c{number}"))
    died(root, "p1", records)
    if seed % 2:
        database.transact(lambda c: bury(c, "p1", 5.0))
    database.lost = database.answers_lost = 0.25
    for _ in range(200):
        try:
            recover_journals(database, root, 9.0)
        except StoreUnavailable:
            continue
        break
    database.lost = database.answers_lost = 0.0
    assert list(root.iterdir()) == []
    assert count(database, "call") == 60
    assert rows(database, "run")[0]["calls"] == 60
    assert len(entries_of(database)) == 60
    assert meter_row(database, m) == (48 * 70 + 12 * 100, 0)
    assert leases(database) == {}
    database.close()


def test_sweeps_of_several_processes_at_once_settle_each_journal_once(database, root):
    m = meter(limit=1_000_000)
    names = [f"p{number}" for number in range(30)]
    enter(database, *names)
    for name in names:
        ask(database, name, m, need=1_000)
        died(
            root, name, [hold(f"{name}-a", 100, [m]), entry(f"{name}-a", 70, [m]), hold(f"{name}-b", 60, [m])]
        )
    failures = []

    def sweep():
        try:
            for _ in range(5):
                recover_journals(database, root, 9.0)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    sweepers = [threading.Thread(target=sweep) for _ in range(4)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join()
    assert failures == []
    assert list(root.iterdir()) == []
    assert count(database, "entry") == 60
    assert meter_row(database, m) == (30 * 130, 0)


def test_a_burial_in_the_middle_of_a_recovery_costs_nothing_twice(database, root, monkeypatch):
    """Another machine gives the process up just while this one replays its journal."""
    monkeypatch.setattr(journals, "_CHUNK_RECORDS", 2)
    m = meter(limit=1_000)
    enter(database, "p1")
    ask(database, "p1", m, need=500)
    died(root, "p1", [hold("a", 100, [m]), hold("b", 60, [m]), entry("a", 70, [m]), entry("b", 10, [m])])
    real, steps = database.transact, []

    def transact(work):
        done = real(work)
        steps.append(work)
        if len(steps) == 2:
            real(lambda c: bury(c, "p1", 8.0))
        return done

    database.transact = transact
    recover_journals(database, root, 9.0)
    assert entries_of(database) == {"a": (100, "worst_case"), "b": (60, "worst_case")}
    assert meter_row(database, m) == (160, 0)


def test_a_killed_recovery_is_taken_up_again(tmp_path, fresh_database, root):
    """Kill -9 at any transaction of a recovery; the next one ends it."""
    from trimtab.store import Database, url_of

    script = """
        import os, signal, sys
        from pathlib import Path
        from trimtab.store import Database, journal, recover_journals, url_of
        journal._CHUNK_RECORDS = 3
        folder, steps = Path(sys.argv[1]), int(sys.argv[2])
        database = Database(url_of("sqlite", folder))
        real = database.transact
        def transact(work):
            global steps
            done = real(work)
            steps -= 1
            if steps == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return done
        database.transact = transact
        recover_journals(database, folder / "journal", 9.0)
    """
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    database = Database(url_of("sqlite", tmp_path))
    m = meter(limit=10_000)
    enter(database, "p1")
    ask(database, "p1", m, need=5_000)
    died(root, "p1", [record for n in range(8) for record in (hold(f"h{n}", 100, [m]), call(f"c{n}"))])
    for steps in (2, 2, 3, 2, 100):
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), str(steps)], check=False
        )
    assert list(root.iterdir()) == []
    assert (count(database, "call"), count(database, "entry"), count(database, "hold")) == (8, 8, 0)
    assert meter_row(database, m) == (800, 0)
    assert database.transact(lambda c: processes.state_of(c, "p1")).applied > Position(1, 0)
    database.close()
