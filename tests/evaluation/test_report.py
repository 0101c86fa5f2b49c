import math
import re
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.test_ceilings import outcomes
from trimtab.evaluation import (
    Column,
    Interval,
    Plane,
    PlanePoint,
    Report,
    Resamples,
    Table,
    auroc,
    best_single,
    calibration,
    calibration_error,
    draw_plane,
    drawing,
    line_of,
    markdown,
    mixture_line,
    play_mixture,
    play_random,
    play_single,
    shown,
)
from trimtab.evaluation.plane import _LETTER, _LINE

TEXT = re.compile(r'<text x="([\d.]+)" y="([\d.]+)">([^<]+)</text>')


def boxes(svg):
    """Of the points' labels; those of axes and legend carry classes or lie above the plane."""
    found = [(float(x), float(y), text) for x, y, text in TEXT.findall(svg)]
    return [(x, y - 11, x + _LETTER * len(text), y - 11 + _LINE) for x, y, text in found if y > 78]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(1e-6, 10), st.floats(0, 1)), min_size=1, max_size=40))
def test_labels_never_lie_over_one_another(places):
    points = tuple(
        PlanePoint(f"a model named {at}", cost, quality, "single")
        for at, (cost, quality) in enumerate(places)
    )
    svg = draw_plane(Plane("plane", points))
    ElementTree.fromstring(svg)
    laid = boxes(svg)
    for at, one in enumerate(laid):
        assert one[2] <= 880
        for other in laid[:at]:
            apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
            assert apart


def test_a_drawing_names_its_points_escapes_them_and_reads_in_the_dark():
    points = (PlanePoint("<b> & co", 0.1, 0.5, "policy", 0.4, 0.6), PlanePoint("x", 1.0, 0.7, "single"))
    svg = draw_plane(Plane("a < b", points, ((0.1, 0.5), (1.0, 0.7)), (((0.1, 0.5), (0.5, 0.6)),)))
    ElementTree.fromstring(svg)
    assert "&lt;b&gt; &amp; co" in svg
    assert "prefers-color-scheme:dark" in svg


def test_what_has_no_cost_is_not_drawn():
    svg = draw_plane(Plane("empty", (PlanePoint("free", 0.0, 0.5, "single"),)))
    ElementTree.fromstring(svg)
    assert "nothing to draw" in svg


def test_a_report_says_the_same_in_markdown_and_json():
    told = outcomes()
    best = play_single(told, best_single(told))
    resamples = Resamples(told.groups)
    line = line_of(play_random(told), "baseline", best, resamples, None, play_mixture(told, 1.0), best)
    singles = [play_single(told, model) for model in told.models]
    points = tuple(PlanePoint(p.name, p.mean_cost, p.completions, "single") for p in singles)
    plane = Plane("t", points, tuple(mixture_line([(p.mean_cost, p.completions) for p in singles])))
    table = Table("Calls", (Column("tool"), Column("saved", "%")), (("a|b", Interval(0.2, 0.1, 0.3)),))
    report = Report("T", "S", "D", 60, 60, "trimtab evaluate", ("c",), ("n",), (line,), (table,), plane)
    page = markdown(report)
    assert "| a\\|b | 20.0 % [10.0, 30.0] |" in page
    assert "random model" in page
    assert drawing(report).startswith("<svg")
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_cells_are_shown_as_people_read_them():
    assert shown(None) == "–"
    assert shown(0.0123, "points") == "+1.2"
    assert shown(1234) == "1,234"
    assert shown(Interval(1.0, 0.8, 1.2), "USD") == "1 [0.8, 1.2]"


def test_intervals_hold_the_mean_are_seeded_and_widen_with_kin():
    rng = np.random.default_rng(1)
    values = (rng.random(400) < np.repeat(rng.random(20), 20)).astype(float)
    alone = Resamples(np.arange(400)).mean(values)
    together = Resamples(np.repeat(np.arange(20), 20)).mean(values)
    assert alone.low <= values.mean() <= alone.high
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together == Resamples(np.repeat(np.arange(20), 20)).mean(values)
    assert Resamples(np.arange(400)).difference(values, values) == Interval(0.0, 0.0, 0.0)


def test_a_cost_per_completed_run_may_be_unbounded():
    few = np.zeros(10)
    few[0] = 1.0
    told = Resamples(np.arange(10)).ratio(np.ones(10), few)
    assert told is not None
    assert (told.value, told.high) == (10.0, None)
    assert "unbounded" in shown(told, "USD")
    assert Resamples(np.arange(10)).ratio(np.ones(10), np.zeros(10)) is None


def test_calibration_tells_a_good_confidence_from_a_bad_one():
    rng = np.random.default_rng(2)
    sure = rng.random(4000)
    right = rng.random(4000) < sure
    assert calibration_error(sure, right.astype(float)) < 0.03
    assert calibration_error(1 - sure, right.astype(float)) > 0.3
    assert auroc(sure, right.astype(float)) == pytest.approx(5 / 6, abs=0.02)
    assert auroc(np.ones(4), np.array([1.0, 0, 1, 0])) == pytest.approx(0.5)
    assert math.isnan(auroc(np.ones(3), np.ones(3)))
    told = calibration(sure, right, 0.9)
    assert told.threshold is not None
    assert 0 < told.coverage < 0.25
