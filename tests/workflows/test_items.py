"""The store as graphs have it: LangGraph's own interface, one tenant's items, over both databases."""

import asyncio

import pytest
from langgraph.graph import MessagesState, StateGraph
from langgraph.store.base import BaseStore, GetOp, InvalidNamespaceError, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore
from sqlalchemy import func, select, update

from trimtab.core.errors import BadRequest, StoreUnavailable
from trimtab.store.workflow_schema import item
from trimtab.workflows import TenantStore
from trimtab.workflows.items import sweep_items
from trimtab.workflows.transports import BlockedLoop

ADA = ("users", "ada")
WORDS = ("cat", "dog", "car")


def embed(texts):
    """How often each of a few words is in a text."""
    return [[float(text.count(word)) for word in WORDS] for text in texts]


@pytest.fixture
def store(database):
    return TenantStore(database, "acme")


@pytest.fixture
def other(database):
    return TenantStore(database, "other")


async def put_all(store):
    for number, (space, value) in enumerate(
        [
            (ADA, {"n": 1, "tag": "a", "deep": {"x": [1, 2]}}),
            (ADA, {"n": 2.5, "tag": "b"}),
            (("users", "bob"), {"n": True, "tag": "a"}),
            (("docs",), {"tag": None}),
        ]
    ):
        await store.aput(space, f"k{number}", value)


async def keys(store, prefix=(), **asked):
    return sorted(each.key for each in await store.asearch(prefix, **asked))


async def test_an_item_is_put_read_changed_and_deleted(store):
    await store.aput(ADA, "likes", {"food": "pizza"})
    first = await store.aget(ADA, "likes")
    assert (first.value, first.key, first.namespace) == ({"food": "pizza"}, "likes", ADA)
    await store.aput(ADA, "likes", {"food": "soup"})
    second = await store.aget(ADA, "likes")
    assert (second.value, second.created_at) == ({"food": "soup"}, first.created_at)
    assert second.updated_at >= first.updated_at
    await store.adelete(ADA, "likes")
    assert await store.aget(ADA, "likes") is None


async def test_a_filter_compares_values(store):
    await put_all(store)
    for asked, found in (
        ({"tag": "a"}, ["k0", "k2"]),
        ({"n": {"$gt": 1}}, ["k1"]),
        ({"n": {"$gte": 1, "$lt": 2.5}}, ["k0"]),
        ({"n": {"$lte": 2.5}}, ["k0", "k1"]),
        ({"n": {"$eq": 1}}, ["k0"]),
        ({"tag": {"$ne": "a"}}, ["k1", "k3"]),
        ({"tag": {"$gt": "a"}}, ["k1"]),
        ({"tag": None}, ["k3"]),
        ({"deep": {"x": [1, 2]}}, ["k0"]),
        ({"n": True}, ["k2"]),
        ({}, ["k0", "k1", "k2", "k3"]),
    ):
        assert await keys(store, filter=asked) == found, asked


async def test_a_search_is_by_prefix_and_in_pages(store):
    await put_all(store)
    assert await keys(store, ("users",)) == ["k0", "k1", "k2"]
    assert await keys(store, ("user",)) == []
    for asked in ({}, {"filter": {"tag": {"$ne": "none"}}}):
        pages = [await keys(store, ("users",), limit=2, offset=offset, **asked) for offset in (0, 2, 4)]
        assert sorted(pages[0] + pages[1]) == ["k0", "k1", "k2"]
        assert (len(pages[0]), pages[2]) == (2, [])


async def test_namespaces_are_listed_as_langgraphs_own_store_lists_them(store):
    own = InMemoryStore()
    spaces = [("a", "b", "c"), ("a", "b", "d"), ("a", "x"), ("b", "c"), ("a", "b", "c", "e")]
    for each in (store, own):
        for space in spaces:
            await each.aput(space, "k", {})
    for asked in (
        {},
        {"prefix": ("a", "b")},
        {"prefix": ("a", "*", "c")},
        {"suffix": ("c",)},
        {"suffix": ("*", "c")},
        {"prefix": ("a",), "suffix": ("d",)},
        {"max_depth": 2},
        {"max_depth": 2, "limit": 1, "offset": 1},
        {"prefix": ("*",), "limit": 2},
    ):
        assert await store.alist_namespaces(**asked) == await own.alist_namespaces(**asked), asked


async def test_a_batch_reads_what_was_there_before_it_writes_and_the_last_of_two_puts_counts(store):
    await store.aput(ADA, "k", {"n": 1})
    read, _, _, found = await store.abatch(
        [
            GetOp(ADA, "k"),
            PutOp(ADA, "k", {"n": 2}),
            PutOp(ADA, "k", {"n": 3}),
            SearchOp(("users",)),
        ]
    )
    assert (read.value, [each.value for each in found]) == ({"n": 1}, [{"n": 1}])
    assert (await store.aget(ADA, "k")).value == {"n": 3}


async def test_a_namespace_that_could_be_taken_for_another_is_refused(store):
    for space in (("users.ada",), ("users", ""), ("users", "a\0"), (), ("langgraph", "x")):
        for value in ({}, None):
            with pytest.raises(InvalidNamespaceError):
                await store.abatch([PutOp(space, "k", value)])


