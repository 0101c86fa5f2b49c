"""The journal: what is appended is read back, and what a crash, a full disk or a cancelled wait leaves is sound."""

import asyncio
import os
import resource
import subprocess
import sys
import textwrap
import threading
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.store import Journal
from trimtab.store import journal as journals
from trimtab.store.journal import Position, lock_folder, read_chunk, read_journal, remove_folder

from .made import call, damage, entry, hold, release

START = Position()


def records_of(folder, start=START):
    return [record for record, _ in read_journal(folder, start)]


@pytest.fixture
def small_segments(monkeypatch):
    monkeypatch.setattr(journals, "_SEGMENT_BYTES", 2_000)


def test_what_is_appended_is_read_back_in_order(journal):
    j = journal()
    written = [hold("a"), entry("a"), hold("b"), release("b"), call("c")]
    positions = [j.append(record) for record in written]
    assert records_of(j.folder) == written
    assert [position for _, position in read_journal(j.folder, Position())] == positions


def test_reading_begins_where_it_is_told_to(journal):
    j = journal()
    first = j.append(hold("a"))
    j.append(hold("b"))
    assert records_of(j.folder, first) == [hold("b")]


def test_a_record_survives_kill_9_of_its_process(tmp_path):
    script = """
        import os, signal, sys
        from pathlib import Path
        from trimtab.store import Journal, EndRecord
        journal = Journal(Path(sys.argv[1]))
        for number in range(1000):
            journal.append(EndRecord("acme", f"run-{number}", 1.0))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    folder = tmp_path / "journal" / "p1"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(folder)], check=False)
    assert done.returncode == -9
    assert [record.run for record in records_of(folder)] == [f"run-{number}" for number in range(1000)]


@given(cut=st.integers(min_value=0, max_value=10_000), count=st.integers(min_value=1, max_value=8))
def test_a_torn_tail_loses_only_the_torn_record(tmp_path_factory, cut, count):
    j = Journal(tmp_path_factory.mktemp("j") / "p")
    ends = [j.append(hold(f"h{number}")).offset for number in range(count)]
    j.close()
    path = j.folder / "00000001.log"
    size = min(cut, ends[-1])
    os.truncate(path, size)
    assert len(records_of(j.folder)) == sum(end <= size for end in ends)


@given(at=st.integers(min_value=0), value=st.integers(min_value=1, max_value=255))
def test_a_damaged_byte_is_never_read_as_a_record(tmp_path_factory, at, value):
    j = Journal(tmp_path_factory.mktemp("j") / "p")
    written = [hold(f"h{number}") for number in range(5)]
    ends = [j.append(record).offset for record in written]
    j.close()
    path = j.folder / "00000001.log"
    at %= ends[-1]
    damage(path, at, bytes([path.read_bytes()[at] ^ value]))
    whole = sum(end <= at for end in ends)
    assert records_of(j.folder) == written[:whole]


def test_a_frame_is_length_crc_and_payload(journal):
    j = journal()
    j.append(hold("a"))
    data = (j.folder / "00000001.log").read_bytes()
    assert int.from_bytes(data[:4], "little") == len(data) - 8
    assert int.from_bytes(data[4:8], "little") == zlib.crc32(data[8:])


def test_segments_rotate_and_applied_ones_are_forgotten(journal, small_segments):
    j = journal()
    written = [hold(f"h{number}") for number in range(40)]
    positions = [j.append(record) for record in written]
    assert positions[-1].segment > 2
    assert records_of(j.folder) == written
    j.forget(positions[20])
    assert min(int(path.stem) for path in j.folder.glob("*.log")) == positions[20].segment
    assert records_of(j.folder, positions[20]) == written[21:]


def test_positions_grow(journal, small_segments):
    j = journal()
    positions = [j.append(hold(f"h{number}")) for number in range(40)]
    assert positions == sorted(set(positions))


@given(st.lists(st.integers(min_value=0, max_value=3_000), max_size=30), st.integers(1, 7))
@settings(deadline=None)
def test_chunks_make_up_the_whole_journal(tmp_path_factory, sizes, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journals, "_SEGMENT_BYTES", 4_000)
        patch.setattr(journals, "_CHUNK_RECORDS", most)
        patch.setattr(journals, "_CHUNK_BYTES", 5_000)
        j = Journal(tmp_path_factory.mktemp("j") / "p")
        written = [hold("h" * size) for size in sizes]
        for record in written:
            j.append(record)
        read, at = [], Position(1, 0)
        while at < j.position:
            records, upto = read_chunk(j.folder, at, j.position)
            assert upto > at
            assert len(records) <= most
            read, at = read + records, upto
        j.close()
    assert read == written
    assert at == j.position


def test_a_chunk_stops_where_it_is_told_to(journal):
    j = journal()
    ends = [j.append(hold(f"h{number}")) for number in range(5)]
    assert read_chunk(j.folder, Position(1, 0), ends[2]) == ([hold(f"h{n}") for n in range(3)], ends[2])


def test_a_journal_that_has_just_rotated_is_read_to_its_end(journal, monkeypatch):
    j = journal()
    monkeypatch.setattr(journals, "_SEGMENT_BYTES", 1)
    j.append(hold("a"))
    assert j.position == Position(2, 0)
    assert read_chunk(j.folder, Position(1, 0), j.position) == ([hold("a")], Position(2, 0))


def test_damage_in_the_middle_is_told_and_left_behind(journal, caplog):
    j = journal()
    first = j.append(hold("a"))
    j.append(hold("b"))
    damage(j.folder / "00000001.log", first.offset + 20)
    assert read_chunk(j.folder, first, j.position) == ([], j.position)
    assert "is damaged" in caplog.text


def test_a_damaged_segment_does_not_hide_the_next_one(journal, small_segments, caplog):
    j = journal()
    written = [hold(f"h{number}") for number in range(30)]
    positions = [j.append(record) for record in written]
    damage(j.folder / "00000001.log", 20)
    kept = [record for record, position in zip(written, positions, strict=True) if position.segment > 1]
    assert records_of(j.folder)[-len(kept) + 1 :] == kept[1:]
    assert "is damaged at byte 0" in caplog.text


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from trimtab.store import EndRecord, Journal
    from trimtab.store.journal import Position, read_journal

    journal = Journal(Path(sys.argv[1]))
    kept, refused = [], 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
    for number in range(100):
        record = EndRecord("acme", f"run-{number}" + "x" * (number % 7), 1.0)
        try:
            journal.append(record)
        except OSError:
            refused += 1
        else:
            kept.append(record)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for number in range(5):
        record = EndRecord("acme", f"late-{number}", 1.0)
        journal.append(record)
        kept.append(record)
    assert refused > 10, refused
    assert [record for record, _ in read_journal(journal.folder, Position())] == kept
    assert journal.position.offset == (journal.folder / "00000001.log").stat().st_size
"""


