"""Who is at work, who said so, and what was counted."""

import threading
from concurrent.futures import ThreadPoolExecutor

from trimtab.store import EventRow, StateRow, TallyRow, controllers, tallies


def row(version, state="enabled", kind="step"):
    return StateRow("support", kind, version, state, 1.0, "ada")


def versions(database):
    return {(each.kind, each.version): each.state for each in database.read(controllers.at_work)}


def put(database, *rows):
    for each in rows:
        database.transact(lambda c, each=each: controllers.set_to_work(c, each))


def test_one_version_of_a_kind_is_enabled_and_any_number_look_on(database):
    put(database, row("1"), row("2", "shadow"), row("3", "shadow"), row("9", kind="route"), row("2"))
    assert versions(database) == {
        ("step", "2"): "enabled",
        ("step", "3"): "shadow",
        ("route", "9"): "enabled",
    }


def test_who_was_displaced_is_told(database):
    def told(each):
        return database.transact(lambda c: controllers.set_to_work(c, each))

    assert [told(each) for each in (row("1"), row("2", "shadow"), row("9", kind="route"))] == ["", "", ""]
    assert [told(each) for each in (row("2"), row("2"), row("1", "shadow"), row("2", "shadow"))] == [
        "1",
        "",
        "",
        "",
    ]


def test_two_who_enable_at_the_same_time_leave_one_enabled(database):
    begun = threading.Barrier(4)

    def enable(version):
        begun.wait(10)
        for _ in range(10):
            database.transact(lambda c: controllers.set_to_work(c, row(version)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enable, "1234"))
    assert list(versions(database).values()) == ["enabled"]


def test_an_enabled_one_may_be_put_back_to_look_on(database):
    put(database, row("1"), row("1", "shadow"))
    assert versions(database) == {("step", "1"): "shadow"}


def test_one_or_all_are_laid_off(database):
    put(database, row("1"), row("2", "shadow"), row("9", kind="route"))
    assert database.transact(lambda c: controllers.lay_off(c, "support", "step", "2")) == ["2"]
    assert database.transact(lambda c: controllers.lay_off(c, "support", "step")) == ["1"]
    assert versions(database) == {("route", "9"): "enabled"}


def test_events_are_kept_in_order(database):
    for id, action in (("b", "disabled"), ("a", "enabled")):
        event = EventRow(id, 1.0, "ada", action, "support", "step", "1", forced=True, report="d", other="0")
        database.transact(lambda c, event=event: controllers.note(c, event))
    found = database.read(lambda c: controllers.events(c, "support", "step"))
    assert [(each.action, each.forced, each.other) for each in found] == [
        ("enabled", True, "0"),
        ("disabled", True, "0"),
    ]


def test_counts_add_up(database):
    one = TallyRow("support", "step", "1", "shadow", "get", 3, 2, 1, 2)
    for _ in range(3):
        database.transact(lambda c: tallies.add(c, [one]))
    (found,) = database.read(lambda c: tallies.of_kind(c, "support", "step", "1"))
    assert (found.decided, found.agreed, found.judged) == (6, 3, 6)
    database.transact(lambda c: tallies.forget(c, "support", "step", "1"))
    assert database.read(tallies.everything) == []
