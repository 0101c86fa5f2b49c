"""The frontier: points only from runs drawn by lot and from evaluations; else it says why nothing can be compared."""

import re

import msgspec
import pytest

from console.browsing import chromium, lacking, window
from console.visiting import page, words
from gateway.served import ask, endpoint
from trimtab.console.arms import LEAST_RUNS, experiments_of, mixture_of, points_of, wilson
from trimtab.console.frontier import plane_of
from trimtab.console.reports import read_shelf
from trimtab.core import OutcomeRecord
from trimtab.evaluation import Interval, Line, Plane, PlanePoint, Report, draw_plane
from trimtab.store import DrawnRun, runs

LOT = """
[[model]]
name = "any"
candidates = ["small", "large"]
policy = "lot"

[policy.lot]
kind = "weighted"
weights = { small = 1.0, large = 2.0 }
"""
PINNED = '[[model]]\nname = "any"\ncandidates = ["small", "large"]\npolicy = "pinned"\n'
MODELS = '"small", "large"'
# The colour of the drawing's first corner as it is drawn on the page.
_CORNER = """() => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 4;
  const pen = canvas.getContext('2d'); pen.drawImage(document.querySelector('.plane img'), 0, 0, 4, 4);
  const [red, green, blue, solid] = pen.getImageData(0, 0, 1, 1).data;
  return solid ? [red, green, blue] : [255];
}"""


async def lots(served, many, tenant=None, workflow="triage", completed=lambda number: number % 3 > 0):
    """Runs of one call each through the gateway, and what became of them; the tenant's key is made if named."""
    headers = {} if tenant is None else {"authorization": f"Bearer {await served.key(tenant)}"}
    for number in range(many):
        named = {"x-trimtab-run": f"{tenant}-{workflow}-{number}", "x-trimtab-workflow": workflow}
        assert (await served.post(ask("any"), headers=headers | named)).status == 200
    now, owner = served.clock.now(), tenant or "default"
    said = [
        OutcomeRecord(owner, f"{tenant}-{workflow}-{number}", now, float(completed(number)))
        for number in range(many)
    ]
    await served.at_rest()
    await served.house.writer.flush()
    await served.house.database.run(lambda connection: runs.record_outcomes(connection, said))


def drawn_run(number, model, completed=True, weight="1", nanodollars=1_000, task="", policy="lot"):
    """A run as the store tells of it."""
    return DrawnRun(
        "acme", f"r{number}", task, 1e9 - number, completed, nanodollars, 0, policy, model, weight
    )


def a_report(title="Routes on mine", name="learned route", cost=0.02):
    told = Interval(0.6, 0.5, 0.7)
    line = Line(
        name,
        "policy",
        told,
        Interval(cost, cost, cost),
        Interval(0.03, 0.02, None),
        None,
        told,
        None,
        None,
        1.0,
        1,
    )
    single = msgspec.structs.replace(
        line, name="small", mark="single", cost_per_completed=Interval(0.01, 0.01, 0.01)
    )
    return Report(title, "a route", "mine, 10 tasks", 10, 10, lines=(line, single))


def put(folder, name, report):
    (folder / name).mkdir(parents=True)
    (folder / name / "report.json").write_bytes(
        report if isinstance(report, bytes) else msgspec.json.encode(report)
    )


@pytest.fixture
async def lottery(serve, upstream):
    """A house that draws one of two models for each run."""
    return await serve(endpoint(upstream, models=MODELS, more=LOT))


async def test_each_model_drawn_by_lot_is_a_point_with_its_runs(lottery, guests):
    await lots(lottery, 120)
    guest = await guests(lottery)
    text = page(await guest.get("/console/frontier"))
    rows = dict(re.findall(r'<td class="keep">(small|large)</td><td class="n">(\d+)</td>', text))
    assert set(rows) == {"small", "large"}
    assert sum(map(int, rows.values())) == 120
    assert int(rows["large"]) > int(rows["small"]) >= LEAST_RUNS
    answer = await guest.get("/console/frontier.svg?workflow=triage")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert all(f"<title>{model}: " in page(answer) for model in ("small", "large"))
    assert 'src="/console/frontier.svg?workflow=triage"' in text


async def test_runs_that_no_lot_sent_are_not_comparable(serve, upstream, guests):
    served = await serve(endpoint(upstream, models=MODELS, more=PINNED))
    await lots(served, 3)
    guest = await guests(served)
    text = words(await guest.get("/console/frontier"))
    assert "Not comparable" in text
    assert "No policy of the settings draws models by lot" in text
    assert "<img" not in page(await guest.get("/console/frontier"))
    assert (await guest.get("/console/frontier.svg?workflow=triage")).status == 404


