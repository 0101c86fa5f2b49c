"""The Grafana dashboard asks only for what /metrics has, and is laid out as Grafana wants it."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.served import ask
from trimtab.traces import ControllerFigures, EngineFigures, Gauges, Metrics
from workflows.made import lay_run

FILE = Path(__file__).parents[2] / "examples" / "grafana" / "trimtab.json"
BOARD = json.loads(FILE.read_text())
DRAWN = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
ASKED = [(panel["title"], target["expr"]) for panel in DRAWN for target in panel["targets"]]
# Prometheus puts these on what it scrapes.
ALWAYS = {"instance", "job"}
POOR = '[[budget]]\nscope = "workflow"\nwindow = "day"\nlimit_usd = 0.0\nmatch = { workflow = "poor" }\n'
_METRIC = re.compile(r"\b(trimtab_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def labels_of(text):
    """Labels by name of everything in a scrape."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def rare():
    """What is shown only where there are engines, controllers and autoscaling."""
    engine = EngineFigures("near", True, 1.0, 2, 3, 0.5, 0.4, frozenset("a"), frozenset("m"))
    controller = ControllerFigures("w/step", "1", "enabled", 5, 2, {"late": 1}, 0.1, False)
    gauges = Gauges(
        desired_replicas=lambda: {"m": 2.0},
        engines=lambda: [engine],
        engine_loads=lambda: {"near": 1},
        controllers=lambda: [controller],
    )
    return labels_of(Metrics(gauges).render().decode())


@pytest.fixture
async def shown(hosting):
    """Labels by name of what a house shows that served calls, refused one, and has a run that waits."""
    served = await hosting("asking", POOR)
    headers = {"x-trimtab-workflow": "triage", "x-trimtab-run": "r1"}
    assert (await served.post(ask(), headers=headers)).status == 200
    assert (await served.post(ask(), headers=headers | {"x-trimtab-workflow": "poor"})).status == 402
    await served.house.database.run(lambda c: lay_run(c, "x1", state="queued", version="gone"))
    return labels_of((await served.get("/metrics")).body.decode())


async def test_every_name_and_label_that_is_asked_for_is_shown(shown):
    known = rare() | shown
    common = {name for name in shown if name.startswith("trimtab_")}
    assert {"trimtab_calls_total", "trimtab_database_up", "trimtab_workflow_queued_runs"} <= common
    for title, expression in ASKED:
        named = _METRIC.findall(expression)
        assert named, (title, expression)
        labels = set()
        for name, narrowed in named:
            assert name in known, (title, name)
            assert set(_LABEL.findall(narrowed)) <= known[name] | ALWAYS, (title, name)
            labels |= known[name]
        for told in _BY.findall(expression):
            assert {label.strip() for label in told.split(",")} <= labels | ALWAYS, (title, told)


async def test_everything_a_house_shows_is_drawn_somewhere(shown):
    asked = {name for _, expression in ASKED for name, _ in _METRIC.findall(expression)}
    left_out = {"trimtab_engine_adapter", "trimtab_engine_model"}
    for name in {*shown, *rare()}:
        stem = re.sub(r"_(bucket|sum|count|created)$", "", name)
        if name.startswith("trimtab_") and not name.endswith("_created"):
            assert {name, f"{stem}_bucket"} & (asked | left_out), name


@pytest.mark.parametrize(("title", "expression"), ASKED)
def test_brackets_close_and_counters_are_asked_for_their_rate(title, expression):
    assert all(expression.count(a) == expression.count(b) for a, b in ("()", "{}", "[]"))
    for name, _ in _METRIC.findall(expression):
        counted = name.endswith(("_total", "_bucket"))
        assert counted == bool(re.search(rf"(rate|increase)\({name}\b", expression)), name


def test_the_data_source_and_all_else_that_varies_is_a_variable():
    declared = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    assert declared["datasource"]["type"] == "datasource"
    assert declared["datasource"]["query"] == "prometheus"
    assert BOARD["uid"] is None
    assert BOARD["id"] is None
    text = json.dumps(BOARD)
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}"}
    used = {name for _, expression in ASKED for name in _VARIABLE.findall(expression)}
    assert used - {"__rate_interval"} <= set(declared)
    for variable in declared.values():
        assert variable["type"] == "datasource" or variable["query"]["query"].startswith(
            "label_values(trimtab_"
        )


def test_panels_have_ids_of_their_own_and_never_overlap():
    assert BOARD["schemaVersion"] >= 36
    assert BOARD["title"] == "Trimtab"
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 and min(place["w"], place["h"]) > 0 for place in places)
    for one, other in combinations(places, 2):
        across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
        assert not (across and down), (one, other)


@pytest.mark.parametrize("panel", DRAWN, ids=lambda panel: panel["title"])
def test_each_panel_says_where_it_asks_and_in_what_unit(panel):
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["fieldConfig"]["defaults"]["unit"]
    references = [target["refId"] for target in panel["targets"]]
    assert references
    assert len(set(references)) == len(references)
