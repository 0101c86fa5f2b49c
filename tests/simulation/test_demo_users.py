"""Scripted customers: one seed, one set of tasks; what they wish is understood; the check is strict."""

import pytest

from trimtab.simulation.conversation import intent_of
from trimtab.simulation.support import TENANTS, open_shop
from trimtab.simulation.support_tools import CancelOrder
from trimtab.simulation.users import ScriptedUser, judge, make_tasks, seed_of_strangers

TASKS = make_tasks(300, seed=5)


def test_the_same_seed_gives_the_same_tasks_and_another_does_not():
    assert make_tasks(300, seed=5) == TASKS
    assert make_tasks(300, seed=6) != TASKS
    assert open_shop(5).state() == open_shop(5).state()


def test_tasks_are_varied():
    assert {task.tenant for task in TASKS} == set(TENANTS)
    assert len({task.customer_id for task in TASKS}) == 12
    assert {task.goals[0].intent for task in TASKS} == {
        "status",
        "cancel",
        "address",
        "refund",
        "warranty",
        "stock",
        "human",
    }
    assert all(
        any(trait(task) for task in TASKS)
        for trait in (
            lambda task: task.wrong_order,
            lambda task: task.wrong_email,
            lambda task: task.forgets,
            lambda task: task.says_email,
            lambda task: len(task.goals) == 2,
            lambda task: not task.goals[0].allowed,
        )
    )


@pytest.mark.parametrize("task", TASKS[:60], ids=lambda task: str(task.number))
def test_each_wish_is_understood_from_its_words(task):
    assert intent_of(ScriptedUser(task).open()) == task.goals[0].intent


def test_a_user_corrects_a_wrong_number_and_then_keeps_to_it():
    task = next(task for task in TASKS if task.wrong_order and task.goals[0].intent == "status")
    user = ScriptedUser(task)
    assert task.wrong_order in str(user.answer("What is the order number?"))
    assert task.goals[0].order_id in str(user.answer("I could not find the order. Check the order number?"))
    assert task.goals[0].order_id in str(user.answer("What is the order number?"))


def test_a_user_loses_patience():
    user = ScriptedUser(TASKS[0])
    answers = [user.answer("What is the email address?") for _ in range(40)]
    assert answers[-1] is None


def test_only_the_right_change_passes():
    task = next(
        task
        for task in TASKS
        if task.goals[0].intent == "cancel" and len(task.changes) == 1 == len(task.goals)
    )
    untouched, right, too_much = open_shop(5), open_shop(5), open_shop(5)
    task.changes[0].apply(right)
    for order_id in list(too_much.orders)[:2]:
        CancelOrder(order_id).apply(too_much)
    assert judge(task, 5, untouched, ["It is cancelled."]).reward == 0.0
    assert judge(task, 5, too_much, ["It is cancelled."]).reward == 0.0
    assert judge(task, 5, right, ["It is cancelled."]).reward == 1.0


def test_an_answer_needs_its_facts():
    task = next(task for task in TASKS if task.goals[0].intent == "status" and len(task.goals) == 1)
    ((order_id, status),) = task.goals[0].facts
    assert judge(task, 5, open_shop(5), ["It should be on its way."]).reward == 0.0
    assert judge(task, 5, open_shop(5), [f"Order {order_id} is {status}."]).reward == 1.0


def test_strangers_share_no_account_and_no_order_with_those_who_were_there():
    for seed in range(8):
        other = seed_of_strangers(seed)
        here, there = make_tasks(100, seed), make_tasks(100, other)
        assert other > seed
        for name in ("customer_id", "email"):
            assert not {getattr(task, name) for task in here} & {getattr(task, name) for task in there}
        assert not open_shop(seed).orders.keys() & open_shop(other).orders.keys()
