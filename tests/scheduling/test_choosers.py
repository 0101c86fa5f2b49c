"""Who serves a call: floors first, then the policy; the order in which endpoints are listed decides nothing."""

from hypothesis import given
from hypothesis import strategies as st
from tests.scheduling.standings import demand, standing

from trimtab.scheduling import CHOOSERS, Eta, PrefixBook, PrefixLoad, Roll

POOLS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from([0.2, 0.5, 0.9]),
        st.sampled_from([4, 8, 16]),
        st.integers(0, 1_000),
    ),
    min_size=1,
    max_size=8,
)


def pool(rows):
    return [
        standing(index, busy=busy, quality=quality, precision_bits=bits)
        for index, (busy, quality, bits, _) in enumerate(rows)
    ]


@given(POOLS, st.permutations(range(8)), st.sampled_from(sorted(CHOOSERS)), st.integers(0, 20))
def test_the_order_of_the_endpoints_decides_nothing(rows, shuffled, name, turn):
    listed = pool(rows)
    hits = {index: row[3] for index, row in enumerate(rows)}
    chooser, call = CHOOSERS[name](), demand(turn)
    other = [listed[at] for at in shuffled if at < len(listed)]
    chosen = chooser.choose(call, listed, hits)
    assert chosen is chooser.choose(call, other, hits)
    assert chosen is chooser.choose(call, listed, hits)
    assert chooser.rank(call, listed, hits) == chooser.rank(call, other, hits)
    assert chooser.rank(call, listed, hits)[0] is chosen


@given(
    POOLS,
    st.sampled_from([0.0, 0.4, 0.8, 0.95]),
    st.sampled_from([0, 8, 16]),
    st.sampled_from(sorted(CHOOSERS)),
)
def test_floors_are_never_broken(rows, quality, bits, name):
    roll = Roll(pool(rows))
    call = demand(quality_floor=quality, precision_floor=bits)
    chosen = CHOOSERS[name]().choose(call, roll.eligible(call), {})
    able = [
        one for one in roll.standings if one.terms.quality >= quality and one.terms.precision_bits >= bits
    ]
    assert (chosen is None) == (not able)
    assert chosen is None or chosen in able


@given(POOLS, st.lists(st.integers(0, 1_000), min_size=8, max_size=8))
def test_the_written_out_choice_is_the_least_score(rows, cached):
    listed, hits = pool(rows), dict(enumerate(cached))
    for chooser in (Eta(), Eta(harm=0.3, dollar_seconds=100.0)):
        call = demand()
        scores = {one.name: chooser.score(call, one, hits[one.index]) for one in listed}
        assert scores[chooser.choose(call, listed, hits).name] == min(scores.values())


def test_a_session_stays_while_its_prefix_is_worth_the_wait_and_no_longer():
    here, there = standing(0, busy=1), standing(1)
    call, cached = demand(input_tokens=20_000), {0: 19_000}
    assert Eta().choose(call, [here, there], cached) is here
    for _ in range(10):
        here.held(1.0)
    assert Eta().choose(call, [here, there], cached) is there


def test_prefix_and_load_weighs_the_cached_share_against_the_busiest():
    here, there = standing(0, busy=4), standing(1, busy=3)
    assert PrefixLoad().choose(demand(), [here, there], {0: 900}) is here
    assert PrefixLoad().choose(demand(), [here, there], {0: 100}) is there


def test_a_tolerant_step_takes_the_cheaper_endpoint_where_money_counts():
    dear = standing(0, hour_nanodollars=10_000_000_000)
    cheap = standing(1, hour_nanodollars=5_000_000_000, precision_bits=8, quality=0.8)
    roll = Roll([dear, cheap])
    tolerant, strict = demand(1), demand(2, quality_floor=0.9)
    thrifty = Eta(dollar_seconds=1_000.0)
    assert thrifty.choose(tolerant, roll.eligible(tolerant), {}) is cheap
    assert thrifty.choose(strict, roll.eligible(strict), {}) is dear


def test_a_role_goes_to_the_endpoints_made_for_it_where_there_are_any():
    quick, large = standing(0, profile="interactive"), standing(1, profile="batch")
    roll = Roll([quick, large])
    assert roll.eligible(demand(role="batch")) == [large]
    large.available = False
    roll.changed()
    assert roll.eligible(demand(role="batch")) == [quick]


def test_a_call_longer_than_the_context_is_not_offered_there():
    roll = Roll([standing(0, context_tokens=500), standing(1, context_tokens=5_000)])
    assert [one.index for one in roll.eligible(demand())] == [1]
    assert [one.index for one in roll.eligible(demand(input_tokens=300))] == [0, 1]


def test_the_prefix_book_forgets_what_no_longer_fits_and_what_was_denied():
    book = PrefixBook([1_000, 1_000])
    book.put(0, (("system", 300), ("one", 800)))
    assert book.hits((("system", 300), ("one", 700))) == {0: 700}
    book.put(0, (("system", 300), ("two", 900)))
    assert book.hits((("system", 300), ("one", 800))) == {0: 300}
    assert book.hit(0, (("system", 300), ("two", 900))) == 900
    assert book.hit(1, (("system", 300),)) == 0
    book.correct(0, (("system", 300), ("two", 900)), 300)
    assert book.hits((("system", 300), ("two", 900))) == {0: 300}
    book.clear(0)
    assert book.hits((("system", 300),)) == {}
