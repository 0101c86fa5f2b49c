"""The environment wins over the file, names itself in errors, and holds the secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.config import database_of, load, load_settings, load_text, secrets_of
from trimtab.config.environment import SECTIONS, overridden, variable_of
from trimtab.config.schema import keys_at
from trimtab.config.settings import Settings
from trimtab.core.errors import ConfigError

ENDPOINT = """
[[endpoint]]
name = "house"
url = "https://api.example.com/v1"
models = ["small"]
api_key_env = "HOUSE_KEY"
"""


def test_a_variable_wins_over_the_file():
    loaded = load_text("[server]\nport = 1", "f.toml", {"TRIMTAB_SERVER__PORT": "9000"})
    assert loaded.settings.server.port == 9000
    assert loaded.source.variables == {("server", "port"): "TRIMTAB_SERVER__PORT"}


def test_every_kind_of_value_can_be_set():
    settings = load_settings(
        None,
        {
            "TRIMTAB_SERVER__HOST": "0.0.0.0",
            "TRIMTAB_LEDGER__WAIT_SECONDS": "2",
            "TRIMTAB_LEDGER__DURABILITY": "disk",
            "TRIMTAB_TELEMETRY__CONTENT": "true",
            "TRIMTAB_HEDGING__SHARE": "0.1",
            "TRIMTAB_DEFAULT_POLICY": "cheapest",
        },
    )
    assert (settings.server.host, settings.ledger.wait_seconds) == ("0.0.0.0", 2.0)
    assert (settings.ledger.durability, settings.telemetry.content) == ("disk", True)
    assert (settings.hedging.share, settings.default_policy) == (0.1, "cheapest")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TRIMTAB_SERVER__PORT", "x", r'a whole number \(0 to 65535\), got "x" \(Port to listen on'),
        ("TRIMTAB_SERVER__PORT", "70000", "0 to 65535"),
        ("TRIMTAB_SERVER__PORT", "", 'got ""'),
        ("TRIMTAB_SERVER__HOST", "", "not empty"),
        ("TRIMTAB_SERVER__DRAIN_SECONDS", "inf", "above 0, at most 86400|finite"),
        ("TRIMTAB_SERVER__DRAIN_SECONDS", "nan", "a number|finite"),
        ("TRIMTAB_TELEMETRY__CONTENT", "maybe", "true or false"),
        ("TRIMTAB_LEDGER__DURABILITY", "paper", 'one of "disk", "process"'),
        ("TRIMTAB_SERVER__PROT", "1", 'did you mean "TRIMTAB_SERVER__PORT"'),
        ("TRIMTAB_SEVER__PORT", "1", 'did you mean "TRIMTAB_SERVER__PORT"'),
        ("TRIMTAB_MODEL__NAME", "1", "sets no key"),
        ("TRIMTAB_DEFAULT_POLICY", "cheepest", 'no policy "cheepest"; did you mean "cheapest"'),
        ("TRIMTAB_SERVER__DATABASE", "mysql://x", "postgresql://"),
        ("TRIMTAB_SERVER__HOST", "\udcff", "expected text"),
        ("TRIMTAB_SERVER__MAX_BODY_BYTES", "9" * 30, "64 bits"),
        ("TRIMTAB_SERVER__MAX_BODY_BYTES", "9" * 5000, "whole number"),
    ],
)
def test_a_bad_variable_is_named(variable, value, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load_text("[server]\nport = 1", "f.toml", {variable: value})
    assert str(caught.value).startswith(f"environment: {variable}: ")


@pytest.mark.parametrize(
    "name", ["PATH", "TRIMTAB_CONFIG", "TRIMTAB_PORT_8080_TCP", "TRIMTAB_", "SERVER__PORT"]
)
def test_other_variables_are_left_alone(name):
    assert load_settings(None, {name: "x"}) == Settings()


def test_a_variable_that_the_file_names_as_a_secret_is_left_alone():
    text = ENDPOINT.replace("HOUSE_KEY", "TRIMTAB_HOUSE__KEY")
    assert load_text(text, "f.toml", {"TRIMTAB_HOUSE__KEY": "sk"}).settings.endpoint


def test_every_key_of_the_process_tables_has_a_variable():
    for section in SECTIONS:
        for key in keys_at((section,)):
            value = getattr(getattr(Settings(), section), key)
            _, variables = overridden(Settings(), {variable_of((section, key)): str(value).lower()})
            assert list(variables) == [(section, key)]


@given(
    st.sampled_from([(section, key) for section in SECTIONS for key in keys_at((section,))]),
    st.text(st.characters(exclude_characters="\0")),
)
def test_no_value_of_a_variable_raises_anything_but_a_config_error(key, value):
    named = variable_of(key)
    try:
        load_settings(None, {variable_of(key): value})
    except ConfigError as error:
        named = error.key
    assert named == variable_of(key)


def test_secrets_are_read_by_endpoint():
    settings = load_text(ENDPOINT, "f.toml", {}).settings
    assert secrets_of(settings, {"HOUSE_KEY": " sk-1\n"}) == {"house": "sk-1"}


def test_an_endpoint_without_a_key_has_no_secret():
    settings = load_text(ENDPOINT.replace('api_key_env = "HOUSE_KEY"', ""), "f.toml", {}).settings
    assert secrets_of(settings, {}) == {}


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, 'HOUSE_KEY .the key of endpoint "house". is not set; export HOUSE_KEY='),
        ({"HOUSE_KEY": " \n"}, "is empty"),
        ({"HOUSE_KEY": "a\nb"}, "characters no header can carry"),
        ({"HOUSE_KEY": "schlüssel"}, "characters no header can carry"),
    ],
)
def test_a_secret_that_cannot_be_used_names_endpoint_and_variable(environ, words):
    loaded = load_text(ENDPOINT, "f.toml", {})
    with pytest.raises(ConfigError, match=words) as caught:
        secrets_of(loaded.settings, environ, loaded.source)
    assert (caught.value.line, caught.value.key) == (6, "endpoint[0].api_key_env")
    assert "schl" not in str(caught.value)


def test_the_database_is_sqlite_a_url_or_what_a_variable_says():
    assert database_of(load_settings(None, {}), {}) == "sqlite"
    text = "[server]\ndatabase = 'sqlite'\ndatabase_env = 'DB'"
    loaded = load_text(text, "f.toml", {})
    assert database_of(loaded.settings, {"DB": "postgresql://a/b"}) == "postgresql://a/b"
    for environ in ({}, {"DB": "mysql://secret"}):
        with pytest.raises(ConfigError, match="DB") as caught:
            database_of(loaded.settings, environ, loaded.source)
        assert (caught.value.line, caught.value.key) == (3, "server.database_env")
        assert "secret" not in str(caught.value)


def test_load_keeps_the_source(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(ENDPOINT)
    assert load(path, {}).source.file == str(path)
