"""The pages of controllers: what is there, how it does, what can be done with it."""

import re

import pytest

from console.visiting import page, words
from controllers.tiny import pack
from gateway.served import endpoint
from trimtab.console.levels import level_lines
from trimtab.controllers import Manifest, Registry, Report
from trimtab.store import TallyRow, controllers, tallies

RULES = [{"when": "order", "calls": [["get_order", {"id": "W1"}]]}]
ONE = "/console/controller?workflow=support&kind=step&version="


@pytest.fixture
async def served(serve, upstream, tmp_path):
    """A house with two versions of one controller."""
    served = await serve(endpoint(upstream))
    served.registry = Registry(tmp_path / "house" / "controllers")
    for version in ("1", "2"):
        pack(served.registry, tmp_path / "made", RULES, version=version)
    return served


def states(served):
    found = served.house.database.transact(controllers.at_work)
    return {row.version: (row.state, row.by) for row in found}


async def act(guest, verb, version, **more):
    form = {"workflow": "support", "kind": "step", "version": version} | more
    return await guest.act(f"/console/controller/{verb}", form)


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_controllers_are_for_admins(served, guests, role):
    guest = await guests(served, role)
    assert (await guest.get("/console/controllers")).status == 403
    assert (await guest.get(f"{ONE}1")).status == 403
    for verb in ("shadow", "enable", "disable"):
        assert (await act(guest, verb, "1")).status == 403
    assert states(served) == {}


async def test_a_form_without_its_token_does_nothing(served, guests):
    guest = await guests(served, "admin")
    form = {"workflow": "support", "kind": "step", "version": "1"}
    for verb in ("shadow", "enable", "disable"):
        assert (await guest.send(f"/console/controller/{verb}", form)).status == 403
    assert states(served) == {}


async def test_versions_are_put_to_work_and_taken_off_as_the_command_does(served, guests):
    guest = await guests(served, "admin")
    answer = await act(guest, "enable", "1")
    assert (answer.status, answer.headers["location"]) == (303, f"{ONE}1")
    await act(guest, "shadow", "2")
    assert states(served) == {"1": ("enabled", "ada"), "2": ("shadow", "ada")}
    await act(guest, "enable", "2")
    assert states(served) == {"2": ("enabled", "ada")}
    shown = words(await guest.get(f"{ONE}1"))
    assert "displaced by ada" in shown
    assert "2 took its place" in shown
    await act(guest, "disable", "2")
    assert states(served) == {}
    again = await act(guest, "disable", "2")
    assert (again.status, "is not at work" in words(again)) == (409, True)
    told = words(await guest.get(f"{ONE}2"))
    for act_ in ("shadowed", "enabled", "disabled"):
        assert f"{act_} by ada" in told


@pytest.mark.parametrize("report", [None, Report(False, "d1", misses=("precision 0.91 of 0.98",))])
async def test_enabling_without_a_passed_evaluation_is_said_and_recorded(served, guests, tmp_path, report):
    pack(served.registry, tmp_path / "made", RULES, version="3", report=report)
    guest = await guests(served, "admin")
    answer = await act(guest, "enable", "3")
    assert (answer.status, "no evaluation that was passed" in words(answer)) == (400, True)
    assert states(served) == {}
    assert "without a passed evaluation" in words(await guest.get(f"{ONE}3"))
    await act(guest, "enable", "3", force="1")
    assert states(served) == {"3": ("enabled", "ada")}
    assert ", forced" in words(await guest.get(f"{ONE}3"))


async def test_a_passed_one_is_enabled_unforced(served, guests):
    guest = await guests(served, "admin")
    await act(guest, "enable", "1", force="1")
    (event,) = served.house.database.transact(lambda c: controllers.events(c, "support", "step"))
    assert (event.forced, event.report) == (False, "abc123")


async def test_a_damaged_package_says_its_fault_and_is_not_put_to_work(served, guests):
    guest = await guests(served, "admin")
    home = served.registry.folder("support", "step", "1")
    rules = (home / "rules.json").read_text()
    (home / "rules.json").write_text(rules.replace("W1", "W2"))  # as long as before
    assert "rules.json" in words(await guest.get(f"{ONE}1"))
    answer = await act(guest, "enable", "1")
    assert (answer.status, "rules.json" in words(answer)) == (409, True)
    assert states(served) == {}
    (served.registry.folder("support", "step", "2") / "rules.json").unlink()
    listed = words(await guest.get("/console/controllers"))
    assert "damaged" in listed
    assert "the file is missing" in listed
    (served.registry.folder("support", "step", "2") / "manifest.json").write_text("{}")
    assert "its hash differs" in words(await guest.get("/console/controllers"))
    assert (await guest.get(f"{ONE}2")).status == 200