async def test_models_with_few_runs_are_told_of_but_not_drawn(lottery, guests):
    await lots(lottery, 6)
    guest = await guests(lottery)
    text = words(await guest.get("/console/frontier"))
    assert "Not comparable yet" in text
    assert "no: too few runs" in text
    assert (await guest.get("/console/frontier.svg?workflow=triage")).status == 404


async def test_a_viewer_sees_the_runs_of_their_tenant_and_no_evaluation(lottery, guests, tmp_path):
    await lots(lottery, 80, "acme")
    await lots(lottery, 5, "globex", "secret-flow")
    put(tmp_path / "house" / "reports", "mine", a_report())
    guest = await guests(lottery, "viewer", "globex")
    for path in (
        "/console/frontier",
        "/console/frontier?tenant=acme",
        "/console/frontier?workflow=triage&tenant=acme",
    ):
        text = page(await guest.get(path))
        assert "triage</option>" not in text or "workflow=triage" in path
        assert "<img" not in text
        assert "Routes on mine" not in text
    assert (await guest.get("/console/frontier.svg?workflow=triage&tenant=acme")).status == 404
    assert (await guest.get("/console/frontier.svg?report=mine")).status == 404
    admin = await guests(lottery, "admin", "globex")
    assert "Routes on mine" in page(await admin.get("/console/frontier"))


async def test_a_report_of_the_folder_is_drawn_and_a_broken_one_is_named_with_its_fault(
    house, guests, tmp_path
):
    folder = tmp_path / "house" / "reports"
    put(folder, "one", a_report())
    put(folder, "two", b'{"title": 3}')
    put(folder, "three", msgspec.json.encode(a_report(cost=-1.0)))
    put(folder, "four", msgspec.structs.replace(a_report(), lines=()))
    guest = await guests(house)
    text = words(await guest.get("/console/frontier"))
    assert "Routes on mine" in text
    assert "is no evaluation report" in text
    assert "has a share or a cost that cannot be" in text
    assert "1 more reports compare no policies" in text
    svg = page(await guest.get("/console/frontier.svg?report=one"))
    assert "<title>learned route: 60 % at 0.03</title>" in svg
    for strange in ("two", "../one", "nobody"):
        assert (await guest.get(f"/console/frontier.svg?report={strange}")).status == 404


async def test_reports_are_read_from_the_folder_that_the_settings_name(serve, upstream, guests, tmp_path):
    put(tmp_path / "elsewhere", "one", a_report("From elsewhere"))
    more = f'[console]\nreports = "{tmp_path / "elsewhere"}"\n'
    served = await serve(more + endpoint(upstream))
    assert "From elsewhere" in page(await (await guests(served)).get("/console/frontier"))


async def test_names_in_a_report_are_text_on_the_page_and_in_the_drawing(house, guests, tmp_path):
    evil = "<script>alert(1)</script>"
    put(tmp_path / "house" / "reports", "one", a_report(evil, evil))
    guest = await guests(house)
    for path in ("/console/frontier", "/console/frontier.svg?report=one"):
        answer = await guest.get(path)
        assert answer.status == 200
        assert "<script>alert" not in page(answer)
        assert "&lt;script&gt;alert" in page(answer)


def test_a_folder_that_is_not_there_has_no_reports_and_no_faults(tmp_path):
    shelf = read_shelf(tmp_path / "nowhere")
    assert (shelf.reports, shelf.faults) == ((), ())


def test_runs_under_other_weights_are_left_out():
    newest = [drawn_run(number, "large", weight="2") for number in range(4)]
    older = [drawn_run(number, "large", weight="9") for number in range(4, 20)]
    (found,) = experiments_of([*newest, *older])
    assert [arm.runs for arm in found.arms] == [4]
    assert found.reweighted
    assert not experiments_of(newest)[0].reweighted


def test_runs_that_do_not_say_what_was_drawn_are_counted_apart():
    (found,) = experiments_of([drawn_run(1, "", weight=""), drawn_run(2, "small")])
    assert (found.untold, found.arms[0].runs) == (1, 1)


def test_policies_that_draw_are_never_compared_with_one_another():
    found = experiments_of(
        [drawn_run(1, "small"), drawn_run(2, "large", policy="other"), drawn_run(3, "small")]
    )
    assert [(one.policy, [arm.name for arm in one.arms]) for one in found] == [
        ("lot", ["small"]),
        ("other", ["large"]),
    ]


