"""`trimtab keys` and `trimtab init`."""

import json
import sqlite3

import pytest
from typer.testing import CliRunner

from trimtab.cli import app
from trimtab.core.errors import ConfigError
from trimtab.tenants import digest_of

runner = CliRunner()


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "trimtab.toml"
    path.write_text(f'[server]\ndata = "{tmp_path / "data"}"\n')
    return str(path)


def invoke(*arguments):
    return runner.invoke(app, list(arguments), catch_exceptions=False)


def create(config, *more):
    return json.loads(invoke("keys", "create", "-c", config, "--tenant", "acme", "--json", *more).stdout)


def test_a_key_is_shown_once_and_stored_hashed(config, tmp_path):
    made = create(config, "--user", "ada", "--models", "a, b", "--expires", "30d")
    with sqlite3.connect(tmp_path / "data" / "trimtab.sqlite") as database:
        rows = database.execute("SELECT * FROM api_key").fetchall()
    database.close()
    assert digest_of(made["key"]) in str(rows)
    assert made["key"] not in str(rows)
    [listed] = json.loads(invoke("keys", "list", "-c", config, "--json").stdout)
    assert listed["models"] == ["a", "b"]
    assert "digest" not in listed


def test_a_revoked_key_stays_listed(config):
    made = create(config)
    assert "revoked" in invoke("keys", "revoke", made["id"], "-c", config).stdout
    [listed] = json.loads(invoke("keys", "list", "-c", config, "--json").stdout)
    assert listed["revoked_at"] is not None
    with pytest.raises(ConfigError, match="no good key"):
        invoke("keys", "revoke", made["id"], "-c", config)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--role", "king"), "viewer, operator or admin"),
        (("--expires", "yesterday"), "is no time"),
        (("--limit-usd", "much"), "--limit-usd: a limit is USD as in 2.50"),
        (("--limit-usd", "1", "--window", "run"), "--window: a limit's window is day, month, total"),
        (("--window", "run"), "--window: a limit's window is day, month, total"),
        (("--expires", "2001-01-01"), "lies in the past"),
    ],
)
def test_wrong_options_are_said_in_one_line(config, options, said):
    with pytest.raises(ConfigError, match=said):
        invoke("keys", "create", "-c", config, "--tenant", "acme", *options)


def test_init_writes_a_file_once(tmp_path):
    path = tmp_path / "new.toml"
    assert invoke("init", str(path)).exit_code == 0
    assert "[[endpoint]]" in path.read_text()
    with pytest.raises(ConfigError, match="there already"):
        invoke("init", str(path))


def test_a_key_is_limited_and_set_free(config):
    made = create(config, "--limit-usd", "2.5", "--window", "day")
    [listed] = json.loads(invoke("keys", "list", "-c", config, "--json").stdout)
    assert (listed["limit_nanodollars"], listed["limit_window"]) == (2_500_000_000, "day")
    told = invoke("keys", "limit", made["id"], "7", "-c", config).stdout
    assert told == f"limited {made['id']} to $7 a day\n"
    told = invoke("keys", "limit", made["id"], "7.25", "--window", "total", "-c", config).stdout
    assert told == f"limited {made['id']} to $7.25 in all\n"
    [listed] = json.loads(invoke("keys", "list", "-c", config, "--json").stdout)
    assert (listed["limit_nanodollars"], listed["limit_window"]) == (7_250_000_000, "total")
    with pytest.raises(ConfigError, match="USD: a limit is USD"):
        invoke("keys", "limit", made["id"], "-c", config, "--", "-7")
    assert "no limit any more" in invoke("keys", "limit", made["id"], "none", "-c", config).stdout
    [listed] = json.loads(invoke("keys", "list", "-c", config, "--json").stdout)
    assert (listed["limit_nanodollars"], listed["limit_window"]) == (None, "")
    with pytest.raises(ConfigError, match="no good key"):
        invoke("keys", "limit", "nobody", "7", "-c", config)
