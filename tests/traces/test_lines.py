"""Files of lines: whole or not there."""

import gzip

import pytest

from trimtab.core.errors import DataError
from trimtab.traces import write_lines
from trimtab.traces.lines import LineReader


def test_lines_are_written_and_read_plain_and_packed(tmp_path):
    for name in ("out.jsonl", "out.jsonl.gz"):
        path = tmp_path / name
        assert write_lines(path, [b"one\n", b"two\n"]) == 2
        assert list(LineReader(path)) == [(1, b"one\n"), (2, b"two\n")]
    assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()) == b"one\ntwo\n"


def test_equal_lines_make_equal_files(tmp_path):
    first, second = tmp_path / "a.gz", tmp_path / "b.gz"
    write_lines(first, [b"x\n"])
    write_lines(second, [b"x\n"])
    assert first.read_bytes() == second.read_bytes()


def test_a_failed_export_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("before\n")

    def lines():
        yield b"half\n"
        raise DataError("no more", file="x")

    with pytest.raises(DataError):
        write_lines(path, lines())
    assert path.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(DataError, match=r"nix/out.jsonl: cannot be written: No such file"):
        write_lines(tmp_path / "nix" / "out.jsonl", [])


def test_a_folder_is_no_file_of_lines(tmp_path):
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        list(LineReader(tmp_path))


def test_damaged_gzip_is_said_so_with_its_line(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n")[:-6] + b"\0\0\0\0\0\0")
    with pytest.raises(DataError, match=f"{path}:3: the gzip data is damaged"):
        list(LineReader(path))