def test_a_completed_run_pays_for_those_that_failed():
    rows = [drawn_run(number, "small", completed=number % 4 == 0, nanodollars=10**9) for number in range(40)]
    (arm,) = experiments_of(rows)[0].arms
    assert (arm.runs, arm.completed) == (40, 10)
    assert arm.completions.value == 0.25
    assert arm.cost.value == 1.0
    assert arm.cost_per_completed.value == 4.0
    assert arm.cost_per_completed.low < 4.0 < arm.cost_per_completed.high
    assert points_of([arm])[0].cost == 4.0


def test_an_interval_is_drawn_whole():
    point = PlanePoint("small", 1.0, 0.5, "single", 0.2, 0.9)
    other = PlanePoint("large", 2.0, 0.55, "single")
    drawing = draw_plane(Plane("t", (point, other)))
    top, bottom = map(float, re.search(r'class="bar" d="M[\d.]+ ([\d.]+)V([\d.]+)"', drawing).groups())
    ticks = dict(re.findall(r'y="([\d.]+)" text-anchor="end">(\d+) %', drawing))
    by_share = {int(share): float(place) - 4 for place, share in ticks.items()}
    assert min(top, bottom) <= by_share[80] < by_share[30] <= max(top, bottom)


def test_a_model_that_completed_nothing_has_no_point():
    (arm,) = experiments_of([drawn_run(number, "small", completed=False) for number in range(50)])[0].arms
    assert not arm.drawn
    assert points_of([arm]) == ()
    assert arm.completions.high > 0


def repeated(tasks, repeats):
    """Each task is done by one model only: the small one does the even ones."""
    number = 0
    for task in range(tasks):
        for model in ("small", "large"):
            for _ in range(repeats):
                number += 1
                good = (task % 2 == 0) == (model == "small")
                yield drawn_run(number, model, good, nanodollars=10**9, task=f"t{task}")


def test_the_oracle_is_told_only_where_tasks_repeat_over_all_models():
    (found,) = experiments_of(list(repeated(40, 2)))
    assert found.tasks == 40
    assert found.ceiling.completions.value == 1.0
    assert "split-half oracle" in [point.label for point in plane_of("w", found).points]
    for rows in (
        repeated(40, 1),
        repeated(20, 2),
        [drawn_run(n, "small", task=f"t{n % 9}") for n in range(90)],
    ):
        assert experiments_of(list(rows))[0].ceiling is None


def test_the_oracle_is_not_told_where_most_runs_have_tasks_of_their_own():
    alone = [drawn_run(number, "small", task=f"own-{number}") for number in range(1_000, 1_500)]
    assert experiments_of([*alone, *repeated(40, 2)])[0].ceiling is None


def test_wilsons_interval_is_as_published():
    # Wilson's score interval of 15 in 20.
    found = wilson(15, 20)
    assert (round(found.low, 4), round(found.high, 4)) == (0.5313, 0.8881)
    assert wilson(0, 10).low == pytest.approx(0.0)
    assert wilson(10, 10).high == pytest.approx(1.0)


def test_the_mixture_runs_from_one_model_to_the_other_by_what_coins_cost():
    line = mixture_of([(1.0, 0.5), (4.0, 0.8)])
    assert line[0] == (2.0, 0.5)
    assert line[-1] == pytest.approx((5.0, 0.8))
    middle = line[len(line) // 2]
    assert middle == pytest.approx((2.5 / 0.65, 0.65))


async def test_the_drawing_is_drawn_in_its_own_colours_under_the_policy_of_the_pages(lottery, guests):
    if missing := lacking():
        pytest.skip(f"{missing} is not here")
    await lots(lottery, 120)
    async with chromium() as browser, window(browser, lottery.url, scheme="dark") as looking:
        await looking.open("/console/frontier")
        assert max(await looking.page.evaluate(_CORNER)) < 80
        assert looking.complaints == []
        await looking.open("/console/frontier.svg?workflow=triage")
        assert looking.complaints == []


async def test_the_drawings_policy_lets_its_own_style_in_and_nothing_else(lottery, guests):
    await lots(lottery, 120)
    answer = await (await guests(lottery)).get("/console/frontier.svg?workflow=triage")
    policy = answer.headers["content-security-policy"]
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[\w+/=]{44}'; frame-ancestors 'none'", policy)


@pytest.mark.parametrize(("newest", "oldest"), [("abc", "ab"), ("ab", "abc")], ids=["one came", "one went"])
def test_runs_of_another_set_of_models_are_of_another_time(newest, oldest):
    drawn = [drawn_run(number, newest[number % len(newest)]) for number in range(300)]
    drawn += [drawn_run(300 + number, oldest[number % len(oldest)]) for number in range(300)]
    (found,) = experiments_of(drawn)
    assert {arm.name for arm in found.arms} == set(newest)
    assert 290 <= sum(arm.runs for arm in found.arms) <= 310
    assert found.reweighted
