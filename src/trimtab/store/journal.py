"""The process's own append-only file: every hold and entry is in it before anything depends on it.

One `write` a record makes it survive kill -9; `sync` makes it survive power loss. The database is fed from
it by `Writer`, exactly once, and a dead process's journal is replayed by whoever finds it (`recover.py`).
A frame is: 4 bytes length, 4 bytes CRC-32 of the payload, payload (msgpack of one record).
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from trimtab.core import CallRecord, Entry, Hold, OutcomeRecord, Release

_log = logging.getLogger(__name__)
_HEADER = struct.Struct("<II")
_SEGMENT_BYTES = 64 * 1024 * 1024
_CHUNK_RECORDS = 2_000
_CHUNK_BYTES = 16 * 1024 * 1024
_CLOSED = -1


class RecallRecord(msgspec.Struct, frozen=True, gc=False, tag="recall"):
    """A reply to keep for repeated calls of one tenant until `expires_at` (epoch seconds)."""

    tenant: str
    digest: str
    model: str
    expires_at: float
    reply: bytes


class EndRecord(msgspec.Struct, frozen=True, gc=False, tag="end"):
    """A run said to be over by its client's end header."""

    tenant: str
    run: str
    at: float


Record = Hold | Entry | Release | CallRecord | OutcomeRecord | RecallRecord | EndRecord
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def decode_record(payload: bytes) -> Record:
    """One record from its msgpack bytes. Raises msgspec.ValidationError."""
    return _decoder.decode(payload)


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in a journal: segment number and byte offset behind a whole frame."""

    segment: int = 0
    offset: int = 0


class Journal:
    """Owned by one live process: `folder/lock` is held as long as it lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = _make_folder(folder)
        self.position = Position(1, 0)
        self._file = self._open(1)
        self._synced = False
        self._failure: OSError | None = None
        self._next_sync: asyncio.Future[None] | None = None
        self._syncer: asyncio.Task[None] | None = None

    def append(self, record: Record) -> Position:
        """Write one record; it survives kill -9 when this returns. Raises OSError (disk full): then it is not there."""
        payload = _encoder.encode(record)
        frame = _HEADER.pack(len(payload), zlib.crc32(payload)) + payload
        written = os.write(self._file, frame)
        if written != len(frame):
            self._cut_off()
            raise OSError(f"journal {self.folder}: only {written} of {len(frame)} bytes written (disk full?)")
        offset = self.position.offset + written
        self.position = Position(self.position.segment, offset)
        if offset >= _SEGMENT_BYTES:
            self._rotate()
        return self.position

    async def sync(self) -> None:
        """Wait until everything appended so far is on disk; concurrent callers share one fsync. Raises OSError.

        After one fsync has failed nobody can say what is on disk, so all later ones fail too.
        """
        if self._next_sync is None:
            self._next_sync = asyncio.get_running_loop().create_future()
        mine = self._next_sync
        if self._syncer is None:
            self._syncer = asyncio.ensure_future(self._sync_rounds())
        await asyncio.shield(mine)

    async def _sync_rounds(self) -> None:
        """A task of its own: a caller that is cancelled must not take the others' fsync with it."""
        self._synced = True
        while self._next_sync is not None:
            mine, self._next_sync = self._next_sync, None
            try:
                # A handle of its own, because the segment may be closed by rotation meanwhile.
                await asyncio.to_thread(_sync_and_close, os.dup(self._file))
            except OSError as error:
                self._failure = self._failure or error
            if self._failure is None:
                mine.set_result(None)
            else:
                mine.set_exception(self._failure)
                mine.exception()
        self._syncer = None

    def forget(self, applied: Position) -> None:
        """Delete segments that lie wholly before `applied`."""
        for path in self.folder.glob("*.log"):
            if int(path.stem) < applied.segment:
                path.unlink()

    def close(self, *, remove: bool = False) -> None:
        """Release the lock; `remove` deletes the folder when everything in it was applied."""
        file, self._file = self._file, _CLOSED
        os.close(file)
        if remove:
            remove_folder(self.folder)
        os.close(self._lock)

    def _cut_off(self) -> None:
        """Take half a frame away again; where that fails, go on in a new segment, so that what follows is readable."""
        try:
            os.ftruncate(self._file, self.position.offset)
        except OSError:
            self._rotate()

    def _rotate(self) -> None:
        """Go on in the next segment. Where it cannot be made, this one grows on."""
        try:
            following = self._open(self.position.segment + 1)
        except OSError as error:
            _log.error("journal %s stays in segment %d: %s", self.folder, self.position.segment, error)
            return
        if self._synced:
            try:
                os.fsync(self._file)
            except OSError as error:
                self._failure = self._failure or error
        os.close(self._file)
        self._file = following
        self.position = Position(self.position.segment + 1, 0)

    def _open(self, segment: int) -> int:
        path = _segment(self.folder, segment)
        file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        _sync_folder(self.folder)
        return file


