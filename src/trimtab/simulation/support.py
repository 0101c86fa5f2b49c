"""A small bicycle-parts web shop of our own: customers, orders, stock, policy; made by code from a seed.

Demo runs each get a fresh shop; the tools that read and change it stand in `support_tools.py`.
"""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

import msgspec

TODAY = date(2026, 3, 2)
REFUND_DAYS = 30
DAYS_PER_MONTH = 30
TENANTS = ("acme", "globex")

POLICY = f"""You are the support desk of Freewheel Parts, a web shop for bicycle parts. Today is {TODAY}.

Before anything about an account, ask for the email address and find the customer with it.
Work on one order at a time; an order must belong to the customer you found.
- Cancel: only orders that are still `placed`. Orders that are packed or on their way cannot be cancelled.
- Address: may be changed only while the order is still `placed`.
- Refund: single items of delivered orders, within {REFUND_DAYS} days of delivery.
- Warranty: look up the product; a month counts {DAYS_PER_MONTH} days, from the day of delivery.
- Stock and prices may be told to anyone.
- Hand over to a person only where the customer asks for one.
Say what you are about to change and wait for a yes before you change it. Where the policy says no,
say that it cannot be done and why. Never promise what no tool has done.
"""

OrderStatus = Literal["placed", "shipped", "delivered", "cancelled"]

_PRODUCTS = (
    ("Kestrel brake pads", "BP-101", 1450, 6),
    ("Heron 11-speed chain", "CH-211", 2890, 12),
    ("Osprey floor pump", "PU-330", 4200, 24),
    ("Wren bar tape", "BT-415", 1690, 0),
    ("Plover bottle cage", "CG-502", 990, 12),
    ("Curlew saddle", "SD-618", 7400, 24),
    ("Merlin rear light", "LT-707", 3150, 18),
    ("Dunlin inner tube", "TB-811", 720, 0),
    ("Swift 11-34 cassette", "CS-934", 6480, 12),
    ("Teal flat pedals", "PD-045", 5300, 6),
)
_FIRST_NAMES = (
    "Mara",
    "Jon",
    "Ines",
    "Olek",
    "Priya",
    "Tomas",
    "Lena",
    "Kofi",
    "Ruth",
    "Sami",
    "Vera",
    "Hugo",
)
_LAST_NAMES = ("Adler", "Brook", "Castell", "Dorn", "Eklund", "Farr", "Gruber", "Hale", "Ibsen", "Jarvis")
_STREETS = ("Mill Lane", "Harbour Road", "Castle Street", "Station Road", "Orchard Way", "Bridge Street")
_TOWNS = ("Bath", "Leith", "Whitby", "Conwy", "Ely", "Truro")


class Product(msgspec.Struct, frozen=True):
    """A part on sale."""

    sku: str
    name: str
    price_cents: int
    stock: int
    warranty_months: int


class Customer(msgspec.Struct, frozen=True):
    """A customer; each belongs to one tenant's desk."""

    customer_id: str
    name: str
    email: str
    tenant: str


class Item(msgspec.Struct, frozen=True):
    """One item of an order."""

    sku: str
    name: str
    price_cents: int
    refunded: bool = False


class Order(msgspec.Struct, frozen=True):
    """An order; `delivered` is set once it has arrived."""

    order_id: str
    customer_id: str
    status: OrderStatus
    placed: date
    delivered: date | None
    address: str
    items: tuple[Item, ...]

    def item(self, sku: str) -> Item | None:
        """The item with that SKU."""
        return next((item for item in self.items if item.sku == sku), None)

    def refundable(self) -> bool:
        """Whether the policy allows refunds of its items today."""
        return self.delivered is not None and (TODAY - self.delivered).days <= REFUND_DAYS

    def under_warranty(self, months: int) -> bool:
        """Whether an item with a warranty of so many months is still covered today."""
        return self.delivered is not None and (TODAY - self.delivered).days <= months * DAYS_PER_MONTH


class Claim(msgspec.Struct, frozen=True, order=True):
    """An open warranty claim."""

    order_id: str
    sku: str


@dataclass(slots=True)
class Shop:
    """The whole database of one run; tools replace its frozen rows."""

    products: dict[str, Product]
    customers: dict[str, Customer]
    orders: dict[str, Order]
    claims: set[Claim] = field(default_factory=set)
    handed_over: set[str] = field(default_factory=set)

    def state(self) -> bytes:
        """Everything a tool can change, in a form that compares."""
        return msgspec.json.encode(
            (sorted(self.orders.items()), sorted(self.claims), sorted(self.handed_over))
        )


def open_shop(seed: int) -> Shop:
    """A fresh shop: the same seed gives the same shop. Every customer has an order for every situation."""
    dice = random.Random(f"shop-{seed}")
    products = {
        sku: Product(sku, name, cents, dice.randint(0, 40), months) for name, sku, cents, months in _PRODUCTS
    }
    customers: dict[str, Customer] = {}
    orders: dict[str, Order] = {}
    numbers = dice.sample(range(20000, 99999), 7 * len(_FIRST_NAMES))
    ids = random.Random(f"customers-{seed}").sample(range(1000, 99999), len(_FIRST_NAMES))
    for place, first in enumerate(_FIRST_NAMES):
        last = dice.choice(_LAST_NAMES)
        email = f"{first}.{last}@mail.example".lower()
        tenant = TENANTS[place % len(TENANTS)]
        customer = Customer(f"c-{ids[place]}", f"{first} {last}", email, tenant)
        customers[customer.customer_id] = customer
        for order in _orders_of(customer, dice, list(products.values()), numbers):
            orders[order.order_id] = order
    return Shop(products, customers, orders)


def _orders_of(
    customer: Customer, dice: random.Random, products: list[Product], numbers: list[int]
) -> list[Order]:
    situations: list[tuple[OrderStatus, int, int]] = [
        ("placed", 0, 2),
        ("placed", 0, 2),
        ("shipped", 2, 5),
        ("delivered", 3, 20),
        ("delivered", 5, 28),
        ("delivered", 60, 140),
        ("delivered", 400, 900),
    ]
    basket = dice.sample(products, len(situations))
    return [
        _order(customer, dice, status, dice.randint(low, high), numbers.pop(), (first, dice.choice(products)))
        for (status, low, high), first in zip(situations, basket, strict=True)
    ]


def _order(
    customer: Customer,
    dice: random.Random,
    status: OrderStatus,
    days_ago: int,
    number: int,
    products: tuple[Product, ...],
) -> Order:
    when = TODAY - timedelta(days=days_ago)
    delivered = when if status == "delivered" else None
    placed = when - timedelta(days=dice.randint(2, 6)) if delivered else when
    items = {part.sku: Item(part.sku, part.name, part.price_cents) for part in products}
    address = make_address(dice)
    return Order(
        f"FW-{number}", customer.customer_id, status, placed, delivered, address, tuple(items.values())
    )


def make_address(dice: random.Random) -> str:
    """An invented address."""
    return f"{dice.randint(1, 98)} {dice.choice(_STREETS)}, {dice.choice(_TOWNS)}"


def money_text(cents: int) -> str:
    """Cents as the shop writes prices: 1450 -> '14.50 EUR'."""
    return f"{cents // 100}.{cents % 100:02d} EUR"
