"""Runs over HTTP: any run as a tree, hosted runs page by page."""

import time

from sqlalchemy import insert

from trimtab.store import workflow_runs, workflow_workers
from trimtab.store.workflow_schema import run as run_table
from workflows.made import lay_question, lay_run

from .served import ask, endpoint
from .upstream import Says


def bearer(key):
    return {"authorization": f"Bearer {key}"}


async def call(house, run, step, **headers):
    return await house.post(ask(), headers={"x-trimtab-run": run, "x-trimtab-step": step} | headers)


async def test_a_run_is_shown_with_its_steps_calls_costs_and_decisions(house):
    for step in ("plan", "plan", "write"):
        await call(house, "r1", step, **{"x-trimtab-workflow": "support"})
    tool = {"id": "t1", "kind": "tool", "what": "search", "usd": 0.5, "step": "write"}
    await house.post(tool, "/v1/runs/r1/entries")
    await house.post({"reward": 1, "reason": "fine"}, "/v1/runs/r1/outcome")
    answer = await house.get("/v1/runs/r1")
    run, lines = answer.json, await house.entries()
    assert (answer.status, run["id"], run["tenant"], run["workflow"]) == (200, "r1", "default", "support")
    assert (run["calls"], run["status"], run["reward"], run["outcome_reason"]) == (
        3,
        "completed",
        1.0,
        "fine",
    )
    assert run["nanodollars"] == sum(line.nanodollars for line in lines)
    assert run["usd"].startswith("0.50")
    assert run["hosted"] is None
    assert [(step["name"], len(step["calls"])) for step in run["steps"]] == [("plan", 2), ("write", 1)]
    assert [entry["model"] for entry in run["steps"][1]["entries"]] == ["search"]
    (one, _) = run["steps"][0]["calls"]
    assert (one["status"], one["endpoint"], one["model"]) == ("ok", "main", "gpt-small")
    assert one["seconds"] > 0
    # What is stored leaves zeros out; what is shown does not.
    (attempt,), (entry,) = one["attempts"], one["entries"]
    assert attempt["error"] == ""
    assert [told["usage"]["reasoning_tokens"] for told in (one, attempt, entry)] == [0, 0, 0]
    assert one["decision"]["chosen"] == ["gpt-small@main"]
    assert one["decision"]["policy"]
    assert [attempt["outcome"] for attempt in one["attempts"]] == ["answered"]
    assert one["nanodollars"] == one["attempts"][0]["nanodollars"] == one["entries"][0]["nanodollars"]
    assert "request" not in one


async def test_an_attempt_that_was_rejected_shows_with_what_was_chosen_after_it(serve, upstream):
    cheap = endpoint(upstream, "cheap", '"small"')
    dear = endpoint(upstream, "dear", '"large"', "price = { input = 9.0, output = 90.0 }\n")
    models = '[[model]]\nname = "best"\ncandidates = ["small", "large"]\npolicy = "careful"\n'
    policy = '[policy.careful]\nkind = "cascade"\nverifiers = [{ kind = "finish_reason" }]\n'
    upstream.then(Says(finish="length"))
    served = await serve(cheap + dear + models + policy)
    assert (await served.post(ask("best"), headers={"x-trimtab-run": "r1"})).status == 200
    (one,) = (await served.get("/v1/runs/r1")).json["steps"][0]["calls"]
    assert one["decision"]["chosen"] == ["small@cheap", "large@dear"]
    assert [attempt["outcome"] for attempt in one["attempts"]] == ["rejected", "answered"]


async def test_a_run_nobody_knows_is_not_found(house):
    answer = await house.get("/v1/runs/nobody")
    assert (answer.status, answer.error["code"]) == (404, "run_not_found")


async def test_a_run_is_its_tenants_and_an_admins(house):
    acme, rival, admin = [
        bearer(await house.key(tenant, role=role))
        for tenant, role in (("acme", "viewer"), ("rival", "operator"), ("root", "admin"))
    ]
    writer = bearer(await house.key("acme"))
    await call(house, "r1", "plan", **writer)
    assert (await house.get("/v1/runs/r1", acme)).json["tenant"] == "acme"
    for who in (rival, admin):
        assert (await house.get("/v1/runs/r1", who)).status == 404
    assert (await house.get("/v1/runs/r1?tenant=acme", admin)).json["tenant"] == "acme"
    for place in ("/v1/runs/r1?tenant=acme", "/v1/runs?tenant=acme"):
        assert (await house.get(place, rival)).status == 403
    assert (await house.get("/v1/runs/r1", bearer("tt-wrong"))).status == 401


