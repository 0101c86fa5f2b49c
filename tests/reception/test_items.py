"""The store over a real socket, driven by LangGraph's own client."""

import pytest
from langgraph_sdk.errors import BadRequestError

from trimtab.reception import item_routes
from trimtab.workflows import Allowance, TenantStore

from .doors import open_doors


@pytest.fixture
def database(sqlite_database):
    return sqlite_database


@pytest.fixture
async def doors(database, clock):
    async with open_doors(
        database,
        clock,
        lambda desk: item_routes(
            desk, lambda tenant: TenantStore(database, tenant), lambda tenant: Allowance(9, 9, 9)
        ),
    ) as doors:
        yield doors


async def test_the_client_puts_reads_finds_and_deletes(doors):
    store = (await doors.client()).store
    for number in range(3):
        await store.put_item(["users", "ada"], f"k{number}", {"n": number}, index=False, ttl=60)
    item = await store.get_item(["users", "ada"], "k1", refresh_ttl=False)
    assert (item["namespace"], item["key"], item["value"]) == (["users", "ada"], "k1", {"n": 1})
    assert item["created_at"].endswith("+00:00")
    found = await store.search_items(["users"], filter={"n": {"$gte": 1}}, limit=1, offset=1)
    assert [each["key"] for each in found["items"]] == ["k1"]
    await store.delete_item(["users", "ada"], "k1")
    assert await store.get_item(["users", "ada"], "k1") is None
    assert await store.list_namespaces(prefix=["users"], max_depth=1) == {"namespaces": [["users"]]}
    assert await store.list_namespaces(suffix=["ada"]) == {"namespaces": [["users", "ada"]]}


async def test_what_is_wrong_is_told_with_its_field(doors):
    store = (await doors.client()).store
    for attempt, says in (
        (store.search_items(["users"], query="what she likes"), "needs an encoder"),
        (store.search_items(["users"], filter={"n": {"$near": 1}}), "no operator of a filter"),
        (store.search_items(["users.ada"]), "periods"),
        (store.search_items(["users"], limit=5_000), "<= 1000"),
        (store.put_item([], "k", {}), "at least one label"),
        (store.put_item(["langgraph"], "k", {}), "does not begin with"),
        (store.put_item(["users"], "", {}), "a key is a text"),
        (store.put_item(["users"], "k", [1]), "Expected `object`"),
        (store.get_item([], "k"), "empty"),
    ):
        with pytest.raises(BadRequestError, match=says):
            await attempt


async def test_a_tenant_over_http_and_its_graphs_share_a_store_and_no_other_tenant_does(doors, database):
    mine, theirs = [(await doors.client(tenant)).store for tenant in ("acme", "other")]
    await TenantStore(database, "acme").aput(("users", "ada"), "likes", {"food": "pizza"})
    assert (await mine.get_item(["users", "ada"], "likes"))["value"] == {"food": "pizza"}
    assert await theirs.get_item(["users", "ada"], "likes") is None
    assert await theirs.search_items([]) == {"items": []}
    assert await theirs.list_namespaces() == {"namespaces": []}
    await theirs.put_item(["users", "ada"], "likes", {"food": "none"})
    await theirs.delete_item(["users", "ada"], "likes")
    assert (await TenantStore(database, "acme").aget(("users", "ada"), "likes")).value == {"food": "pizza"}
