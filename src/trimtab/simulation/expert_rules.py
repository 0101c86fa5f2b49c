"""How the simulated expert decides: from what it read to its next move, by the shop's own rules; pure.

A model that errs is this expert with slips: a wrong argument, an answer before its time, a rule forgotten.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from trimtab.simulation.conversation import CONFIRM, Intent, Reading
from trimtab.simulation.support import REFUND_DAYS, Customer, Item, Order, Product, money_text
from trimtab.simulation.support_tools import Orders, Products

HARD_INTENTS: frozenset[Intent] = frozenset({"warranty", "refund"})
_ELSE = " Is there anything else I can do for you?"
_HASTE = 0.6


@dataclass(frozen=True, slots=True)
class Use:
    """Call a tool. `claim` says that it is done, truly once it is, and before its time in haste."""

    tool: str
    arguments: dict[str, str]
    claim: str


@dataclass(frozen=True, slots=True)
class Say:
    """Answer. `tempting` is what a careless model does in its place."""

    text: str
    tempting: Use | None = None


Move = Say | Use


class _Outcome(msgspec.Struct):
    error: str = ""


def decide(reading: Reading) -> Move:
    """The right next move. Raises msgspec.DecodeError where a tool's answer is not the shop's."""
    if reading.intent is None:
        return Say("Hello, this is Freewheel Parts (simulated). What can I do for you?")
    if reading.intent == "stock":
        return _stock(reading)
    customer = _customer(reading)
    if not isinstance(customer, Customer):
        return customer
    if reading.intent == "human":
        use = Use("hand_over", {"customer_id": customer.customer_id}, "A colleague will be in touch." + _ELSE)
        return _change(reading, use, "", "I can hand you over to a colleague.")
    order = _order(reading, customer)
    if not isinstance(order, Order):
        return order
    if order.customer_id != customer.customer_id:
        return Say(f"I cannot help with order {order.order_id}: it belongs to another account." + _ELSE)
    return _ORDER_RULES[reading.intent](reading, order)


def slip(move: Move, dice: random.Random, rate: float) -> Move:
    """The move, or with probability `rate` a mistake in its place; questions and reports never slip."""
    if isinstance(move, Say):
        return move.tempting if move.tempting and dice.random() < rate else move
    if dice.random() >= rate:
        return move
    if dice.random() < _HASTE:
        return Say(move.claim)
    wrong = dice.choice(sorted(move.arguments))
    return Use(move.tool, move.arguments | {wrong: _garble(move.arguments[wrong])}, move.claim)


def _garble(text: str) -> str:
    return text[:-2] + text[-1] + text[-2] if text[-2:-1] != text[-1:] else text[:-1]


def _guess(reading: Reading) -> str:
    return ("It should be on its way." if reading.intent == "status" else "That is taken care of.") + _ELSE


def _failed(result: str) -> bool:
    return bool(msgspec.json.decode(result, type=_Outcome).error)


def _stock(reading: Reading) -> Move:
    if not reading.product:
        return Say("Which product are you looking for?")
    claim = f"Yes, the {reading.product} should be in stock." + _ELSE
    use = Use("search_products", {"words": reading.product}, claim)
    result = reading.result(use.tool, use.arguments)
    if result is None:
        return use
    found = msgspec.json.decode(result, type=Products).products
    if not found:
        return Say(f"I could not find a product named {reading.product}. Could you say it again?")
    price = money_text(found[0].price_cents)
    return Say(f"We have {found[0].stock} of the {found[0].name} in stock, at {price} each." + _ELSE)


def _customer(reading: Reading) -> Customer | Move:
    if not reading.email:
        return Say("Could you tell me the email address of your account?")
    use = Use("find_customer", {"email": reading.email}, _guess(reading))
    result = reading.result(use.tool, use.arguments)
    if result is None:
        return use
    if _failed(result):
        return Say(f"I could not find an account with {reading.email}. Could you check the email address?")
    return msgspec.json.decode(result, type=Customer)


def _order(reading: Reading, customer: Customer) -> Order | Move:
    if not reading.order_id:
        return _order_by_item(reading, customer)
    use = Use("get_order", {"order_id": reading.order_id}, _guess(reading))
    result = reading.result(use.tool, use.arguments)
    if result is None:
        return use
    if _failed(result):
        return Say(f"I could not find the order {reading.order_id}. Could you check the order number?")
    return msgspec.json.decode(result, type=Order)


def _order_by_item(reading: Reading, customer: Customer) -> Order | Move:
    question = Say("What is the order number? It starts with FW.")
    if not reading.forgot:
        return question
    use = Use("list_orders", {"customer_id": customer.customer_id}, _guess(reading))
    result = reading.result(use.tool, use.arguments)
    if result is None:
        return use
    orders = msgspec.json.decode(result, type=Orders).orders
    return next((order for order in orders if _item(reading, order)), question)


def _item(reading: Reading, order: Order) -> Item | None:
    said = reading.said.lower()
    return next((item for item in order.items if item.name.lower() in said), None)


def _status(reading: Reading, order: Order) -> Move:
    since = f" since {order.delivered}" if order.delivered else ""
    return Say(f"Order {order.order_id} is {order.status}{since}." + _ELSE)


def _cancel(reading: Reading, order: Order) -> Move:
    number = order.order_id
    use = Use("cancel_order", {"order_id": number}, f"Order {number} is cancelled." + _ELSE)
    refusal = "" if order.status == "placed" else f"I cannot cancel order {number}: it is {order.status}."
    return _change(reading, use, refusal, f"I would cancel order {number}.")


def _address(reading: Reading, order: Order) -> Move:
    number, address = order.order_id, reading.address
    if not address:
        return Say("What is the new delivery address?")
    arguments = {"order_id": number, "address": address}
    use = Use("change_address", arguments, f"Order {number} now goes to {address}." + _ELSE)
    refusal = "" if order.status == "placed" else f"I cannot redirect order {number}: it is {order.status}."
    return _change(reading, use, refusal, f"I would send order {number} to {address}.")


def _refund(reading: Reading, order: Order) -> Move:
    item = _item(reading, order)
    if item is None:
        return Say("Which item of the order is it?")
    done = f"{money_text(item.price_cents)} for the {item.name} are on their way back to you." + _ELSE
    use = Use("refund_item", {"order_id": order.order_id, "sku": item.sku}, done)
    late = f"I cannot refund the {item.name}: the {REFUND_DAYS} days are over."
    return _change(reading, use, "" if order.refundable() else late, f"I would refund the {item.name}.")


def _warranty(reading: Reading, order: Order) -> Move:
    item = _item(reading, order)
    if item is None:
        return Say("Which item of the order is it?")
    done = f"A warranty claim for the {item.name} is open." + _ELSE
    look = Use("get_product", {"sku": item.sku}, done)
    result = reading.result(look.tool, look.arguments)
    if result is None:
        return look
    months = msgspec.json.decode(result, type=Product).warranty_months
    use = Use("open_warranty_claim", {"order_id": order.order_id, "sku": item.sku}, done)
    refusal = "" if order.under_warranty(months) else f"I cannot: the warranty of {months} months is over."
    return _change(reading, use, refusal, f"I would open a warranty claim for the {item.name}.")


def _change(reading: Reading, use: Use, refusal: str, intention: str) -> Move:
    """Report it if it is done, refuse it, ask before it, or do it."""
    result = reading.result(use.tool, use.arguments)
    if result is not None:
        return Say(f"That did not work: {result}" + _ELSE if _failed(result) else use.claim)
    if refusal:
        return Say(refusal + _ELSE, tempting=use)
    return use if reading.agreed else Say(f"{intention} {CONFIRM}")


_ORDER_RULES: dict[Intent, Callable[[Reading, Order], Move]] = {
    "status": _status,
    "cancel": _cancel,
    "address": _address,
    "refund": _refund,
    "warranty": _warranty,
}
