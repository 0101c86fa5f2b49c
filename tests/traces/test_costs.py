"""What the ledger's sums say, on both databases."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.core import Usage
from trimtab.store import Selection
from trimtab.traces import completion_report, cost_report

from .made import START, call, entry, keep, outcome, paid

EVERYTHING = Selection()
BIG = 2**53 + 1


def test_costs_are_summed_by_the_fields_asked_for_dearest_first(either):
    keep(
        either,
        entry("e1", 5, workflow="support", step="plan", usage=Usage(10, 2, 4)),
        entry("e2", 7, workflow="support", step="answer", usage=Usage(100, 20)),
        entry("e3", 11, workflow="support", step="plan"),
        entry("e4", 1, workflow="sales", step="plan"),
    )
    report = cost_report(either, ("workflow", "step"), EVERYTHING)
    assert [(row.fields, row.nanodollars) for row in report.rows] == [
        (("support", "plan"), 16),
        (("support", "answer"), 7),
        (("sales", "plan"), 1),
    ]
    assert (report.total.entries, report.total.nanodollars) == (4, 24)
    total = report.total
    assert (total.input_tokens, total.cached_tokens, total.output_tokens) == (110, 4, 22)


def test_sums_are_exact_beyond_what_a_float_can_hold(either):
    keep(either, entry("e1", BIG), entry("e2", BIG), entry("e3", 1))
    assert cost_report(either, (), EVERYTHING).total.nanodollars == 2 * BIG + 1
    assert isinstance(cost_report(either, (), EVERYTHING).total.nanodollars, int)


def test_guessed_unpriced_and_upstream_money_stands_apart(either):
    keep(
        either,
        entry("e1", 100),
        entry("e2", 20, certainty="estimated"),
        entry("e3", 3, certainty="worst_case"),
        entry("e4", 0, certainty="unpriced"),
        entry("e5", 0, certainty="upstream", upstream_nanodollars=5000),
    )
    total = cost_report(either, (), EVERYTHING).total
    assert (total.nanodollars, total.estimated_nanodollars) == (123, 23)
    assert (total.unpriced, total.upstream_nanodollars) == (1, 5000)


def test_calls_and_runs_are_counted_once_and_runs_of_two_tenants_are_two(either):
    keep(
        either,
        entry("e1", 1, call="c1"),
        entry("e2", 1, call="c1"),
        entry("e3", 1, call="c2", tenant="other"),
        entry("e4", 1, call="", kind="tool"),
    )
    total = cost_report(either, (), EVERYTHING).total
    assert (total.calls, total.runs, total.entries) == (2, 2, 4)


def test_the_begin_of_a_time_is_within_it_and_the_end_is_not(either):
    keep(either, entry("e1", 1, at=0), entry("e2", 10, at=5), entry("e3", 100, at=10))
    report = cost_report(either, (), Selection(since=START, until=START + 10))
    assert report.total.nanodollars == 11


def test_days_begin_at_midnight_in_utc_and_come_in_order(either):
    midnight = 1_760_054_400 - START
    keep(
        either,
        entry("e1", 1, at=midnight - 0.001),
        entry("e2", 2, at=midnight),
        entry("e3", 4, at=midnight + 86399),
    )
    report = cost_report(either, ("day", "model"), EVERYTHING)
    assert [(row.fields, row.nanodollars) for row in report.rows] == [
        (("2025-10-09", "m"), 1),
        (("2025-10-10", "m"), 6),
    ]


def test_a_report_can_be_narrowed_to_a_tenant_user_workflow_and_run(either):
    keep(
        either,
        entry("e1", 1),
        entry("e2", 2, tenant="other"),
        entry("e3", 4, user="ann"),
        entry("e4", 8, workflow="w"),
        entry("e5", 16, run="r2"),
    )
    for selection, expected in (
        (Selection(tenant="other"), 2),
        (Selection(user="ann"), 4),
        (Selection(workflow="w"), 8),
        (Selection(run="r2"), 16),
        (Selection(tenant="acme", run="r1"), 13),
    ):
        assert cost_report(either, (), selection).total.nanodollars == expected


def test_an_empty_ledger_costs_nothing(either):
    report = cost_report(either, ("workflow",), EVERYTHING)
    assert report.rows == ()
    assert (report.total.nanodollars, report.total.runs) == (0, 0)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 2**60)),
        min_size=1,
        max_size=8,
    )
)
def test_rows_add_up_to_the_total_whatever_is_asked_for(databases, lines):
    database = databases(f"d{len(list(lines))}-{abs(hash(tuple(lines)))}")
    keep(database, *[entry(f"e{i}", n, workflow=w, step=s) for i, (w, s, n) in enumerate(lines)])
    for by in ((), ("workflow",), ("step",), ("step", "workflow")):
        report = cost_report(database, by, EVERYTHING)
        assert (
            sum(row.nanodollars for row in report.rows)
            == report.total.nanodollars
            == sum(n for *_, n in lines)
        )
        assert sum(row.entries for row in report.rows) == len(lines)


def finished(database, name, nanodollars, reward=None, **more):
    record = call(f"c-{name}", run=name, **more)
    told = [] if reward is None else [outcome(reward, run=name)]
    keep(database, record, paid(record, nanodollars), *told)


def test_completed_runs_pay_for_those_that_failed_and_unknown_ones_stand_apart(either):
    finished(either, "good", 100, 1.0, workflow="w")
    finished(either, "bad", 51, 0.0, workflow="w")
    finished(either, "good2", 100, 1.0, workflow="w")
    finished(either, "who-knows", 1000, workflow="w")
    total = completion_report(either, ("workflow",), EVERYTHING, {}).total
    assert (total.runs, total.known, total.completed, total.unknown) == (4, 3, 2, 1)
    assert (total.nanodollars, total.unknown_nanodollars) == (251, 1000)
    assert total.nanodollars_per_completed == 126


def test_a_workflow_says_itself_what_completed_means(either):
    finished(either, "a", 10, 0.6, workflow="lenient")
    finished(either, "b", 10, 0.6, workflow="strict")
    rows = completion_report(either, ("workflow",), EVERYTHING, {"lenient": 0.5}).rows
    assert {row.fields: row.completed for row in rows} == {("lenient",): 1, ("strict",): 0}
    assert {row.fields: row.nanodollars_per_completed for row in rows} == {
        ("lenient",): 10,
        ("strict",): None,
    }


def test_a_run_costs_all_it_ever_cost_whenever_that_was_entered(either):
    finished(either, "r", 10, 1.0)
    keep(either, entry("late", 5, at=99_999, run="r", kind="tool"))
    selection = Selection(since=START, until=START + 100)
    assert completion_report(either, (), selection, {}).total.nanodollars == 15


def test_runs_whose_cost_is_partly_unknown_are_counted(either):
    finished(either, "r", 10, 1.0)
    keep(either, entry("free?", 0, run="r", certainty="unpriced"))
    total = completion_report(either, ("day",), EVERYTHING, {}).total
    assert (total.unpriced, total.nanodollars_per_completed) == (1, 10)


def test_no_runs_make_an_empty_report(either):
    report = completion_report(either, ("workflow", "agent"), EVERYTHING, {})
    assert (report.rows, report.total.nanodollars_per_completed) == ((), None)


def test_a_report_keeps_no_writer_waiting_and_sees_one_moment(either):
    keep(either, entry("e1", 1))
    count = "SELECT count(*) FROM entry"

    def read(connection):
        before = connection.exec_driver_sql(count).scalar()
        keep(either, entry("e2", 2))
        return before, connection.exec_driver_sql(count).scalar()

    assert either.read(read) == (1, 1)
    assert cost_report(either, (), EVERYTHING).total.nanodollars == 3
