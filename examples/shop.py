"""The shop behind the examples: the demo's invented customers and orders, and a file of all that was changed.

Simulated: no money moves. A change is made under a key; made again under the same key, it changes nothing and answers
what it answered then. That is what an idempotency key is for.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trimtab.simulation.support import POLICY, Item, Shop, open_shop
from trimtab.simulation.support_tools import READ_ONLY, declare_tools, use_tool

__all__ = ["POLICY", "find_item", "payments", "refund", "tools", "use"]

_SEED = 7
_TABLES = """
CREATE TABLE IF NOT EXISTS change (key TEXT PRIMARY KEY, tool TEXT, arguments TEXT, cents INTEGER, answer TEXT)
"""


def tools() -> list[dict[str, Any]]:
    """The shop's tools as OpenAI's shape declares them."""
    declared: list[dict[str, Any]] = json.loads(bytes(declare_tools()))
    return declared


def use(tool: str, arguments: dict[str, Any], key: str) -> str:
    """What a tool answers, as JSON; one that changes something does so once for a key."""
    text = json.dumps(arguments)
    with _file() as file:
        if tool in READ_ONLY:
            return use_tool(_shop(file), tool, text)
        return _once(file, key, tool, text, 0, lambda shop: use_tool(shop, tool, text))


def find_item(order_id: str, sku: str) -> Item | None:
    """An item of an order as it stands now."""
    with _file() as file:
        order = _shop(file).orders.get(order_id)
    return None if order is None else order.item(sku)


def refund(order_id: str, sku: str, cents: int, key: str) -> str:
    """Pay so much back for an item, once for a key and once for an item; `{"error": ...}` where it cannot be."""
    arguments = json.dumps({"order_id": order_id, "sku": sku})

    def pay(shop: Shop) -> str:
        order = shop.orders.get(order_id)
        item = None if order is None else order.item(sku)
        if order is None or item is None or not order.refundable() or not 0 < cents <= item.price_cents:
            return json.dumps({"error": f"the policy allows no such refund in order {order_id}"})
        if item.refunded:
            return json.dumps({"error": f"the {item.name} was refunded before"})
        return use_tool(shop, "refund_item", arguments)

    with _file() as file:
        return _once(file, key, "refund_item", arguments, cents, pay)


def payments() -> list[tuple[str, int]]:
    """Every refund that was paid: its key and its cents."""
    with _file() as file:
        paid = "SELECT key, cents FROM change WHERE tool = 'refund_item' AND answer NOT LIKE '{\"error\"%'"
        return [(key, cents) for key, cents in file.execute(paid + " ORDER BY rowid")]


@contextmanager
def _file() -> Iterator[sqlite3.Connection]:
    """The file, in one transaction at a time. `SHOP_FILE` puts it elsewhere."""
    path = Path(os.environ.get("SHOP_FILE", "trimtab-data/examples/shop.sqlite"))
    path.parent.mkdir(parents=True, exist_ok=True)
    file = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        file.execute(_TABLES)
        file.execute("BEGIN IMMEDIATE")
        yield file
        file.execute("COMMIT")
    finally:
        file.close()


def _shop(file: sqlite3.Connection) -> Shop:
    """The shop with all that was changed."""
    shop = open_shop(_SEED)
    made = "SELECT tool, arguments FROM change WHERE answer NOT LIKE '{\"error\"%' ORDER BY rowid"
    for tool, arguments in file.execute(made):
        use_tool(shop, tool, arguments)
    return shop


def _once(
    file: sqlite3.Connection, key: str, tool: str, arguments: str, cents: int, change: Callable[[Shop], str]
) -> str:
    known = file.execute("SELECT answer FROM change WHERE key = ?", (key,)).fetchone()
    if known is not None:
        return str(known[0])
    answer = change(_shop(file))
    file.execute("INSERT INTO change VALUES (?, ?, ?, ?, ?)", (key, tool, arguments, cents, answer))
    return answer