async def test_what_is_at_work_and_gone_is_shown_and_can_be_disabled(served, guests):
    guest = await guests(served, "admin")
    await act(guest, "enable", "1")
    served.registry.delete("support", "step", "1")
    assert "its folder is missing" in words(await guest.get("/console/controllers"))
    assert (await guest.get(f"{ONE}1")).status == 200
    await act(guest, "disable", "1")
    assert states(served) == {}


async def test_agreement_and_confidence_are_shown_from_the_counts(served, guests):
    counts = [("*", -1, 50, 0, 0), ("*", 10, 150, 90, 100), ("get_order", 10, 150, 40, 50)]
    rows = [TallyRow("support", "step", "1", "shadow", *each) for each in counts]
    other = TallyRow("support", "step", "2", "shadow", "*", 10, 7, 7, 7)
    served.house.database.transact(lambda c: tallies.add(c, [*rows, other]))
    answer = await (await guests(served)).get(f"{ONE}1")
    told = words(answer)
    assert "200 decisions, 100 judged, 90.0 % agreed" in told
    bins = {row.split()[0]: row for row in told.split("Beside the model")[1].splitlines() if row.split()}
    assert "75.0 %" in bins["0.99"]
    assert "25.0 %" in bins["abstained"]
    assert "80.0 %" in told.split("get_order")[1]
    assert '<rect class="fill1" width="75.00"' in page(answer)
    listed = words(await (await guests(served)).get("/console/controllers"))
    assert "90.0 %" in listed


async def test_why_it_would_never_answer_is_said(serve, upstream, guests, tmp_path):
    served = await serve(endpoint(upstream) + "[workflow.support]\ncontrollers = []\n")
    pack(Registry(tmp_path / "house" / "controllers"), tmp_path / "made", RULES)
    guest = await guests(served)
    for path in ("/console/controllers", f"{ONE}1"):
        assert "the settings keep step controllers out" in words(await guest.get(path))


@pytest.mark.parametrize(
    "spot", ["workflow=support&kind=step&version=9", "workflow=..&kind=..&version=..", "workflow=support&kind=step",
             "workflow=support&kind=../../made&version=x", ""],
)  # fmt: skip
async def test_what_is_not_there_is_not_found_whatever_path_it_names(served, guests, spot):
    answer = await (await guests(served)).get(f"/console/controller?{spot}")
    assert answer.status in (400, 404)


async def test_what_a_package_says_is_inert(served, guests, tmp_path):
    evil = "<script>alert(1)</script>"
    report = Report(False, evil, evil, {evil: 0.5}, (evil,))
    pack(
        served.registry, tmp_path / "made", RULES, "classify", evil, "1", report=report, teacher=(evil,),
        labels=(evil,), levels=(evil,), thresholds={evil: 0.5}, packages={evil: evil}, base_model=evil, licence=evil,
        metrics={evil: 1.0},
    )  # fmt: skip
    tally = TallyRow(evil, "classify", "1", "served", evil, 3, 1, 1, 1)
    served.house.database.transact(lambda c: tallies.add(c, [tally]))
    guest = await guests(served)
    listed = page(await guest.get("/console/controllers"))
    assert evil not in listed
    path = re.search(r'href="([^"]+script[^"]+)"', listed).group(1).replace("&amp;", "&")
    shown = await guest.get(path)
    assert (shown.status, evil in page(shown)) == (200, False)
    assert evil in words(shown)


async def test_where_nothing_was_learned_the_page_says_how(house, guests):
    assert "trimtab learn" in words(await (await guests(house)).get("/console/controllers"))


def test_levels_are_read_from_what_packages_say():
    step = Manifest(
        kind="step", workflow="w", version="1", created=0.0, levels=("trees",), thresholds={"eager": 0.92},
        report=Report(True, "d", metrics={"eager_saved": 0.17, "eager_precision": 0.97, "exact_saved": 0.02}),
    )  # fmt: skip
    assert [(line.name, line.threshold, line.answered) for line in level_lines(step)] == [
        ("eager", 0.92, 0.17), ("exact", None, 0.02),
    ]  # fmt: skip
    metrics = {"answered": 0.9, "precision": 0.98, "accuracy of linear": 0.8, "accuracy of int8-mixed": 0.9}
    text = Manifest(
        kind="classify", workflow="w", version="1", created=0.0, levels=("linear", "int8-mixed"),
        report=Report(True, "d", metrics=metrics | {"int8:mixed: milliseconds": 4.0}),
    )  # fmt: skip
    linear, encoder, whole = level_lines(text)
    assert (linear.accuracy, encoder.accuracy, encoder.milliseconds) == (0.8, 0.9, 4.0)
    assert (whole.name, whole.answered, whole.precision) == ("all levels", 0.9, 0.98)
