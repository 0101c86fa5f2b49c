"""Calls that controllers answered or steered, and those nobody answered."""

from simulation.whatif.recorder import NOON, toml
from trimtab.core import Attribution, Call, CallRecord, ControllerDecision

ALLOWED = '[workflow.desk.routes]\nhard = ["large"]\neasy = ["small"]\n'
NONE = "[workflow.desk]\ncontrollers = []\n"


def said(kind, option):
    return ControllerDecision(f"desk/{kind}", "1", kind, option, 0.9, True, "i", "s")


def kept(recorder, id="d1", **more):
    """A call without a decision."""
    who = Attribution("acme", "r9", workflow="desk", step="plan")
    call = Call(id, NOON, "chat", "any", who, 4000, 500)
    recorder.keep(CallRecord(call, more.pop("status", "ok"), 0.1, **more))


def test_what_a_controller_answered_stays_where_its_kind_is_allowed(recorder):
    kept(recorder, answered_by="controller", controllers=(said("step", "call"),))
    assert recorder.under(toml()).moved == 0
    report = recorder.under(toml(more=NONE))
    assert [(move.before, move.after) for move in report.moves] == [("controller", "large at far")]
    assert report.total.unseen == 1


def test_a_persons_answer_stays(recorder):
    kept(recorder, answered_by="person", model="person")
    assert recorder.under(toml("small", more=NONE)).moved == 0


def test_a_recorded_label_steers_by_the_new_routes(recorder):
    kept(
        recorder,
        model="large",
        endpoint="far",
        controllers=(said("route", "easy"),),
        nanodollars=7,
    )
    assert [move.after for move in recorder.under(toml(more=ALLOWED)).moves] == ["small at near"]
    assert recorder.under(toml(more=NONE)).moved == 0


def test_refusals_that_have_other_reasons_stay(recorder):
    for number, (status, code) in enumerate((("refused", "gate_refused"), ("failed", "invalid_request"))):
        kept(recorder, f"d{number}", status=status, code=code, answered_by="none")
    report = recorder.under(toml("small"))
    assert (report.moved, report.total.refused_new, report.total.failed_new) == (0, 1, 1)


def test_a_recalled_reply_is_asked_for_where_nothing_is_recalled(recorder):
    kept(recorder, answered_by="recall", model="large")
    rule = '[[rule]]\nname = "again"\nwhen = "true"\nrecall_seconds = 60\n'
    assert recorder.under(toml(more=rule)).moved == 0
    assert recorder.under(toml()).moves[0].before == "recall"


def test_a_rate_refuses_and_lets_in(recorder):
    rate = '[[rate]]\nscope = "tenant"\nrequests_per_minute = 1\n'
    recorder.call(0.0, run="a")
    recorder.call(1.0, run="b")
    report = recorder.under(toml(more=rate))
    assert [move.after for move in report.moves] == ["refused: rate_limit_exceeded"]
    assert report.completions.low == 0