def _segment(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.log"


def _sync_and_close(file: int) -> None:
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    """A file's name is on disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    _sync_and_close(handle)


def _make_folder(folder: Path) -> int:
    """Make the folder with its lock already held: no sweep ever finds it unlocked. Returns the lock."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    hidden = folder.with_name(f".{folder.name}")
    hidden.mkdir()
    lock = lock_folder(hidden)
    assert lock is not None
    hidden.rename(folder)
    _sync_folder(folder.parent)
    return lock


def lock_folder(folder: Path) -> int | None:
    """Take the folder's lock; None when a live process holds it, or the folder is gone."""
    try:
        handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def remove_folder(folder: Path) -> None:
    """Delete a journal's files and folder. What another process looks into just now is left to its next sweep."""
    for path in sorted(folder.iterdir()):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def read_chunk(folder: Path, start: Position, until: Position | None = None) -> tuple[list[Record], Position]:
    """The next records from `start` on (at most 2,000 or 16 MiB) and the position behind them.

    `until` is where to stop; when there is nothing more before it to read, that is the position returned.
    """
    records: list[Record] = []
    upto, size = start, 0
    for record, behind in read_journal(folder, start):
        if until is not None and behind > until:
            break
        size += behind.offset - (upto.offset if behind.segment == upto.segment else 0)
        records.append(record)
        upto = behind
        if len(records) == _CHUNK_RECORDS or size >= _CHUNK_BYTES:
            return records, upto
    if until is None or upto == until:
        return records, upto
    _tell_damage(folder, upto, until)
    return records, until


def _tell_damage(folder: Path, upto: Position, until: Position) -> None:
    """Only the end of a segment may lie between two positions without a frame."""
    path = _segment(folder, upto.segment)
    whole = path.is_file() and path.stat().st_size == upto.offset
    if not (whole and until == Position(upto.segment + 1, 0)):
        _log.error("journal %s is damaged between %s and %s: what stood there is lost", folder, upto, until)


def read_journal(folder: Path, start: Position) -> Iterator[tuple[Record, Position]]:
    """Records from `start` on, each with the position behind it. Stops at a torn tail.

    A damaged frame in the middle of a segment ends the reading of that segment.
    """
    paths = [path for path in sorted(folder.glob("*.log")) if int(path.stem) >= start.segment]
    for path in paths:
        segment = int(path.stem)
        offset = start.offset if segment == start.segment else 0
        with path.open("rb") as file:
            file.seek(offset)
            while True:
                frame = _read_frame(file.read(_HEADER.size), file.read)
                if frame is None:
                    break
                offset += _HEADER.size + len(frame)
                yield decode_record(frame), Position(segment, offset)
            if path != paths[-1] and offset < os.fstat(file.fileno()).st_size:
                _log.error("%s is damaged at byte %d: the rest of it is lost", path, offset)


def _read_frame(header: bytes, read: Callable[[int], bytes]) -> bytes | None:
    if len(header) < _HEADER.size:
        return None
    length, checksum = _HEADER.unpack(header)
    payload = read(length)
    if len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    return payload
