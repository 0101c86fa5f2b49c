"""Scripted customers: seeded tasks with varied wishes, words and memory, and the check of what a run did.

A user knows its own wish only and answers what it is asked; the check looks at the shop and at what was said.
"""

import random
import re

import msgspec

from trimtab.simulation.conversation import Intent
from trimtab.simulation.support import Customer, Order, OrderStatus, Shop, make_address, open_shop
from trimtab.simulation.support_tools import (
    CancelOrder,
    ChangeAddress,
    HandOver,
    OpenWarrantyClaim,
    RefundItem,
    Tool,
)

_PATIENCE = 12

_WISHES: dict[Intent, tuple[str, ...]] = {
    "status": (
        "Where is my order{number}?",
        "Could you check the status of my order{number}?",
        "When will my order{number} arrive?",
    ),
    "cancel": (
        "Please cancel my order{number}.",
        "I ordered by mistake, can I call off the order{number}?",
        "I need to cancel an order{number} before it leaves.",
    ),
    "address": (
        "I have moved. Please deliver it to {address}, it is my order{number}.",
        "The delivery address of my order{number} is wrong, it should be {address}.",
        "My new address is {address}. Can my order{number} go there?",
    ),
    "refund": (
        "I want my money back for the {item} from my order{number}.",
        "The {item} does not fit. Can I return it for a refund? It is from the order{number}.",
        "Could you refund the {item} of my order{number}?",
    ),
    "warranty": (
        "The {item} from my order{number} broke. Is there a warranty?",
        "My {item} cracked on the second ride, it came with the order{number}.",
        "The {item} is faulty. I'd like to make a warranty claim, it was in my order{number}.",
    ),
    "stock": (
        "Do you have the {item} in stock?",
        "Is the {item} available?",
        "I'm after the {item}. Do you sell that?",
    ),
    "human": (
        "I have a complaint and want to talk to a manager.",
        "Can I speak to a real person, please?",
    ),
}
_SITUATIONS: dict[Intent, tuple[OrderStatus, ...]] = {
    "status": ("placed", "shipped", "delivered"),
    "cancel": ("placed", "placed", "shipped"),
    "address": ("placed", "placed", "shipped"),
}
_GREETINGS = {
    "terse": ("",),
    "friendly": ("Hi there! ", "Good morning, hope you are well. ", "Hello! "),
    "worried": ("I'm getting a bit nervous. ", "Sorry to bother you, but this is urgent. "),
    "chatty": ("So I was fixing up my old tourer in the shed last night and thought of you. ",),
}
_MIX: dict[Intent, int] = {
    "status": 5,
    "refund": 5,
    "cancel": 3,
    "address": 3,
    "warranty": 3,
    "stock": 3,
    "human": 1,
}
_YES = ("Yes, please.", "Yes, that would be great.", "Sure, go ahead.", "Please do.")


class Goal(msgspec.Struct, frozen=True):
    """One wish: the words, the order it is about, what must be said (all of a group in one answer)."""

    intent: Intent
    allowed: bool
    words: str
    order_id: str = ""
    item: str = ""
    facts: tuple[tuple[str, ...], ...] = ()


class Task(msgspec.Struct, frozen=True):
    """One visit. `wrong_*` is what is said first by mistake; `forgets`: the number is not at hand."""

    number: int
    tenant: str
    customer_id: str
    email: str
    goals: tuple[Goal, ...]
    changes: tuple[Tool, ...]
    greeting: str
    agreement: str
    says_email: bool
    forgets: bool
    wrong_order: str
    wrong_email: str


class Judgement(msgspec.Struct, frozen=True):
    """Whether a run did its job: 1.0 or 0.0, and why."""

    reward: float
    reason: str


class ScriptedUser:
    """Plays one task: `open` it, then `answer` what the agent says until None."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._at = 0
        self._patience = _PATIENCE
        self._corrected: set[str] = set()

    def open(self) -> str:
        """The first message."""
        task = self._task
        tail = f" My email is {self._email()}." if task.says_email else ""
        return task.greeting + task.goals[0].words + tail

    def answer(self, said: str) -> str | None:
        """The user's next message; None where it leaves, content or out of patience."""
        goal = self._task.goals[self._at]
        self._patience -= 1
        if self._patience <= 0:
            return None
        if "could not find" in said:
            return self._correct(said, goal)
        if "email" in said:
            return f"It's {self._email()}."
        if "order number" in said:
            return self._number_or_item(goal)
        if "go ahead?" in said:
            return self._task.agreement
        if "?" in said and "anything else" not in said:
            return f"I mean the {goal.item}." if goal.item else goal.words
        return self._next_wish()

    def _correct(self, said: str, goal: Goal) -> str:
        if "product" in said:
            return f"Sorry, my mistake. It is the {goal.item}."
        self._corrected.add("email" if "email" in said else "order")
        return f"Sorry, my mistake. It is {self._email() if 'email' in said else goal.order_id}."

    def _email(self) -> str:
        wrong = self._task.wrong_email
        return wrong if wrong and "email" not in self._corrected else self._task.email

    def _number_or_item(self, goal: Goal) -> str:
        if self._task.forgets:
            return f"I don't have it here. It is the one with the {goal.item}."
        wrong = self._task.wrong_order
        return f"It is {wrong if wrong and 'order' not in self._corrected else goal.order_id}."

    def _next_wish(self) -> str | None:
        self._at += 1
        if self._at >= len(self._task.goals):
            return None
        return "Thanks! One more thing: " + self._task.goals[self._at].words