def test_a_record_that_a_full_disk_cut_off_is_not_there_and_harms_no_other(tmp_path):
    script = textwrap.dedent(FULL_DISK)
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "journal" / "p")], check=True)


def test_a_segment_that_cannot_be_begun_leaves_the_old_one_growing(
    journal, small_segments, monkeypatch, caplog
):
    j = journal()
    real = os.open

    def refuse(path, *more):
        if str(path).endswith(".log"):
            raise OSError(28, "No space left on device")
        return real(path, *more)

    monkeypatch.setattr(journals.os, "open", refuse)
    written = [hold(f"h{number}") for number in range(40)]
    for record in written:
        j.append(record)
    assert j.position.segment == 1
    monkeypatch.setattr(journals.os, "open", real)
    j.append(hold("last"))
    assert j.position == Position(2, 0)
    assert records_of(j.folder) == [*written, hold("last")]
    assert "stays in segment 1" in caplog.text


def test_nothing_is_written_after_close(journal):
    j = journal()
    j.append(hold("a"))
    j.close()
    with pytest.raises(OSError):
        j.append(hold("b"))
    assert records_of(j.folder) == [hold("a")]


def test_a_folder_is_locked_as_long_as_its_process_lives(journal):
    j = journal()
    assert lock_folder(j.folder) is None
    j.close()
    lock = lock_folder(j.folder)
    assert lock is not None
    os.close(lock)


