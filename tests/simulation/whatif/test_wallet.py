"""Budgets filled by recorded calls."""

from hypothesis import given
from hypothesis import strategies as st

from simulation.whatif.recorder import NOON, settings_of, toml
from trimtab.core import Attribution, Call
from trimtab.simulation.whatif.wallet import Wallet

LIMIT = 1_000_000_000
BUDGET = '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 1.0\n'
RATE = '[[rate]]\nscope = "tenant"\nrequests_per_minute = 2\n'
WHO = Attribution("acme", "r1")
spends = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=400_000_000),
        st.floats(min_value=0, max_value=1),
        st.floats(min_value=0, max_value=30),
        st.floats(min_value=0, max_value=30),
    ),
    max_size=30,
)


@given(spends)
def test_no_budget_is_ever_passed(calls):
    wallet = Wallet(settings_of(toml(more=BUDGET)), settings_of(toml()), {})
    at, settled = NOON, 0
    for worst, share, gap, seconds in calls:
        at += gap
        wallet.settle_until(at)
        pocket = wallet.pocket(WHO, at)
        if wallet.take(pocket.purses, worst, at):
            wallet.hold(pocket.purses, worst, int(worst * share), at + seconds)
            settled += int(worst * share)
        assert pocket.purses[0].left >= 0
        assert settled <= LIMIT


def test_a_call_waits_for_holds_that_end_soon_and_not_for_others():
    wallet = Wallet(settings_of(toml(more=BUDGET)), settings_of(toml()), {})
    purses = wallet.pocket(WHO, NOON).purses
    wallet.hold(purses, LIMIT, 10, NOON + 3)
    assert wallet.take(purses, 500, NOON)
    wallet.hold(purses, LIMIT - 10, 10, NOON + 60)
    assert not wallet.take(purses, 500, NOON)


def test_money_that_is_spent_is_not_waited_for():
    wallet = Wallet(settings_of(toml(more=BUDGET)), settings_of(toml()), {})
    purses = wallet.pocket(WHO, NOON).purses
    wallet.charge(purses, LIMIT - 100)
    wallet.hold(purses, 50, 0, NOON + 1)
    assert not wallet.take(purses, 101, NOON)
    assert wallet.take(purses, 100, NOON)


def test_a_new_window_begins_empty():
    wallet = Wallet(settings_of(toml(more=BUDGET)), settings_of(toml()), {})
    wallet.charge(wallet.pocket(WHO, NOON).purses, LIMIT)
    tomorrow = NOON + 86_400
    assert wallet.remaining(wallet.pocket(WHO, NOON)) == 0
    assert wallet.remaining(wallet.pocket(WHO, tomorrow)) == LIMIT
    wallet.forget(tomorrow)
    assert wallet.remaining(wallet.pocket(WHO, tomorrow)) == LIMIT


def test_a_recorded_verdict_stands_until_something_else_is_spent():
    settings = settings_of(toml(more=BUDGET))
    wallet = Wallet(settings, settings, {})
    pocket = wallet.pocket(WHO, NOON)
    assert wallet.stands(pocket)
    wallet.note(pocket, -1)
    assert not wallet.stands(pocket)
    other = Wallet(settings_of(toml(more=BUDGET.replace("1.0", "2.0"))), settings, {})
    assert not other.stands(other.pocket(WHO, NOON))


def test_a_new_rate_refuses_by_the_minute():
    wallet = Wallet(settings_of(toml(more=RATE)), settings_of(toml()), {})
    admitted = [
        wallet.admits(Call("c", NOON + at, "chat", "any", WHO, 10, 10), False, lambda: 0)
        for at in (0, 1, 2, 60)
    ]
    assert admitted == [True, True, False, True]
