"""Graphs are loaded as users wrote them, or refused in a sentence that says what is wrong."""

import pytest

from trimtab.app.hosting import load_graphs
from trimtab.config import load_text
from trimtab.core.errors import ConfigError
from trimtab.workflows import load_graph
from trimtab.workflows.transports import HOST

GRAPHS = "workflows.own_graphs"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """The module makes its clients when it is first imported, which may be here."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{HOST}/v1")


@pytest.mark.parametrize("name", ["everything", "failing", "fan_out"])
def test_a_graph_may_be_compiled_or_not_or_made_by_a_function(name):
    hosted = load_graph("support", f"{GRAPHS}:{name}")
    assert hosted.workflow == "support"
    assert len(hosted.version) == 12


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("workflows.missing:graph", "cannot be imported: No module named 'workflows.missing'; is its folder"),
        ("workflows.broken_graphs:graph", "failed: RuntimeError: the model is not configured"),
        (f"{GRAPHS}:missing", "has no 'missing'"),
        (f"{GRAPHS}:not_a_graph", "is a dict, expected a LangGraph graph"),
        (f"{GRAPHS}:unconnected", "did not compile: ValueError"),
        (f"{GRAPHS}:needs_something", "needs what; a factory is called without arguments"),
        (f"{GRAPHS}:breaks", "failed: LookupError: no such prompt"),
        (f"{GRAPHS}:openai", "needs state; a factory is called without arguments"),
    ],
)
def test_what_is_no_graph_is_refused_with_the_reason(target, said):
    with pytest.raises(ConfigError) as caught:
        load_graph("support", target)
    assert said in str(caught.value)


def test_a_graph_that_cannot_be_loaded_is_told_by_file_line_and_key():
    loaded = load_text(f'[workflow.support]\ngraph = "{GRAPHS}:missing"\n', "trimtab.toml", {})
    with pytest.raises(ConfigError) as caught:
        load_graphs(loaded)
    assert str(caught.value).startswith("trimtab.toml:2: workflow.support.graph: module")


def test_a_target_of_another_shape_is_refused_when_the_settings_are_read():
    with pytest.raises(
        ConfigError, match=r'trimtab.toml:2: workflow.a.graph: expected "package.module:graph"'
    ):
        load_text('[workflow.a]\ngraph = "own_graphs.py"\n', "trimtab.toml", {})


def test_a_version_follows_the_shape_of_the_graph_and_its_name():
    plain = load_graph("a", f"{GRAPHS}:failing").version
    assert load_graph("b", f"{GRAPHS}:failing").version == plain
    assert load_graph("a", f"{GRAPHS}:asking").version != plain
    assert load_graph("a", f"{GRAPHS}:failing", "2").version == f"2-{plain}"
