"""Which limits a call falls under, and that no two of them ever count into one meter by accident."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.budgets import BudgetBook, KeyLimit, is_of_keys, key_limit, key_meter, stored_limit, window_at
from trimtab.config import BudgetSettings, RateSettings, TenantSettings
from trimtab.core import Attribution
from trimtab.core.errors import ConfigError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def who(tenant="acme", run="r1", user="ada", key="k1", workflow="lookup"):
    return Attribution(tenant=tenant, run=run, user=user, key=key, workflow=workflow, source="headers")


def budget(scope="tenant", usd=1.0, window="month", name="", **match):
    return BudgetSettings(scope=scope, limit_usd=usd, window=window, name=name, match=match)


def ids(book, caller=None, at=NOW):
    return [meter.id for meter in book.budgets(caller or who(), at)]


def test_a_budget_says_its_name_its_limit_and_when_it_resets():
    (meter,) = BudgetBook([budget(usd=2.5, window="day")]).budgets(who(), NOW)
    assert (meter.name, meter.unit, meter.limit) == ("tenant/day", "nanodollars", 2_500_000_000)
    assert meter.resets_at == datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    assert "acme" in meter.id
    assert "2026-11-20" in meter.id


@pytest.mark.parametrize(
    ("scope", "same", "other"),
    [
        ("tenant", who(user="bob", run="r2"), who(tenant="beta")),
        ("user", who(run="r2", key="k2"), who(user="bob")),
        ("user", who(run="r2"), who(tenant="beta")),
        ("key", who(user="bob"), who(key="k2")),
        ("workflow", who(user="bob"), who(workflow="other")),
        ("run", who(user="bob"), who(run="r2")),
        ("run", who(user="bob"), who(tenant="beta")),
    ],
)
def test_a_scope_counts_each_of_its_values_apart(scope, same, other):
    book = BudgetBook([budget(scope)])
    assert ids(book) == ids(book, same) != ids(book, other)


@pytest.mark.parametrize("scope", ["tenant", "user", "workflow", "key"])
def test_a_budget_in_the_window_of_a_run_counts_each_run_apart(scope):
    book = BudgetBook([budget(scope, window="run")])
    (meter,) = book.budgets(who(), NOW)
    assert meter.resets_at is None
    assert ids(book) == ids(book, at=NOW + 1e8) != ids(book, who(run="r2"))


def test_a_match_narrows_a_budget():
    book = BudgetBook([budget(name="both", tenant="acme", user="ada"), budget(name="beta", tenant="beta")])
    assert [meter.name for meter in book.budgets(who(), NOW)] == ["both"]
    assert book.budgets(who(user="bob"), NOW) == ()


def test_two_budgets_of_one_name_count_apart():
    book = BudgetBook([budget(name="cap", usd=1), budget(name="cap", usd=2), budget(name="cap#2", usd=3)])
    meters = book.budgets(who(), NOW)
    assert len({meter.id for meter in meters}) == 3
    assert [meter.limit for meter in meters] == [10**9, 2 * 10**9, 3 * 10**9]


def test_a_budget_keeps_its_meter_when_others_are_put_before_it_in_the_file():
    """What was spent this month must not be forgotten because somebody added a table."""
    old = [budget(tenant="acme"), budget("run", window="run")]
    new = [budget(tenant="beta"), budget(usd=9, user="ada"), *old]
    assert set(ids(BudgetBook(old))) <= set(ids(BudgetBook(new)))
    assert len(set(ids(BudgetBook(new)))) == 3


PART = st.text(alphabet="a/%|#[]=2F", max_size=4)


@given(PART, PART, PART, PART, PART, PART)
def test_no_client_reaches_another_ones_meter_by_its_choice_of_names(t1, u1, r1, t2, u2, r2):
    """Users and runs are named by clients, tenants by the house; a slash in one of them means nothing."""
    first, second = who(f"t{t1}", f"r{r1}", f"u{u1}"), who(f"t{t2}", f"r{r2}", f"u{u2}")
    book = BudgetBook([budget("user"), budget("run"), budget("user", window="run", name="x")])
    by_user, by_run, by_both = (
        one == two for one, two in zip(ids(book, first), ids(book, second), strict=True)
    )
    assert by_user == (first.tenant == second.tenant and first.user == second.user)
    assert by_run == (first.tenant == second.tenant and first.run == second.run)
    assert by_both == (by_user and first.run == second.run)


@given(st.lists(st.floats(min_value=0, max_value=4e9), min_size=1, max_size=20))
def test_the_window_is_that_of_the_moment_in_whatever_order_moments_come(moments):
    book = BudgetBook([budget(window="day"), budget(window="month")])
    for moment in moments:
        day, month = book.budgets(who(), moment)
        assert day.id.endswith("|" + window_at("day", moment).label)
        assert month.id.endswith("|" + window_at("month", moment).label)
        assert day.resets_at == window_at("day", moment).resets_at


def test_the_day_rolls_over_at_midnight():
    book = BudgetBook([budget(window="day")])
    midnight = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    assert ids(book, at=midnight - 0.001)[0].endswith("2026-11-20")
    assert ids(book, at=midnight)[0].endswith("2026-11-21")


def test_an_empty_value_is_a_value_too():
    book = BudgetBook([budget("user"), budget("workflow"), budget("key")])
    assert len(set(ids(book, who(user="", workflow="", key="")))) == 3


# Rates.


def test_rates_come_in_requests_and_tokens_a_minute():
    book = BudgetBook(rates=[RateSettings(scope="user", requests_per_minute=5, tokens_per_minute=100)])
    meters = book.rates(who(), NOW)
    assert [(meter.unit, meter.limit) for meter in meters] == [("requests", 5), ("tokens", 100)]
    assert all(NOW < meter.resets_at <= NOW + 60 for meter in meters)
    assert BudgetBook(rates=[RateSettings(scope="user")]).rates(who(), NOW) == ()


def test_a_star_limits_every_tenant_that_has_no_table_of_its_own():
    book = BudgetBook(
        tenants=[
            TenantSettings(name="*", requests_per_minute=5),
            TenantSettings(name="acme", requests_per_minute=50),
        ]
    )
    assert [meter.limit for meter in book.rates(who(), NOW)] == [50]
    assert [meter.limit for meter in book.rates(who("beta"), NOW)] == [5]
    assert book.rates(who("beta"), NOW)[0].id != book.rates(who("gamma"), NOW)[0].id


def test_a_tenant_whose_table_sets_no_rate_has_none_even_beside_a_star():
    book = BudgetBook(tenants=[TenantSettings(name="*", requests_per_minute=5), TenantSettings(name="acme")])
    assert book.rates(who(), NOW) == ()


def test_rates_of_tables_and_of_tenants_count_apart():
    book = BudgetBook(
        rates=[RateSettings(scope="tenant", requests_per_minute=9)],
        tenants=[
            TenantSettings(name="acme", requests_per_minute=5),
            TenantSettings(name="*", requests_per_minute=3),
        ],
    )
    meters = book.rates(who(), NOW)
    assert sorted(meter.limit for meter in meters) == [5, 9]
    assert len({meter.id for meter in meters}) == 2


KEYS = {"k1": KeyLimit(500, "month"), "k2": KeyLimit(7, "total")}


def test_a_keys_own_limit_comes_last_and_is_its_calls_alone():
    book = BudgetBook([budget(name="first")], of_key=KEYS.get)
    first, own = book.budgets(who(), NOW)
    assert (first.name, own.name, own.limit, own.id) == (
        "first",
        "key limit/month",
        500,
        "key limit/month|key:k1|2026-11",
    )
    assert own == key_meter("k1", KEYS["k1"], NOW)
    assert len(book.budgets(who(key="k3"), NOW)) == len(book.budgets(who(key=""), NOW)) == 1
    # Whoever holds the key, in whatever run.
    assert book.budgets(who(run="r9", user="bob"), NOW)[1].id == own.id


def test_what_a_key_may_spend_ever_begins_anew_never():
    book = BudgetBook(of_key=KEYS.get)
    (meter,) = book.budgets(who(key="k2"), NOW)
    assert (meter.resets_at, meter.limit) == (None, 7)
    assert book.budgets(who(key="k2"), NOW + 1e9) == (meter,)


def test_a_budget_that_is_named_like_a_keys_limit_counts_for_itself():
    named = [budget("key", name=name) for name in ("key limit/month", "key limit/ours")]
    meters = BudgetBook(named, of_key=KEYS.get).budgets(who(), NOW)
    assert len({meter.id for meter in meters}) == 3
    assert [is_of_keys(meter.id) for meter in meters] == [False, False, True]


@pytest.mark.parametrize(
    ("usd", "window", "limit"),
    [("2.50", "day", KeyLimit(2_500_000_000, "day")), ("$0", "total", KeyLimit(0, "total"))],
)
def test_a_written_limit_is_read(usd, window, limit):
    assert key_limit(usd, window) == limit


def test_a_limit_is_told_short_and_exact():
    told = [str(KeyLimit(amount, "month")) for amount in (0, 1, 2_500_000_000, 10**13)]
    assert told == ["$0 a month", "$0.000000001 a month", "$2.5 a month", "$10000 a month"]
    assert str(KeyLimit(10**9, "total")) == "$1 in all"


def test_a_limit_of_a_later_version_lets_nothing_be_spent():
    assert stored_limit(500, "week") == KeyLimit(0, "total")
    assert stored_limit(None, "") is None


@pytest.mark.parametrize(
    "usd",
    ["", "-1", "much", "nan", "inf", "1e9", "1_0", "$ 5", "٣", "9000000000", "1" * 5000, "1.0000000001"],
)
def test_what_is_no_amount_is_told(usd):
    with pytest.raises(ConfigError, match="usd: a limit is USD as in 2.50"):
        key_limit(usd, "month")


def test_what_is_no_window_is_told():
    with pytest.raises(ConfigError, match="window: a limit's window is day, month, total, not 'run'"):
        key_limit("1", "run")
