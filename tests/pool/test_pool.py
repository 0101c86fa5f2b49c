import time

import pytest

from trimtab.config import load_text, prices_of
from trimtab.core import Attribution, Call, SystemClock
from trimtab.core.errors import UnknownModel
from trimtab.pool import Pool

TEXT = """
[[endpoint]]
name = "a"
url = "http://127.0.0.1:1/v1"
models = ["gpt-small", "gpt-large"]
price = { input = 1.0, output = 10.0 }
capabilities = ["tools"]
[[endpoint]]
name = "b"
url = "http://127.0.0.1:2"
models = ["gpt-small"]
style = "anthropic"
quality = 0.9
context_tokens = 1000
[[model]]
name = "gpt-small"
quality = 0.3
context_tokens = 50
price = { input = 2.0, output = 20.0 }
[[model]]
name = "smart"
candidates = ["gpt-small", "gpt-large"]
"""


@pytest.fixture
def pool():
    settings = load_text(TEXT, "trimtab.toml", {}).settings
    return Pool(settings, {"a": "secret"}, prices_of(settings), SystemClock())


def call(model="gpt-small", surface="chat"):
    who = Attribution(tenant="t", run="r")
    return Call("c", 0.0, surface, model, who, input_tokens=1000, max_output_tokens=100, choices=2)


def test_a_name_stands_for_itself_or_its_candidates(pool):
    assert pool.names == ["gpt-large", "gpt-small", "smart"]
    assert pool.candidates("gpt-small") == ("gpt-small",)
    assert pool.candidates("smart") == ("gpt-small", "gpt-large")


def test_an_unknown_name_is_refused_with_close_ones(pool):
    with pytest.raises(UnknownModel, match="did you mean gpt-small, gpt-large"):
        pool.candidates("gpt-smll")
    with pytest.raises(UnknownModel, match="known: gpt-large, gpt-small, smart"):
        pool.candidates("zzz")


def test_a_name_as_long_as_a_book_is_refused_at_once_and_in_short(pool):
    began = time.perf_counter()
    with pytest.raises(UnknownModel) as caught:
        pool.candidates("a b" * 5_000_000)
    assert time.perf_counter() - began < 0.2
    assert len(caught.value.message) < 1000


def test_offers_name_the_terms_of_each_endpoint(pool):
    first, second = pool.offers(call(), ("gpt-small",))
    assert (first.endpoint, first.quality, first.context_tokens) == ("a", 0.3, 50)
    assert first.capabilities == {"tools"}
    assert first.worst_nanodollars == 1000 * 1_000 + 200 * 10_000
    assert (second.endpoint, second.quality, second.context_tokens) == ("b", 0.9, 1000)
    assert second.worst_nanodollars == 1000 * 2_000 + 200 * 20_000
    assert second.capabilities == frozenset()


def test_offers_come_for_every_model_asked_for(pool):
    offers = pool.offers(call("smart"), ("gpt-small", "gpt-large"))
    assert [(o.model, o.endpoint) for o in offers] == [
        ("gpt-small", "a"),
        ("gpt-small", "b"),
        ("gpt-large", "a"),
    ]


def test_embeddings_are_not_asked_of_endpoints_without_them(pool):
    assert [offer.endpoint for offer in pool.offers(call(surface="embeddings"), ("gpt-small",))] == ["a"]


def test_the_price_of_what_nobody_serves_is_unknown(pool):
    assert not pool.price("b", "gpt-large").known


def test_one_tenants_short_queue_does_not_cut_off_the_others():
    settings = load_text(TEXT + '[[tenant]]\nname = "acme"\nmax_queued = 1\n', "trimtab.toml", {}).settings
    queue = Pool(settings, {}, {}, SystemClock()).endpoints["a"].queue
    waiting = [queue.push(number, "blue", 1.0, 0) for number in range(3)]
    assert waiting == [True, True, True]
