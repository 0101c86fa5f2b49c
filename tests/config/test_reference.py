"""The reference page and the starter file are true."""

from pathlib import Path

import pytest

import trimtab.config
from trimtab.config import Settings, example_toml, load_text, secrets_of
from trimtab.config.reference import main, reference_markdown
from trimtab.config.schema import description, plain, root_type
from trimtab.core.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_in_docs_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == reference_markdown(), "run python -m trimtab.config.reference"


def test_the_page_is_written_where_it_is_asked_for(tmp_path):
    main([str(tmp_path / "new" / "page.md")])
    assert (tmp_path / "new" / "page.md").read_text(encoding="utf-8") == reference_markdown()


def test_the_complete_example_loads_and_has_every_table():
    example = reference_markdown().split("```toml\n")[1].split("```")[0]
    settings = load_text(example, "example.toml", {}).settings
    empty = {name for name in Settings.__struct_fields__ if not getattr(settings, name)}
    assert not empty
    assert set(
        secrets_of(settings, dict.fromkeys(["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "PARTNER_API_KEY"], "k"))
    )


def test_the_error_shown_on_the_page_is_the_real_one():
    with pytest.raises(ConfigError) as caught:
        load_text("[server]\n\nport = 99999", "trimtab.toml", {})
    assert str(caught.value) in reference_markdown()


def test_the_starter_file_loads_as_it_stands():
    settings = load_text(example_toml(), "trimtab.toml", {}).settings
    assert settings.endpoint[0].name == "openai"
    assert secrets_of(settings, {"OPENAI_API_KEY": "sk"}) == {"openai": "sk"}


def test_the_starter_file_loads_with_every_commented_key_put_in():
    lines = [uncommented(line) for line in example_toml().split("\n")]
    settings = load_text("\n".join(lines), "trimtab.toml", {}).settings
    assert [endpoint.name for endpoint in settings.endpoint] == ["openai", "anthropic", "house-gpu"]
    assert settings.rule[0].name == "night"
    assert settings.workflow["support"].completed_at == 0.5


def uncommented(line):
    """A commented key or header without its mark; prose stays a comment."""
    bare = line.removeprefix("# ")
    is_toml = bare.startswith("[") or bare.split(" ")[1:2] == ["="]
    return bare if is_toml else line


def test_every_key_says_what_it_is():
    def silent(table):
        for field in table.fields:
            below = plain(field.type)
            below = getattr(below, "item_type", getattr(below, "value_type", below))
            if not description(field.type) and table.cls is not Settings:
                yield f"{table.cls.__name__}.{field.encode_name}"
            if hasattr(plain(below), "fields"):
                yield from silent(plain(below))

    assert list(silent(root_type())) == []


def test_every_table_has_its_section():
    page = reference_markdown()
    for heading in (
        "`[server]`",
        "`[[endpoint]]`",
        "`timeouts`",
        "`price`",
        "`tiers`",
        "`[policy.NAME]`",
        "`verifiers`",
    ):
        assert f"\n### {heading}\n" in page


def test_the_exports_of_the_room_are_pinned():
    assert set(trimtab.config.__all__) == {
        "SHIPPED_POLICIES",
        "AutoscaleSettings",
        "BreakerSettings",
        "BudgetSettings",
        "ClassifySettings",
        "ContentMode",
        "ControllerSettings",
        "EndpointSettings",
        "EngineName",
        "HedgingSettings",
        "HostingSettings",
        "Key",
        "LedgerSettings",
        "Loaded",
        "ModelSettings",
        "PassedOn",
        "PolicySettings",
        "PriceSettings",
        "PriceTable",
        "Profile",
        "RateSettings",
        "RuleSettings",
        "SchedulingSettings",
        "ServerSettings",
        "Settings",
        "Source",
        "SpeedSettings",
        "StepSettings",
        "TelemetrySettings",
        "TenantSettings",
        "TierSettings",
        "TimeoutSettings",
        "ToolSettings",
        "TraceSettings",
        "VerifierSettings",
        "WorkflowSettings",
        "WorkflowToolSettings",
        "check_settings",
        "database_of",
        "engine_root",
        "example_toml",
        "is_function",
        "is_private",
        "key_text",
        "load",
        "load_settings",
        "load_text",
        "metrics_page",
        "parse",
        "price_of",
        "prices_of",
        "published_name",
        "secrets_of",
        "served_models",
    }
