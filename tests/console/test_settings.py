"""The page Settings: every key, its value without secrets, where it was set."""

import pytest

from console.visiting import page, words
from gateway.served import endpoint
from trimtab.config import load_text
from trimtab.console.lines import setting_lines
from trimtab.console.masks import HIDDEN, is_secret, masked

SECRET = "hunter2"


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_settings_are_for_admins(house, guests, role):
    guest = await guests(house, role)
    assert (await guest.get("/console/settings")).status == 403


async def test_each_key_says_where_it_was_set(house, guests):
    told = words(await (await guests(house, "admin")).get("/console/settings?find=server."))
    rows = dict.fromkeys(part.strip() for part in told.splitlines())
    assert any("server.data" in row and "TRIMTAB_SERVER__DATA" in row for row in rows)
    assert any("server.drain_seconds" in row and "default" in row for row in rows)
    told = words(await (await guests(house, "admin")).get("/console/settings?find=endpoint[0].models"))
    assert "trimtab.toml:4" in told


async def test_only_what_is_set_leaves_out_defaults_and_pages_go_on(serve, upstream, guests):
    served = await serve("".join(endpoint(upstream, f"e{index}") for index in range(12)))
    guest = await guests(served)
    whole, few = await guest.get("/console/settings"), await guest.get("/console/settings?set=1")
    assert "server.drain_seconds" in words(whole)
    assert "server.drain_seconds" not in words(few)
    assert "endpoint[11].url" in words(few)
    assert "endpoint[11].breaker.failures" not in words(whole)
    later = await guest.get("/console/settings?from=300")
    assert 'href="/console/settings?from=300"' in page(whole)
    assert "endpoint[11].breaker.failures" in words(later) + words(
        await guest.get("/console/settings?from=600")
    )
    assert (await guest.get("/console/settings?from=-1")).status == 400
    assert all(len(each.body) < 150_000 for each in (whole, few, later))


async def test_names_and_filters_are_inert(serve, upstream, guests):
    evil = "<img src=x>"
    guest = await guests(await serve(endpoint(upstream, evil)))
    answer = await guest.get("/console/settings?set=1")
    assert evil not in page(answer)
    assert evil in words(answer)
    assert evil not in page(await guest.get("/console/settings?find=%3Cimg%20src=x%3E"))


def values(text, **environ):
    return {line.key: line for line in setting_lines(load_text(text, "t.toml", environ))}


def test_secrets_of_the_environment_and_of_urls_are_hidden():
    url = f"postgresql://ada:{SECRET}/@db.example/trimtab?password={SECRET}"
    found = values(
        "", TRIMTAB_SERVER__DATABASE=url, TRIMTAB_TELEMETRY__OTLP_ENDPOINT=f"http://{SECRET}@127.0.0.1:1/"
    )
    assert SECRET not in str(found)
    assert found["server.database"].value == f'"postgresql://{HIDDEN}@db.example/trimtab?{HIDDEN}"'
    assert found["server.database"].source == "TRIMTAB_SERVER__DATABASE"


def test_header_values_and_keys_are_hidden_and_names_of_variables_are_not():
    text = (
        '[[endpoint]]\nname = "a"\nurl = "https://a.example/v1"\nmodels = ["m"]\napi_key_env = "A_KEY"\n'
        f'headers = {{ x-team = "{SECRET}" }}\n'
        f'[[budget]]\nscope = "key"\nlimit_usd = 1\nmatch = {{ key = "{SECRET}" }}\n'
    )
    found = values(text)
    assert SECRET not in str(found)
    assert found["endpoint[0].api_key_env"].value == '"A_KEY"'
    assert found["endpoint[0].headers.x-team"].source == "t.toml:6"


def test_what_people_named_makes_no_secret_of_what_is_below_it():
    found = values("[workflow.password-reset]\nlatency_milliseconds = 90.5\n")
    assert found["workflow.password-reset.latency_milliseconds"].value == "90.5"
    assert found["ledger.default_max_output_tokens"].value == "8192"


@pytest.mark.parametrize(
    ("name", "secret"),
    [("api_key", True), ("api_key_env", False), ("Authorization", True), ("max_tokens_field", False),
     ("x-auth-token", True), ("client_secret", True), ("keyboard", False)],
)  # fmt: skip
def test_names_of_secrets_are_known(name, secret):
    assert is_secret(name) == secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://a.example/v1", "https://a.example/v1"),
        ("https://u:p@a.example/v1?x=1", "https://***@a.example/v1?***"),
        ("postgresql://u:p?w@h/d", "postgresql://***@h/d"),
        ("postgresql://u:p w@h/d", "postgresql://***@h/d"),
        ("mail ada@example.org", "mail ada@example.org"),
        ("tt-abcdefghijklmnopqrstuvwxyz", "***"),
    ],
)
def test_texts_are_shown_without_secrets(text, shown):
    assert masked(text) == shown


async def test_options_of_the_command_line_are_named(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from trimtab.cli import app

    seen = []
    monkeypatch.setattr("trimtab.app.serve.serve", lambda loaded, _: seen.append(loaded))
    config = tmp_path / "trimtab.toml"
    config.write_text("[server]\nport = 1\n")
    CliRunner().invoke(app, ["serve", "-c", str(config), "--port", "9123"], catch_exceptions=False)
    (line,) = [line for line in setting_lines(seen[0]) if line.key == "server.port"]
    assert (line.value, line.source) == ("9123", "--port")
