"""Assistants over a real socket, driven by LangGraph's own client."""

from typing import TypedDict

import pytest
from langgraph.graph import StateGraph
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
)

from trimtab.reception import assistant_routes
from trimtab.workflows import Assistants, HostedGraph, default_id

from .doors import open_doors


class State(TypedDict):
    n: int


@pytest.fixture
def database(sqlite_database):
    return sqlite_database


@pytest.fixture
def threads_deleted():
    return []


@pytest.fixture
async def doors(database, clock, threads_deleted):
    inner = StateGraph(State).add_node("first", lambda told: told).add_edge("__start__", "first").compile()
    graph = StateGraph(State).add_node("inner", inner).add_edge("__start__", "inner").compile()
    graphs = {name: HostedGraph(name, graph, "") for name in ("work", "more")}

    async def delete_threads(tenant, id):
        threads_deleted.append((tenant, id))

    assistants = Assistants(database, graphs, clock)
    async with open_doors(
        database, clock, lambda d: assistant_routes(d, assistants, delete_threads)
    ) as doors:
        yield doors


async def test_the_client_makes_changes_and_deletes_an_assistant(doors, threads_deleted):
    client = (await doors.client()).assistants
    made = await client.create(
        "work",
        {"recursion_limit": 7},
        context={"m": 1},
        metadata={"team": "red"},
        name="Ada's",
        description="d",
    )
    assert len(made["assistant_id"]) == 36
    assert (made["graph_id"], made["config"], made["context"]) == ("work", {"recursion_limit": 7}, {"m": 1})
    assert (made["version"], made["name"], made["description"]) == (1, "Ada's", "d")
    assert made["created_at"].endswith("+00:00")
    id = made["assistant_id"]
    changed = await client.update(id, metadata={"n": 1}, graph_id="more")
    assert (changed["version"], changed["graph_id"]) == (2, "more")
    assert changed["metadata"] == {"team": "red", "n": 1}
    assert await client.get(id) == changed
    assert [each["version"] for each in await client.get_versions(id)] == [2, 1]
    assert [each["version"] for each in await client.get_versions(id, {"n": 1})] == [2]
    assert (await client.set_latest(id, 1))["graph_id"] == "work"
    await client.delete(id, delete_threads=True)
    assert threads_deleted == [("acme", id)]
    with pytest.raises(NotFoundError):
        await client.get(id)


async def test_an_id_that_is_taken_is_a_conflict_or_the_one_that_is_there(doors):
    client = (await doors.client()).assistants
    made = await client.create("work", assistant_id="mine")
    assert await client.create("work", assistant_id="mine", if_exists="do_nothing", name="other") == made
    with pytest.raises(ConflictError):
        await client.create("work", assistant_id="mine")
    with pytest.raises(NotFoundError, match="hosted: more, work"):
        await client.create("none")
    with pytest.raises(BadRequestError, match="matching regex"):
        await client.create("work", assistant_id="a b")


async def test_a_search_tells_where_the_next_page_begins(doors):
    client = (await doors.client()).assistants
    for number in range(3):
        await client.create(
            "work", assistant_id=f"a{number}", name=f"Number {number}", metadata={"n": number}
        )
    page = await client.search(limit=2, response_format="object")
    assert ([each["assistant_id"] for each in page["assistants"]], page["next"]) == (["a2", "a1"], "2")
    rest = await client.search(limit=5, offset=2, response_format="object")
    assert (len(rest["assistants"]), rest["next"]) == (3, None)
    assert await client.search(metadata={"n": 1}, select=["name"]) == [{"name": "Number 1"}]
    assert (await client.search(name="number", sort_by="name", sort_order="asc"))[0]["assistant_id"] == "a0"
    assert (await client.count(), await client.count(graph_id="more"), await client.count(name="er 2")) == (
        5,
        1,
        1,
    )


async def test_a_workflows_own_assistant_has_its_graph_and_schemas(doors):
    client = (await doors.client(role="viewer")).assistants
    own = await client.get("work")
    assert (own["assistant_id"], own["metadata"]) == (default_id("work"), {"created_by": "system"})
    assert [node["id"] for node in (await client.get_graph("work"))["nodes"]] == [
        "__start__",
        "inner",
        "__end__",
    ]
    through = await client.get_graph(own["assistant_id"], xray=2)
    assert "inner:first" in [node["id"] for node in through["nodes"]]
    schemas = await client.get_schemas("work")
    assert schemas["graph_id"] == "work"
    assert schemas["input_schema"]["properties"]["n"]["type"] == "integer"
    assert schemas["context_schema"] is None
    assert list(await client.get_subgraphs("work", recurse=True)) == ["inner"]
    assert list(await client.get_subgraphs("work", "inner")) == ["inner"]
    assert await client.get_subgraphs("work", "none") == {}
    with pytest.raises(PermissionDeniedError, match="role operator"):
        await client.create("work")


async def test_another_tenant_sees_nothing_of_it(doors):
    mine, theirs = [(await doors.client(tenant)).assistants for tenant in ("acme", "other")]
    id = (await mine.create("work"))["assistant_id"]
    for attempt in (
        theirs.get(id),
        theirs.get_graph(id),
        theirs.get_schemas(id),
        theirs.get_versions(id),
        theirs.update(id, name="taken"),
        theirs.set_latest(id, 1),
        theirs.delete(id),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert id not in [each["assistant_id"] for each in await theirs.search(limit=100)]
    with pytest.raises(PermissionDeniedError):
        await theirs.delete(default_id("work"))
    assert (await mine.get(id))["version"] == 1
