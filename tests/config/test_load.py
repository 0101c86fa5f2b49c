"""Reading the file: what holds without one, what wins, and what cannot be read."""

import os

import pytest

from trimtab.config import Settings, load, load_settings, load_text
from trimtab.core.errors import ConfigError

FILE = """\
[server]
port = 9001
data = "elsewhere"

[[endpoint]]
name = "house"
url = "http://127.0.0.1:8000/v1"
models = ["small"]
timeouts = { idle = 5 }
"""


def written(tmp_path, text):
    path = tmp_path / "trimtab.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_without_a_file_every_default_holds():
    assert load_settings(None, {}) == Settings()


def test_an_empty_file_is_the_defaults(tmp_path):
    assert load_settings(written(tmp_path, ""), {}) == Settings()


def test_a_file_is_read_into_typed_settings(tmp_path):
    settings = load_settings(written(tmp_path, FILE), {})
    assert settings.server.port == 9001
    assert settings.endpoint[0].timeouts.idle == 5.0
    assert settings.endpoint[0].timeouts.total == 600.0


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())
    loaded = load(path, {})
    assert loaded.settings.endpoint[0].models == ("small",)
    assert loaded.source.line(("endpoint", 0, "timeouts", "idle")) == 9


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigError, match="no such file.*trimtab init") as caught:
        load_settings(tmp_path / "nowhere.toml", {})
    assert caught.value.file == str(tmp_path / "nowhere.toml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(tmp_path):
    path = written(tmp_path, FILE)
    path.chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        load_settings(path, {})


def test_a_file_that_is_not_utf_8_is_placed(tmp_path):
    with pytest.raises(ConfigError, match="UTF-8") as caught:
        load_settings(written(tmp_path, b'[server]\nhost = "\xff"\n'), {})
    assert caught.value.line == 2


def test_lists_within_lists_without_end_are_refused():
    with pytest.raises(ConfigError, match="nested too deep"):
        load_text("a = " + "[" * 20_000 + "]" * 20_000, "f.toml", {})


def test_the_error_begins_with_file_and_line(tmp_path):
    path = written(tmp_path, FILE.replace("9001", "99999"))
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    assert str(caught.value) == (
        f"{path}:2: server.port: expected a whole number (0 to 65535), got 99999 "
        "(Port to listen on; 0 picks a free one.)"
    )
