"""Prices: whose wins, and the published ones to the nanodollar."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from trimtab.config import (
    EndpointSettings,
    ModelSettings,
    PriceSettings,
    Settings,
    TierSettings,
    is_private,
    price_of,
    prices_of,
    published_name,
)
from trimtab.config.names import is_named
from trimtab.core import Price, Rates, Usage

AT = datetime(2026, 11, 1, tzinfo=UTC)
URLS = {
    "anthropic": "https://api.anthropic.com/v1",
    "openai": "https://api.openai.com/v1",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai",
}


def endpoint(model, url="https://llm.example.com/v1", **rest):
    return EndpointSettings(name="e", url=url, models=(model,), **rest)


def price(model, *, models=(), url="https://llm.example.com/v1", at=None, **rest):
    place = endpoint(model, url, **rest)
    return price_of(Settings(endpoint=(place,), model=models), place, model, at)


def test_the_endpoints_own_price_wins():
    model = ModelSettings(name="gpt-4o", price=PriceSettings(input=2))
    found = price("gpt-4o", models=(model,), price=PriceSettings(input=1, output=3))
    assert found.tiers == (Rates(input=1_000_000_000, output=3_000_000_000),)


def test_the_models_price_wins_over_price_as_and_the_published_one():
    model = ModelSettings(name="gpt-4o", price=PriceSettings(input=2), price_as="openai/gpt-4o-mini")
    assert price("gpt-4o", models=(model,)).tiers == (Rates(input=2_000_000_000),)


def test_price_as_wins_over_the_published_price_of_the_name():
    model = ModelSettings(name="gpt-4o", price_as="openai/gpt-4o-mini")
    assert price("gpt-4o", models=(model,)).tiers == price("gpt-4o-mini").tiers != price("gpt-4o").tiers


def test_price_as_holds_on_a_private_host_too():
    model = ModelSettings(name="mine", price_as="openrouter/openai/gpt-4o-mini")
    assert price("mine", models=(model,), url="http://127.0.0.1/v1").known


def test_the_name_the_endpoint_uses_finds_the_price():
    found = price("fast", url=URLS["openai"], upstream_names={"fast": "gpt-4o-mini"})
    assert found == price("gpt-4o-mini", url=URLS["openai"])
    assert found.known


def test_the_same_model_costs_what_the_urls_provider_asks():
    groq = price("openai/gpt-oss-120b", url="https://api.groq.com/openai/v1")
    deep = price("openai/gpt-oss-120b", url="https://openrouter.ai/api/v1")
    assert groq.known
    assert deep.known
    assert groq != deep


def test_a_known_provider_does_not_borrow_anothers_price():
    assert price("gpt-4o").known
    assert not price("gpt-4o", url=URLS["anthropic"]).known


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://vllm:8000", "https://gpu.internal/v1"])
def test_a_private_host_has_no_published_price(url):
    assert price("gpt-4o-mini", url=url) == Price()
    assert not price("gpt-4o-mini", url=url).known


@pytest.mark.parametrize(
    "model", ["no-such-model", "", "a/b/c", "*", "\N{SNOWMAN}", "whisper-1", "mistral-ocr-2505"]
)
@pytest.mark.parametrize("url", [URLS["openai"], "https://llm.example.com"])
def test_what_nobody_prices_by_token_is_unknown(model, url):
    assert not price(model, url=url).known


def test_another_trimtab_charges_itself():
    assert not price("gpt-4o", url=URLS["openai"], style="trimtab").known


def test_a_gpu_hour_becomes_seconds_and_stands_in_for_published_prices():
    model = ModelSettings(name="gpt-4o", price=PriceSettings(input=1))
    found = price("gpt-4o", models=(model,), gpu_hour_usd=3.6)
    assert found == Price(gpu_second_nanodollars=1_000_000)
    assert found.known


def test_a_gpu_hour_adds_to_the_endpoints_own_price():
    found = price("m", gpu_hour_usd=1, price=PriceSettings(request=0.01))
    assert (found.request_nanodollars, found.gpu_second_nanodollars) == (10_000_000, 277_778)


def test_a_price_of_nothing_is_known():
    assert price("m", price=PriceSettings()).known


def test_own_tiers_begin_above_their_mark():
    tier = TierSettings(above_input_tokens=1000, input=2, output=4)
    found = price("m", price=PriceSettings(input=1, output=2, cached=0.1, web_search=0.01, tiers=(tier,)))
    assert found.cost(Usage(input_tokens=1000)) == 1_000_000
    assert found.cost(Usage(input_tokens=1001)) == 2_002_000
    assert found.cost(Usage(input_tokens=1000, cached_tokens=1000)) == 100_000
    assert found.cost(Usage(input_tokens=2000, cached_tokens=2000, web_searches=1)) == 14_000_000


def test_the_table_has_every_model_of_every_endpoint():
    places = (
        EndpointSettings(name="a", url=URLS["openai"], models=("gpt-4o", "gpt-4o-mini")),
        EndpointSettings(name="b", url="http://127.0.0.1", models=("gpt-4o",), price=PriceSettings(input=1)),
    )
    table = prices_of(Settings(endpoint=places))
    assert set(table) == {("a", "gpt-4o"), ("a", "gpt-4o-mini"), ("b", "gpt-4o")}
    assert table["b", "gpt-4o"].tiers[0].input == 1_000_000_000


def test_a_price_that_depends_on_the_time_is_the_one_of_that_time():
    day, provider = timed_model()
    hours = {price(provider[1], url=provider[0], at=day + hour * 3600).tiers for hour in range(24)}
    assert len(hours) > 1


def timed_model():
    """A model with prices by the hour, its URL, and midnight of a day they hold on."""
    for provider in get_snapshot().providers:
        for model in provider.models if provider.id == "deepseek" else ():
            kinds = (
                [type(entry.constraint).__name__ for entry in model.prices]
                if isinstance(model.prices, list)
                else []
            )
            if "TimeOfDateConstraint" in kinds:
                return AT.timestamp(), ("https://api.deepseek.com/v1", model.id)
    raise AssertionError("no model has prices by the hour any more")


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://localhost:1", True),
        ("http://127.9.9.9", True),
        ("http://10.1.2.3", True),
        ("http://100.64.0.1", True),
        ("http://[::1]:80", True),
        ("http://[fd00::1]", True),
        ("http://vllm", True),
        ("http://vllm.prod.svc", True),
        ("http://x.svc.cluster.local.", True),
        ("https://api.openai.com", False),
        ("http://8.8.8.8", False),
        ("https://[2606:4700::1111]", False),
    ],
)
def test_private_hosts_are_told_from_public_ones(url, private):
    assert is_private(url) is private


def test_importing_the_room_does_not_load_the_price_data():
    code = "import sys, trimtab.config; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def priced_models():
    """(provider, model) of all models with token prices of the three big providers."""
    found = []
    for provider in get_snapshot().providers:
        for model in provider.models if provider.id in URLS else ():
            prices = model.get_prices(AT)
            if prices.input_mtok is not None and matches_itself(provider.id, model.id):
                found.append((provider.id, model.id))
    return found


def matches_itself(provider, model):
    """Some ids do not match their own rule; they cannot be looked up."""
    try:
        return genai_prices.calc_price(genai_prices.Usage(), model, provider_id=provider).model.id == model
    except LookupError:
        return False


MODELS = priced_models()
tokens = st.one_of(
    st.integers(0, 5000),
    st.integers(127_990, 128_010),
    st.integers(199_990, 200_010),
    st.integers(0, 2_000_000),
)


@st.composite
def usages(draw):
    total = draw(tokens)
    cached = draw(st.integers(0, total))
    written = draw(st.integers(0, total - cached))
    output = draw(tokens)
    return Usage(
        input_tokens=total,
        output_tokens=output,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_hour_tokens=draw(st.integers(0, written)),
        reasoning_tokens=draw(st.integers(0, output)),
        web_searches=draw(st.integers(0, 5)),
    )


def published_cost(provider, model, usage):
    """What genai-prices says, in nanodollars, rounded up once."""
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_hour_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        web_searches=usage.web_searches,
    )
    found = genai_prices.calc_price(counts, model, provider_id=provider, genai_request_timestamp=AT)
    return int((found.total_price * 10**9).to_integral_value(rounding=ROUND_CEILING))


def test_the_three_providers_have_models_with_tiers_and_caches():
    assert len(MODELS) > 100
    found = [price(model, url=URLS[provider], at=AT.timestamp()) for provider, model in MODELS]
    assert any(len(entry.tiers) > 1 for entry in found)
    assert any(entry.tiers[0].cache_write_hour for entry in found)


@given(st.sampled_from(MODELS), usages())
def test_a_published_price_is_exact_to_the_nanodollar(model, usage):
    found = price(model[1], url=URLS[model[0]], at=AT.timestamp())
    assert found.cost(usage) == published_cost(*model, usage)


@pytest.mark.parametrize("model", MODELS, ids="/".join)
def test_every_published_price_is_exact_on_both_sides_of_its_tiers(model):
    found = price(model[1], url=URLS[model[0]], at=AT.timestamp())
    marks = [tier.above_input_tokens for tier in found.tiers]
    for total in {1, 999_999, *marks, *(mark - 1 for mark in marks if mark)}:
        usage = Usage(total, 777, total // 3, total // 4, total // 8, 99, 1)
        assert found.cost(usage) == published_cost(*model, usage)


@given(st.decimals("0", "1000", places=4, allow_nan=False), st.integers(0, 10_000_000))
def test_an_own_price_is_exact(usd, count):
    found = price("m", price=PriceSettings(input=float(usd)))
    exact = Decimal(str(float(usd))) * count * 1000
    assert found.cost(Usage(input_tokens=count)) == int(exact.to_integral_value(rounding=ROUND_CEILING))


@pytest.mark.parametrize(
    "model",
    ["claude-opus-4-6", "claude-opus-4-6-20260205", "claude-opus-4-6-latest", "gpt-4o", "gpt-4.1-2025-04-14"],
)
def test_a_models_own_name_and_its_snapshots_have_its_published_price(model):
    assert price(model).basis == "published"


@pytest.mark.parametrize("model", ["claude-opus-4-6b", "claude-opus-4-60", "claude-opus-4-6-mini"])
def test_a_name_that_only_begins_alike_has_a_similar_price(model):
    assert price(model).basis == "similar"
    assert published_name(model) is None


def test_every_published_model_is_named_by_its_own_name():
    models = [model for provider in get_snapshot().providers for model in provider.models]
    assert all(is_named(model, model.id) for model in models)


def test_a_price_in_the_settings_is_their_own():
    assert price("claude-opus-4-6b", price=PriceSettings(input=1)).basis == "own"
