"""Assistants: every workflow has one of its own; what a tenant makes is its own, in versions."""

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import StateGraph

from trimtab.core.errors import BadRequest, Conflict, Forbidden, NotFound
from trimtab.workflows import (
    AssistantQuery,
    Assistants,
    Changes,
    HostedGraph,
    RunConfig,
    RunWishes,
    default_id,
    terms_of,
)


class State(TypedDict):
    log: Annotated[list, operator.add]


class Settings(TypedDict):
    model: str


class Odd(TypedDict):
    thing: object()


def graph_of(state=State, settings=Settings):
    inner = StateGraph(state).add_node("first", lambda told: told).add_edge("__start__", "first").compile()
    outer = StateGraph(state, context_schema=settings).add_node("inner", inner)
    return outer.add_edge("__start__", "inner").compile()


@pytest.fixture
def assistants(database, clock):
    graphs = {name: HostedGraph(name, graph_of(), "") for name in ("work", "more")}
    return Assistants(database, graphs, clock)


async def made(assistants, id="a", tenant="acme", **changes):
    return await assistants.create(tenant, id, Changes(**({"workflow": "work"} | changes)))


async def test_a_workflow_has_an_assistant_of_its_own_named_by_the_workflow_too(assistants):
    by_name = await assistants.resolve("acme", "work")
    assert by_name == await assistants.resolve("other", default_id("work"))
    assert (by_name.workflow, by_name.version, by_name.metadata) == ("work", 1, {"created_by": "system"})
    assert default_id("work") != default_id("more")
    for change in (
        assistants.update("acme", "work", Changes(name="mine")),
        assistants.set_latest("acme", default_id("work"), 1),
        assistants.delete("acme", "work"),
    ):
        with pytest.raises(Forbidden, match="create one of your own"):
            await change


async def test_an_update_makes_a_version_and_adds_to_the_metadata(assistants):
    first = await made(assistants, config={"recursion_limit": 5}, metadata={"team": "red"}, name="Ada's")
    second = await assistants.update("acme", "a", Changes(metadata={"n": 1}, context={"model": "small"}))
    assert (second.version, second.metadata) == (2, {"team": "red", "n": 1})
    assert (second.config, second.context) == ({"recursion_limit": 5}, {"model": "small"})
    assert (second.name, second.created_at) == ("Ada's", first.created_at)
    assert second.updated_at > first.updated_at
    assert await assistants.resolve("acme", "a") == second
    back = await assistants.set_latest("acme", "a", 1)
    assert back == first == await assistants.resolve("acme", "a")
    assert (await assistants.update("acme", "a", Changes(name="third"))).version == 3
    assert [each.version for each in await assistants.versions("acme", "a", {}, 2, 1)] == [2, 1]


async def test_of_those_who_create_one_id_at_the_same_time_one_does(assistants):
    told = await asyncio.gather(*[made(assistants) for _ in range(4)], return_exceptions=True)
    assert sorted(type(each).__name__ for each in told) == ["Assistant", *["Conflict"] * 3]
    for taken in ("work", default_id("more")):
        with pytest.raises(Conflict):
            await made(assistants, taken)


async def test_what_is_wrong_is_refused_and_named(assistants):
    with pytest.raises(NotFound, match="hosted: more, work"):
        await made(assistants, workflow="none")
    with pytest.raises(NotFound, match="no assistant 'b'"):
        await assistants.resolve("acme", "b")
    with pytest.raises(BadRequest, match="NUL"):
        await made(assistants, metadata={"a": "\0"})
    await made(assistants)
    with pytest.raises(NotFound, match="in version 4"):
        await assistants.set_latest("acme", "a", 4)
    with pytest.raises(NotFound, match="no workflow 'none'"):
        await assistants.update("acme", "a", Changes(workflow="none"))


