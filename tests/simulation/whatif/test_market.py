"""Offers of other settings are those the pool itself would make."""

from hypothesis import given
from hypothesis import strategies as st

from simulation.whatif.recorder import NOON, settings_of, toml
from trimtab.app.policies import policies_of
from trimtab.config import prices_of
from trimtab.core import Attribution, Call, SystemClock
from trimtab.pool import Pool
from trimtab.simulation.whatif.market import Market

MACHINE = '[[endpoint]]\nname = "own"\nurl = "http://10.0.0.3/v1"\nmodels = ["small"]\ngpu_hour_usd = 2.0\n'
SETTINGS = settings_of(toml(more=MACHINE))
OTHER = settings_of(toml(large=7.0, more=MACHINE))
tokens = st.integers(min_value=0, max_value=300_000)
calls = st.builds(
    Call,
    id=st.just("c"),
    at=st.just(NOON),
    surface=st.sampled_from(["chat", "messages", "responses", "embeddings"]),
    model=st.just("any"),
    who=st.just(Attribution("acme", "r1")),
    input_tokens=tokens,
    max_output_tokens=tokens,
    choices=st.integers(min_value=1, max_value=4),
)


def pool_of(settings):
    return Pool(settings, {}, prices_of(settings), SystemClock())


def market_of(settings):
    return Market(settings, prices_of(settings), policies_of(settings))


@given(calls)
def test_offers_are_the_pools_own(call):
    models = ("small", "large")
    assert market_of(SETTINGS).offers(call, models, ()) == pool_of(SETTINGS).offers(call, models)


@given(calls)
def test_recorded_offers_are_made_anew_where_the_terms_changed(call):
    models = ("small", "large")
    recorded = pool_of(OTHER).offers(call, models)
    assert market_of(SETTINGS).offers(call, models, recorded) == pool_of(SETTINGS).offers(call, models)


@given(calls)
def test_recorded_offers_stand_where_the_terms_did_not_change(call):
    recorded = pool_of(SETTINGS).offers(call, ("large",))
    assert market_of(SETTINGS).offers(call, ("large",), recorded)[0] is recorded[0]
