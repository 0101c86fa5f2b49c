"""The process's own append-only file: every hold and entry is in it before anything depends on it.

One `write` a record makes it survive kill -9; `sync` makes it survive power loss. The database is fed from
it by `Writer`, exactly once, and a dead process's journal is replayed by whoever finds it (`recover.py`).
A frame is: 4 bytes length, 4 bytes CRC-32 of the payload, payload (msgpack of one record).
"""

import asyncio
import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from trimtab.core import CallRecord, Entry, Hold, OutcomeRecord, Release

_HEADER = struct.Struct("<II")
_SEGMENT_BYTES = 64 * 1024 * 1024


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
encode_record = _encoder.encode


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
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = lock_folder(folder)
        if self._lock is None:
            raise RuntimeError(f"journal {folder} belongs to another live process")
        self.position = Position(1, 0)
        self._file = self._open(1)
        self._syncing: asyncio.Future[None] | None = None
        self._next_sync: asyncio.Future[None] | None = None
        self._synced = False

    def append(self, record: Record) -> Position:
        """Write one record; it survives kill -9 when this returns. Raises OSError (disk full)."""
        payload = _encoder.encode(record)
        frame = _HEADER.pack(len(payload), zlib.crc32(payload)) + payload
        written = os.write(self._file, frame)
        if written != len(frame):
            os.ftruncate(self._file, self.position.offset)
            raise OSError(f"journal {self.folder}: only {written} of {len(frame)} bytes written (disk full?)")
        offset = self.position.offset + written
        self.position = Position(self.position.segment, offset)
        if offset >= _SEGMENT_BYTES:
            self._rotate()
        return self.position

    async def sync(self) -> None:
        """Wait until everything appended so far is on disk; concurrent callers share one fsync."""
        if self._next_sync is None:
            self._next_sync = asyncio.get_running_loop().create_future()
            if self._syncing is not None:
                await self._syncing
            self._syncing, self._next_sync = self._next_sync, None
            mine = self._syncing
            self._synced = True
            try:
                await asyncio.to_thread(os.fsync, self._file)
            except OSError as error:
                mine.set_exception(error)
                mine.exception()
                raise
            else:
                mine.set_result(None)
            finally:
                self._syncing = None
            return
        await asyncio.shield(self._next_sync)

    def forget(self, applied: Position) -> None:
        """Delete segments that lie wholly before `applied`."""
        for path in self.folder.glob("*.log"):
            if int(path.stem) < applied.segment:
                path.unlink()

    def close(self, *, remove: bool = False) -> None:
        """Release the lock; `remove` deletes the folder when everything in it was applied."""
        os.close(self._file)
        if remove:
            remove_folder(self.folder)
        if self._lock is not None:
            os.close(self._lock)

    def _rotate(self) -> None:
        if self._synced:
            os.fsync(self._file)
        os.close(self._file)
        self.position = Position(self.position.segment + 1, 0)
        self._file = self._open(self.position.segment)

    def _open(self, segment: int) -> int:
        path = self.folder / f"{segment:08d}.log"
        return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)


def lock_folder(folder: Path) -> int | None:
    """Take the folder's lock; None when a live process holds it."""
    handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def remove_folder(folder: Path) -> None:
    """Delete a journal's files and folder."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def read_journal(folder: Path, start: Position) -> Iterator[tuple[Record, Position]]:
    """Records from `start` on, each with the position behind it. Stops at a torn tail.

    A damaged frame in the middle of a segment ends the reading of that segment.
    """
    for path in sorted(folder.glob("*.log")):
        segment = int(path.stem)
        if segment < start.segment:
            continue
        offset = start.offset if segment == start.segment else 0
        with path.open("rb") as file:
            file.seek(offset)
            while True:
                frame = _read_frame(file.read(_HEADER.size), file.read)
                if frame is None:
                    break
                offset += _HEADER.size + len(frame)
                yield decode_record(frame), Position(segment, offset)


def _read_frame(header: bytes, read: Callable[[int], bytes]) -> bytes | None:
    if len(header) < _HEADER.size:
        return None
    length, checksum = _HEADER.unpack(header)
    payload = read(length)
    if len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    return payload