async def test_another_tenants_assistant_is_not_there(assistants):
    await made(assistants)
    for attempt in (
        assistants.find("other", "a"),
        assistants.resolve("other", "a"),
        assistants.update("other", "a", Changes(name="mine")),
        assistants.set_latest("other", "a", 1),
        assistants.delete("other", "a"),
        assistants.versions("other", "a", {}, 10, 0),
    ):
        with pytest.raises(NotFound):
            await attempt
    found, _ = await assistants.search("other", AssistantQuery())
    assert {each.workflow for each in found} == {"work", "more"}
    assert (await made(assistants, tenant="other", name="another")).name == "another"
    assert (await assistants.find("acme", "a")).name == "Untitled"


async def test_a_search_has_the_workflows_own_among_the_tenants(assistants):
    for number in range(3):
        await made(assistants, f"a{number}", name=f"Number {number}", metadata={"even": number % 2 == 0})

    async def ids(**asked):
        found, total = await assistants.search("acme", AssistantQuery(**asked))
        return [each.id for each in found], total

    assert await ids(limit=2) == (["a2", "a1"], 5)
    assert (await ids(limit=3, offset=2))[0][0] == "a0"
    assert await ids(name="NUMBER 1") == (["a1"], 1)
    assert await ids(metadata={"even": True}, sort_by="name", ascending=True) == (["a0", "a2"], 2)
    assert await ids(metadata={"created_by": "system"}, workflow="more") == ([default_id("more")], 1)
    assert await ids(workflow="work", sort_by="created_at", ascending=True, limit=1) == (
        [default_id("work")],
        4,
    )


async def test_an_assistant_of_a_workflow_that_is_not_hosted_any_more_is_shown_and_not_run(
    assistants, database, clock
):
    await made(assistants, workflow="more")
    fewer = Assistants(database, {"work": HostedGraph("work", graph_of(), "")}, clock)
    assert (await fewer.find("acme", "a")).workflow == "more"
    with pytest.raises(NotFound, match="no workflow 'more' is hosted here"):
        await fewer.resolve("acme", "a")


async def test_a_graph_is_drawn_with_what_is_inside_where_it_is_asked_for(assistants):
    plain, through = [await assistants.drawn("acme", "work", depth) for depth in (False, True)]
    assert [node["id"] for node in plain["nodes"]] == ["__start__", "inner", "__end__"]
    assert "inner:first" in [node["id"] for node in through["nodes"]]
    assert {"source": "__start__", "target": "inner"} in plain["edges"]


async def test_schemas_tell_what_a_graph_takes_and_gives(assistants):
    workflow, schemas = await assistants.schemas("acme", "work")
    assert workflow == "work"
    for each in (schemas.input, schemas.output, schemas.state):
        assert each["properties"]["log"]["type"] == "array"
    assert schemas.context["required"] == ["model"]
    inside = await assistants.subgraphs("acme", "work", None, "all")
    assert inside["inner"].input["properties"]["log"]["type"] == "array"
    assert await assistants.subgraphs("acme", "work", "none", "direct") == {}


async def test_a_type_that_has_no_schema_gives_none(database, clock):
    graphs = {"odd": HostedGraph("odd", graph_of(Odd, None), "")}
    _, schemas = await Assistants(database, graphs, clock).schemas("acme", "odd")
    assert (schemas.input, schemas.output, schemas.state, schemas.context) == (None, None, None, None)


async def test_a_run_has_the_assistants_terms_where_it_has_none_of_its_own(assistants):
    config = {"recursion_limit": 5, "configurable": {"a": 1, "b": 1}}
    assistant = await made(assistants, config=config, context={"model": "small", "n": 1})
    wishes = RunWishes(RunConfig({"b": 2}, tags=["x"]), {"n": 2}, stream_mode="updates")
    how = {"streamed": True, "on_completion": "keep", "models": ("gpt-small",)}
    merged = terms_of(assistant, wishes, **how)
    assert merged.config == {"recursion_limit": 5, "tags": ["x"], "configurable": {"a": 1, "b": 2}}
    assert merged.context == {"model": "small", "n": 2}
    assert (merged.stream_mode, merged.streamed, merged.models) == (("updates",), True, ("gpt-small",))
    plain = terms_of(await assistants.resolve("acme", "work"), RunWishes(), **how)
    assert (plain.config, plain.context, plain.stream_mode) == ({}, None, ("values",))