async def test_what_cannot_be_kept_or_asked_is_refused_with_its_field(store):
    for op, field in (
        (PutOp(ADA, "", {}), "key"),
        (PutOp(ADA, "a\0b", {}), "key"),
        (PutOp(ADA, "k", {"x": object()}), "value"),
        (PutOp(ADA, "k", {}, ttl=0), "ttl"),
        (SearchOp(ADA, filter={"n": {"$near": 1}}), "filter"),
        (SearchOp(ADA, limit=-1), "limit"),
        (SearchOp(ADA, query="cats"), "query"),
    ):
        with pytest.raises(BadRequest) as refused:
            await store.abatch([op])
        assert refused.value.param == field


async def age(database, minutes):
    """Let time go by for items that are there for a time."""
    older = update(item).values(expires_at=item.c.expires_at - minutes * 60)
    await database.run(lambda c: c.execute(older))


async def test_an_item_for_a_time_lives_on_while_it_is_read(store, database):
    await store.aput(ADA, "read", {}, ttl=10)
    await store.aput(ADA, "unread", {}, ttl=10)
    await store.aput(ADA, "always", {})
    for _ in range(2):
        await age(database, 6)
        assert await store.aget(ADA, "read") is not None
    assert await store.aget(ADA, "unread") is None
    assert await keys(store) == ["always", "read"]
    await age(database, 6)
    assert await keys(store, refresh_ttl=False) == ["always", "read"]
    await age(database, 6)
    assert await keys(store) == ["always"]
    assert await sweep_items(database) == 2
    assert await database.run(lambda c: c.scalar(select(func.count()).select_from(item))) == 1


async def test_one_tenant_never_reads_or_changes_what_another_has(store, other):
    await put_all(store)
    await other.aput(ADA, "k0", {"mine": True})
    await other.adelete(ADA, "k1")
    await other.abatch([PutOp(("users", "bob"), "k2", {"mine": True})])
    assert (await store.aget(ADA, "k0")).value["n"] == 1
    assert await store.aget(ADA, "k1") is not None
    assert (await store.aget(("users", "bob"), "k2")).value["tag"] == "a"
    assert await other.aget(("docs",), "k3") is None
    assert [each.value for each in await other.asearch(())] == [{"mine": True}] * 2
    assert await other.alist_namespaces(prefix=("docs",)) == []


async def test_by_meaning_the_nearest_come_first_with_their_scores(database):
    store = TenantStore(database, "acme", embed)
    await store.aput(("docs",), "cats", {"text": "cat cat dog"})
    await store.aput(("docs",), "dogs", {"text": "dog dog dog", "more": ["cat cat"]}, index=["text"])
    await store.aput(("docs",), "cars", {"parts": [{"t": "car"}, {"t": "dog"}]}, index=["parts[*].t"])
    await store.aput(("docs",), "none", {"text": "cat"}, index=False)
    found = await store.asearch(("docs",), query="dog")
    assert [each.key for each in found][2:] == ["cats"]
    assert {each.key: round(each.score, 3) for each in found} == {"dogs": 1.0, "cars": 1.0, "cats": 0.447}
    assert [each.key for each in await store.asearch(("docs",), query="cat", limit=1)] == ["cats"]
    assert [each.key for each in await store.asearch(("docs",), query="cat", offset=2)] in (
        ["dogs"],
        ["cars"],
    )
    only = await store.asearch(("docs",), query="dog", filter={"text": {"$ne": "dog dog dog"}})
    assert [each.key for each in only] == ["cars", "cats"]
    await store.aput(("docs",), "cars", {"text": "car"})
    assert round((await store.asearch(("docs",), query="car"))[0].score, 3) == 1.0
    assert [each.key for each in await TenantStore(database, "other", embed).asearch((), query="dog")] == []


async def test_vectors_of_another_encoder_are_left_out(database):
    await TenantStore(database, "acme", embed).aput(ADA, "k", {"text": "cat"})
    wider = TenantStore(database, "acme", lambda texts: [[1.0] * 5 for _ in texts])
    assert await wider.asearch((), query="cat") == []
    assert len(await wider.asearch(())) == 1


async def test_nodes_of_both_kinds_use_it_as_their_store(store):
    async def writes(state, *, store: BaseStore):
        await store.aput(ADA, "async", {"by": "async"})

    def adds(state, *, store: BaseStore):
        store.put(ADA, "sync", {"by": store.get(ADA, "async").value["by"]})

    graph = StateGraph(MessagesState).add_node("writes", writes).add_node("adds", adds)
    compiled = graph.add_edge("__start__", "writes").add_edge("writes", "adds").compile()
    await compiled.copy(update={"store": store}).ainvoke({"messages": []})
    assert (await store.aget(ADA, "sync")).value == {"by": "async"}


async def test_a_plain_function_of_the_store_in_an_async_node_is_refused(store):
    with pytest.raises(BlockedLoop):
        store.put(ADA, "k", {})
    await asyncio.to_thread(store.put, ADA, "k", {"n": 1})
    assert (await asyncio.to_thread(store.get, ADA, "k")).value == {"n": 1}


async def test_graphs_wait_for_a_database_that_is_away_and_doors_do_not(store, database, monkeypatch):
    back = asyncio.Event()
    run, refused = database.run, []

    async def away(work, *more):
        if back.is_set():
            return await run(work, *more)
        refused.append(work)
        raise StoreUnavailable("away")

    monkeypatch.setattr(database, "run", away)
    with pytest.raises(StoreUnavailable):
        await store.at_once([PutOp(ADA, "k", {})])
    putting = asyncio.create_task(store.aput(ADA, "k", {"n": 1}))
    async with asyncio.timeout(5):
        while len(refused) < 2:
            await asyncio.sleep(0.005)
    back.set()
    await putting
    assert (await store.aget(ADA, "k")).value == {"n": 1}