def test_a_folder_is_never_seen_without_its_lock(tmp_path):
    """A sweep that looks all the time never gets hold of a journal that is just being made."""
    root, done, caught = tmp_path / "journal", threading.Event(), []

    def sweep():
        while not done.is_set():
            for folder in list(root.iterdir()) if root.is_dir() else []:
                if not folder.name.startswith(".") and (lock := lock_folder(folder)) is not None:
                    caught.append(folder)
                    os.close(lock)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    made = [Journal(root / f"p{number}") for number in range(200)]
    done.set()
    sweeper.join()
    for each in made:
        each.close()
    assert caught == []


def test_a_folder_that_is_gone_has_no_lock_to_take(tmp_path):
    assert lock_folder(tmp_path / "gone") is None


def test_a_journal_all_of_which_was_applied_removes_itself(journal):
    j = journal()
    j.append(hold("a"))
    j.close(remove=True)
    assert not j.folder.exists()


def test_a_folder_another_sweep_looks_into_is_left_to_it(tmp_path):
    folder = tmp_path / "p"
    (folder / "newer").mkdir(parents=True)
    (folder / "00000001.log").touch()
    (folder / "newer").rmdir()
    (folder / "lock").touch()
    remove_folder(folder)
    assert not folder.exists()


# Durability on disk.


class CountedSyncs:
    """Stands in for `os.fsync`: counts, and can be held up or made to fail."""

    def __init__(self, monkeypatch):
        self.count, self.error = 0, None
        self.gate = threading.Event()
        self.gate.set()
        self._real = os.fsync
        monkeypatch.setattr(journals.os, "fsync", self)

    def __call__(self, file):
        self.gate.wait(10)
        self.count += 1
        if self.error is not None:
            raise self.error
        self._real(file)


@pytest.fixture
def syncs(monkeypatch, journal):
    j = journal()
    return j, CountedSyncs(monkeypatch)


async def test_concurrent_callers_share_an_fsync(syncs):
    j, counted = syncs
    counted.gate.clear()
    waiting = []
    for number in range(100):
        j.append(hold(f"h{number}"))
        waiting.append(asyncio.ensure_future(j.sync()))
        await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    counted.gate.set()
    await asyncio.gather(*waiting)
    assert counted.count == 2


async def test_a_sync_covers_what_was_appended_before_it(syncs, monkeypatch):
    """A caller that comes while an fsync runs waits for the next one."""
    j, counted = syncs
    counted.gate.clear()
    first = asyncio.ensure_future(j.sync())
    await asyncio.sleep(0.05)
    j.append(hold("late"))
    second = asyncio.ensure_future(j.sync())
    await asyncio.sleep(0)
    counted.gate.set()
    await first
    await second
    assert counted.count == 2


async def test_a_cancelled_caller_leaves_the_others_their_fsync(syncs):
    j, counted = syncs
    for victim in range(4):
        counted.gate.clear()
        waiting = []
        for number in range(4):
            j.append(hold(f"h{number}"))
            waiting.append(asyncio.ensure_future(j.sync()))
            await asyncio.sleep(0.01)
        waiting[victim].cancel()
        await asyncio.sleep(0.01)
        counted.gate.set()
        done = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
        assert [isinstance(each, asyncio.CancelledError) for each in done].count(True) == 1
        assert done.count(None) == 3


async def test_a_failed_fsync_fails_everybody_and_for_good(syncs):
    j, counted = syncs
    counted.gate.clear()
    counted.error = OSError(5, "Input/output error")
    waiting = []
    for _ in range(5):
        waiting.append(asyncio.ensure_future(j.sync()))
        await asyncio.sleep(0.01)
    counted.gate.set()
    done = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
    assert all(isinstance(each, OSError) for each in done)
    counted.error = None
    with pytest.raises(OSError):
        await asyncio.wait_for(j.sync(), 10)


async def test_syncs_go_on_over_a_rotation(journal, monkeypatch, small_segments):
    j = journal()

    async def write(number):
        j.append(hold(f"h{number}"))
        await j.sync()

    for batch in range(10):
        await asyncio.gather(*[write(batch * 20 + number) for number in range(20)])
    assert j.position.segment > 5
    assert len(records_of(j.folder)) == 200


def test_file_handles_do_not_pile_up(journal, small_segments):
    j = journal()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(100):
        j.append(hold(f"h{number}"))
    assert len(os.listdir("/proc/self/fd")) == before
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > before