def make_tasks(count: int, seed: int) -> list[Task]:
    """`count` tasks for the customers of both tenants; the same seed gives the same tasks."""
    shop = open_shop(seed)
    return [_make_task(number, shop, random.Random(f"task-{seed}-{number}")) for number in range(count)]


def seed_of_strangers(seed: int) -> int:
    """The next seed whose customers and orders are all others: no id, email address or order number is the same."""
    known, other = _names(open_shop(seed)), seed + 1
    while known & _names(open_shop(other)):
        other += 1
    return other


def _names(shop: Shop) -> set[str]:
    return {name for one in shop.customers.values() for name in (one.customer_id, one.email)} | {*shop.orders}


def judge(task: Task, seed: int, shop: Shop, said: list[str]) -> Judgement:
    """Compares the shop with one where exactly the task's changes were made, and looks for the facts told."""
    wanted = open_shop(seed)
    for change in task.changes:
        change.apply(wanted)
    if shop.state() != wanted.state():
        return Judgement(0.0, "the shop is not as it should be")
    for goal in task.goals:
        for fact in goal.facts:
            if not any(all(_told(part, text) for part in fact) for text in said):
                return Judgement(0.0, f"never said: {' + '.join(fact)}")
    return Judgement(1.0, "shop and answers as they should be")


def _told(part: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(part)}(?![\w-])", text) is not None


def _make_task(number: int, shop: Shop, dice: random.Random) -> Task:
    customer = dice.choice(list(shop.customers.values()))
    first = dice.choices(list(_MIX), weights=list(_MIX.values()))[0]
    forgets = dice.random() < 0.15
    wrong = dice.random()
    names_order = not forgets and wrong >= 0.12 and dice.random() < 0.7
    goals = [_make_goal(first, customer, shop, dice, names_order)]
    if dice.random() < 0.3 and first != "human":
        later: Intent = dice.choice([each for each in ("status", "stock") if each != first])
        goals.append(_make_goal(later, customer, shop, dice, True))
    persona = dice.choice(sorted(_GREETINGS))
    return Task(
        number=number,
        tenant=customer.tenant,
        customer_id=customer.customer_id,
        email=customer.email,
        goals=tuple(goal for goal, _ in goals),
        changes=tuple(change for _, change in goals if change is not None),
        greeting=dice.choice(_GREETINGS[persona]),
        agreement=dice.choice(_YES),
        says_email=persona != "terse" and dice.random() < 0.5,
        forgets=forgets and _recognisable(goals[0][0], customer, shop),
        wrong_order=f"FW-{dice.randint(1000, 9999)}" if wrong < 0.12 else "",
        wrong_email=customer.email.replace("@mail", "@post") if 0.12 <= wrong < 0.2 else "",
    )


def _make_goal(
    intent: Intent, customer: Customer, shop: Shop, dice: random.Random, names_order: bool
) -> tuple[Goal, Tool | None]:
    words = dice.choice(_WISHES[intent])
    if intent == "stock":
        product = dice.choice(list(shop.products.values()))
        facts = ((str(product.stock), product.name),)
        return Goal(intent, True, words.format(item=product.name), item=product.name, facts=facts), None
    if intent == "human":
        return Goal(intent, True, words), HandOver(customer.customer_id)
    own = _orders_of(customer, shop)
    status = dice.choice(_SITUATIONS.get(intent, ("delivered",)))
    order = dice.choice([each for each in own if each.status == status])
    item = next((each for each in order.items if _only_in(order, own, each.name)), order.items[0])
    address = make_address(dice)
    allowed, change = _right_change(intent, order, item.sku, address, shop)
    number = f" {order.order_id}" if names_order else ""
    said = words.format(number=number, item=item.name, address=address)
    told: tuple[tuple[str, ...], ...] = ((order.order_id, order.status),) if intent == "status" else ()
    goal = Goal(intent, allowed, said, order.order_id, item.name, told if allowed else (("cannot",),))
    return goal, change


def _recognisable(goal: Goal, customer: Customer, shop: Shop) -> bool:
    order = shop.orders.get(goal.order_id)
    return order is not None and _only_in(order, _orders_of(customer, shop), goal.item)


def _orders_of(customer: Customer, shop: Shop) -> list[Order]:
    return [order for order in shop.orders.values() if order.customer_id == customer.customer_id]


def _only_in(order: Order, orders: list[Order], name: str) -> bool:
    return all(each is order or all(item.name != name for item in each.items) for each in orders)


def _right_change(
    intent: Intent, order: Order, sku: str, address: str, shop: Shop
) -> tuple[bool, Tool | None]:
    """Whether the policy allows the wish, and the one change that grants it."""
    number = order.order_id
    months = shop.products[sku].warranty_months
    rules: dict[Intent, tuple[bool, Tool | None]] = {
        "status": (True, None),
        "cancel": (order.status == "placed", CancelOrder(number)),
        "address": (order.status == "placed", ChangeAddress(number, address)),
        "refund": (order.refundable(), RefundItem(number, sku)),
        "warranty": (order.under_warranty(months), OpenWarrantyClaim(number, sku)),
    }
    allowed, change = rules[intent]
    return allowed, change if allowed else None