async def test_a_hosted_run_shows_how_it_stands_before_its_first_call_too(house):
    def lay(connection):
        lay_run(connection, "h1", "default", "support", "waiting", version="v1", claim=3, recoveries=1)
        lay_question(connection, "h1", "q1", "default", due_seconds=60.0)
        lay_run(connection, "h2", "rival")

    await house.house.database.run(lay)
    told = (await house.get("/v1/runs/h1")).json
    assert (told["calls"], told["nanodollars"], told["usd"]) == (0, 0, "0.000000000")
    assert (told["status"], told["steps"]) == ("open", [])
    hosted = told["hosted"]
    facts = [hosted[name] for name in ("state", "thread", "version", "claim", "recoveries", "error")]
    assert facts == ["waiting", "thread-h1", "v1", 3, 1, ""]
    (question,) = hosted["questions"]
    assert (question["id"], question["value"], question["asked_of"]) == ("q1", "well?", "ada")
    assert question["due_at"] > question["asked_at"]
    await call(house, "h1", "plan")
    told = (await house.get("/v1/runs/h1")).json
    assert (told["calls"], told["hosted"]["state"]) == (1, "waiting")
    assert (await house.get("/v1/runs/h2")).status == 404


async def test_hosted_runs_are_listed_by_state_and_workflow_the_newest_first(house):
    def lay(connection):
        for number in range(7):
            workflow = "odd" if number % 2 else "even"
            lay_run(connection, f"h{number}", "default", workflow, "done" if number < 2 else "queued")
        lay_run(connection, "h9", "rival")

    await house.house.database.run(lay)
    seen, after, pages = [], "", 0
    while True:
        page = (await house.get(f"/v1/runs?limit=3&after={after}")).json
        seen += [run["id"] for run in page["runs"]]
        pages += 1
        if page["next"] is None:
            break
        after = page["next"]
    assert (seen, pages) == ([f"h{number}" for number in (6, 5, 4, 3, 2, 1, 0)], 3)

    async def ids(query):
        return [run["id"] for run in (await house.get(f"/v1/runs?{query}")).json["runs"]]

    assert await ids("state=done") == ["h1", "h0"]
    assert await ids("state=queued,done&workflow=odd") == ["h5", "h3", "h1"]
    assert await ids("state=waiting") == []
    (first, *_) = (await house.get("/v1/runs?state=done")).json["runs"]
    assert (first["state"], first["thread"], first["tenant"]) == ("done", "thread-h1", "default")
    assert "input" not in first


async def test_a_list_that_cannot_be_is_refused(house):
    for query in ("limit=0", "limit=no", "limit=1001", "state=sleeping"):
        answer = await house.get(f"/v1/runs?{query}")
        assert (answer.status, answer.error["param"]) == (400, query.partition("=")[0])


async def test_ten_thousand_queued_runs_are_listed_within_a_tenth_of_a_second(house):
    def lay(connection):
        lay_run(connection, "h", "default", "work", "queued")
        one = connection.execute(run_table.select()).first()._mapping
        rows = [{**one, "id": f"h{number:05}", "input": b"x" * 500} for number in range(10_000)]
        connection.execute(insert(run_table), rows)
        assert workflow_workers.time_now(connection)
        return len(workflow_runs.page(connection, "default", limit=20_000))

    assert await house.house.database.run(lay) == 10_001
    quickest = []
    for query in ("", "?state=queued&workflow=work", "?after=h05000&state=queued"):
        took = []
        for _ in range(5):
            began = time.perf_counter()
            answer = await house.get(f"/v1/runs{query}")
            took.append(time.perf_counter() - began)
            assert len(answer.json["runs"]) == 50
        quickest.append(min(took))
    assert max(quickest) < 0.1
