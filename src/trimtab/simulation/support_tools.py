"""The shop's tools: what an agent may read and change, with JSON schemas. The agent's side executes them.

A tool is one class: its fields are the arguments, its docstring is the description the model reads.
"""

from typing import ClassVar

import msgspec
from msgspec.structs import replace

from trimtab.simulation.support import Claim, Customer, Order, OrderStatus, Product, Shop


class Problem(msgspec.Struct, frozen=True):
    """What a tool answers where it cannot do its work."""

    error: str


class Orders(msgspec.Struct, frozen=True):
    """A customer's orders."""

    orders: tuple[Order, ...]


class Products(msgspec.Struct, frozen=True):
    """Products that match."""

    products: tuple[Product, ...]


class Done(msgspec.Struct, frozen=True):
    """What a tool answers where there is nothing to show."""

    done: str


Result = Problem | Orders | Products | Done | Customer | Order | Product


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call with its arguments."""

    name: ClassVar[str]
    writes: ClassVar[bool] = False

    def apply(self, shop: Shop) -> Result:
        """Reads or changes the shop."""
        raise NotImplementedError


class FindCustomer(Tool, frozen=True):
    """Find a customer by the email address of the account."""

    name = "find_customer"
    email: str

    def apply(self, shop: Shop) -> Result:
        found = (one for one in shop.customers.values() if one.email == self.email.lower())
        return next(found, Problem(f"no account with the email address {self.email}"))


class GetOrder(Tool, frozen=True):
    """Show one order by its number, such as FW-12345."""

    name = "get_order"
    order_id: str

    def apply(self, shop: Shop) -> Result:
        return shop.orders.get(self.order_id) or Problem(f"no order {self.order_id}")


class ListOrders(Tool, frozen=True):
    """List all orders of a customer."""

    name = "list_orders"
    customer_id: str

    def apply(self, shop: Shop) -> Result:
        if self.customer_id not in shop.customers:
            return Problem(f"no customer {self.customer_id}")
        return Orders(tuple(o for o in shop.orders.values() if o.customer_id == self.customer_id))


class GetProduct(Tool, frozen=True):
    """Show one product by its SKU: price, stock and months of warranty."""

    name = "get_product"
    sku: str

    def apply(self, shop: Shop) -> Result:
        return shop.products.get(self.sku) or Problem(f"no product {self.sku}")


class SearchProducts(Tool, frozen=True):
    """Search products by words of their name."""

    name = "search_products"
    words: str

    def apply(self, shop: Shop) -> Result:
        wanted = self.words.lower().split()
        matches = (p for p in shop.products.values() if all(word in p.name.lower() for word in wanted))
        return Products(tuple(matches))


class CancelOrder(Tool, frozen=True):
    """Cancel an order that has not been shipped."""

    name, writes = "cancel_order", True
    order_id: str

    def apply(self, shop: Shop) -> Result:
        order = shop.orders.get(self.order_id)
        if order is None:
            return Problem(f"no order {self.order_id}")
        return _with_status(shop, order, "cancelled")


class ChangeAddress(Tool, frozen=True):
    """Change the delivery address of an order."""

    name, writes = "change_address", True
    order_id: str
    address: str

    def apply(self, shop: Shop) -> Result:
        order = shop.orders.get(self.order_id)
        if order is None:
            return Problem(f"no order {self.order_id}")
        shop.orders[order.order_id] = replace(order, address=self.address)
        return shop.orders[order.order_id]


class RefundItem(Tool, frozen=True):
    """Refund one item of a delivered order."""

    name, writes = "refund_item", True
    order_id: str
    sku: str

    def apply(self, shop: Shop) -> Result:
        order = shop.orders.get(self.order_id)
        if order is None or order.item(self.sku) is None:
            return Problem(f"no item {self.sku} in order {self.order_id}")
        items = tuple(replace(item, refunded=item.refunded or item.sku == self.sku) for item in order.items)
        shop.orders[order.order_id] = replace(order, items=items)
        return shop.orders[order.order_id]


class OpenWarrantyClaim(Tool, frozen=True):
    """Open a warranty claim for a faulty item."""

    name, writes = "open_warranty_claim", True
    order_id: str
    sku: str

    def apply(self, shop: Shop) -> Result:
        order = shop.orders.get(self.order_id)
        if order is None or order.item(self.sku) is None:
            return Problem(f"no item {self.sku} in order {self.order_id}")
        shop.claims.add(Claim(self.order_id, self.sku))
        return Done(f"claim opened for {self.sku}")


class HandOver(Tool, frozen=True):
    """Hand the conversation over to a person."""

    name, writes = "hand_over", True
    customer_id: str

    def apply(self, shop: Shop) -> Result:
        if self.customer_id not in shop.customers:
            return Problem(f"no customer {self.customer_id}")
        shop.handed_over.add(self.customer_id)
        return Done("a colleague will write within the hour")


TOOLS: tuple[type[Tool], ...] = (
    FindCustomer,
    GetOrder,
    ListOrders,
    GetProduct,
    SearchProducts,
    CancelOrder,
    ChangeAddress,
    RefundItem,
    OpenWarrantyClaim,
    HandOver,
)
READ_ONLY: tuple[str, ...] = tuple(tool.name for tool in TOOLS if not tool.writes)


class ToolFunction(msgspec.Struct, frozen=True):
    """A function as OpenAI's shape declares it; `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class DeclaredTool(msgspec.Struct, frozen=True):
    """A tool as a request declares it."""

    function: ToolFunction
    type: str = "function"


def declare_tools() -> msgspec.Raw:
    """The request field `tools`: all tools of the shop, as JSON."""
    return msgspec.Raw(msgspec.json.encode([_declare(tool) for tool in TOOLS]))


def use_tool(shop: Shop, name: str, arguments: str) -> str:
    """Executes a tool call; always answers with JSON, with `{"error": ...}` where it cannot be done."""
    tool = next((each for each in TOOLS if each.name == name), None)
    if tool is None:
        return _text(Problem(f"no tool {name}"))
    try:
        return _text(msgspec.json.decode(arguments, type=tool).apply(shop))
    except msgspec.DecodeError as error:
        return _text(Problem(f"bad arguments for {name}: {error}"))


def _declare(tool: type[Tool]) -> DeclaredTool:
    schema = msgspec.json.schema(tool)["$defs"][tool.__name__]
    parameters = {"type": "object", "properties": schema["properties"], "required": schema["required"]}
    function = ToolFunction(tool.name, schema["description"], msgspec.Raw(msgspec.json.encode(parameters)))
    return DeclaredTool(function)


def _text(result: Result) -> str:
    return msgspec.json.encode(result).decode()


def _with_status(shop: Shop, order: Order, status: OrderStatus) -> Result:
    shop.orders[order.order_id] = replace(order, status=status)
    return shop.orders[order.order_id]
