"""A house of its own for commands on hosted workflows."""

import pytest
from typer.testing import CliRunner

from trimtab.cli import app

SETTINGS = """
[server]
data = "{data}"
[[endpoint]]
name = "nowhere"
url = "http://127.0.0.1:9/v1"
models = ["gpt-small"]
[workflow.support]
graph = "workflows.own_graphs:{graph}"
"""


@pytest.fixture
def hosted(tmp_path, monkeypatch):
    """Runs a command there: `hosted("runs", "list")`; `hosted.hosts("asking")` changes its graph."""
    monkeypatch.setenv("MARKS", str(tmp_path))
    config = tmp_path / "trimtab.toml"

    def run(*words):
        return CliRunner().invoke(app, [*words, "-c", str(config)])

    def hosts(graph, more=""):
        config.write_text(SETTINGS.format(data=tmp_path, graph=graph) + more)

    run.hosts = hosts
    hosts("failing")
    return run
