"""Outcomes and entries of runs over HTTP."""

from urllib.parse import quote

import pytest
from yarl import URL

from trimtab.store.schema import meter

from .served import ask, endpoint


async def _run(house, name="r1", key=""):
    headers = {"x-trimtab-run": name}
    await house.post(ask(), headers=headers | ({"authorization": f"Bearer {key}"} if key else {}))


async def test_an_outcome_is_recorded_and_a_later_one_stands(house):
    await _run(house)
    first = await house.post({"reward": 0.25, "reason": "half"}, "/v1/runs/r1/outcome")
    assert (first.status, first.json["reward"], first.json["run"]) == (200, 0.25, "r1")
    await house.post({"reward": 1, "by": "judge"}, "/v1/runs/r1/outcome")
    run = (await house.runs())["default", "r1"]
    assert (run.reward, run.outcome_by, run.outcome_reason) == (1.0, "judge", "")


async def test_an_outcome_of_a_run_nobody_knows_is_not_found(house):
    answer = await house.post({"reward": 1.0}, "/v1/runs/nobody/outcome")
    assert (answer.status, answer.error["code"]) == (404, "run_not_found")


async def test_a_run_is_known_at_once_after_its_call(house):
    for number in range(5):
        await _run(house, f"r{number}")
        assert (await house.post({"reward": 1.0}, f"/v1/runs/r{number}/outcome")).status == 200


@pytest.mark.parametrize("name", ["a/b/c", "50%", "a b", "ü", "..", "x?y"])
async def test_runs_of_any_name_can_be_spoken_of(house, name):
    await _run(house, name)
    url = URL(f"{house.url}/v1/runs/{quote(name, safe='')}/outcome", encoded=True)
    async with house.session.post(url, data=b'{"reward": 1}') as answer:
        assert (answer.status, (await answer.json()).get("run")) == (200, name)


@pytest.mark.parametrize(
    "body",
    [
        {"reward": -0.01},
        {"reward": 1.01},
        {"reward": "1"},
        {"reward": None},
        {},
        {"reward": 1, "x": 1},
        [],
        "no",
    ],
)
async def test_outcomes_out_of_bounds_are_refused(house, body):
    await _run(house)
    answer = await house.post(body, "/v1/runs/r1/outcome")
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")


async def test_other_tenants_runs_are_out_of_reach_except_for_admins(house):
    acme, blue = await house.key("acme"), await house.key("blue")
    admin = await house.key("blue", role="admin")
    await _run(house, "r1", acme)

    async def say(key, **body):
        answer = await house.post(
            {"reward": 1} | body, "/v1/runs/r1/outcome", {"authorization": f"Bearer {key}"}
        )
        return answer.status

    assert await say(blue) == 404
    assert await say(blue, tenant="acme") == 403
    assert await say(admin) == 404
    assert await say(admin, tenant="acme") == 200
    assert await say(acme, tenant="acme") == 200


async def test_viewers_may_not_speak_of_runs(house):
    key = await house.key("acme")
    await _run(house, "r1", key)
    viewer = {"authorization": f"Bearer {await house.key('acme', role='viewer')}"}
    assert (await house.post({"reward": 1}, "/v1/runs/r1/outcome", viewer)).status == 403
    charge = {"id": "1", "kind": "tool", "what": "t", "usd": 1}
    assert (await house.post(charge, "/v1/runs/r1/entries", viewer)).status == 403
    assert (await house.post({"reward": 1}, "/v1/runs/r1/outcome")).status == 401


async def test_an_entry_charges_a_run_once_by_its_id(house):
    charge = {"id": "s1", "kind": "tool", "what": "search", "usd": 0.005, "step": "look", "workflow": "w"}
    first = await house.post(charge, "/v1/runs/r1/entries")
    again = await house.post(charge, "/v1/runs/r1/entries")
    assert first.json == again.json == {"id": first.json["id"], "nanodollars": 5_000_000, "run": "r1"}
    line = await house.entry()
    assert (line.kind, line.model, line.nanodollars, line.run) == ("tool", "search", 5_000_000, "r1")
    assert (line.step, line.workflow) == ("look", "w")


async def test_an_entry_of_one_id_takes_from_a_budget_once(serve, upstream):
    served = await serve(
        endpoint(upstream) + '[[budget]]\nscope = "tenant"\nlimit_usd = 1.0\nwindow = "month"\n'
    )
    charge = {"id": "s1", "kind": "compute", "what": "gpu", "usd": 0.3}
    for _ in range(20):
        assert (await served.post(charge, "/v1/runs/r1/entries")).status == 200
    other = await served.post(charge | {"id": "s2"}, "/v1/runs/r1/entries")
    assert other.status == 200
    left = served.house.teller.slices.totals()
    (row,) = await served.rows(meter)
    assert row.settled == 600_000_000
    assert row.leased == sum(free + held for free, held in left.values())
    assert all(free >= 0 for free, _ in left.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "model"},
        {"kind": "x"},
        {"usd": -1},
        {"usd": 1e9},
        {"id": ""},
        {"what": ""},
        {"id": "x" * 300},
    ],
)
async def test_entries_out_of_bounds_are_refused(house, wrong):
    charge = {"id": "s1", "kind": "tool", "what": "search", "usd": 0.005} | wrong
    answer = await house.post(charge, "/v1/runs/r1/entries")
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")
    assert await house.entries() == []


async def test_control_characters_do_not_reach_the_store(house):
    charge = {"id": "s1", "kind": "tool", "what": "search", "usd": 1, "step": "a"}
    for field in ("id", "what", "step", "reason"):
        answer = await house.post(charge | {field: "a\x00b"}, "/v1/runs/r1/entries")
        assert (answer.status, answer.error["param"]) == (400, field)
    assert (await house.post(charge | {"step": "a\nb"}, "/v1/runs/r%001/entries")).status == 200
    line = await house.entry()
    assert (line.run, line.step) == ("r1", "ab")
    await _run(house)
    refused = await house.post({"reward": 1, "by": "a\x00"}, "/v1/runs/r1/outcome")
    assert (refused.status, refused.error["param"]) == (400, "by")
