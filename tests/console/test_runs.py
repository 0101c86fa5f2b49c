"""The pages of runs: lists that are URLs, a run's waterfall, a call opened, acts on hosted runs."""

import asyncio
import html
import json
import re

import pytest

from console.visiting import page, words
from gateway.served import ask
from reception.answering import asked, over
from traces.made import call, entry, keep, outcome, paid
from trimtab.core import Attribution, Call, CallRecord
from trimtab.store import ThreadRow, audit, workflow_threads
from workflows.made import lay_run

EVIL = '<script>alert("x")</script>"\'&{{7*7}}'


async def filled(house):
    """Runs of two tenants, one of them with hostile names."""
    records = []
    for number in range(70):
        tenant = "acme" if number % 2 else "other"
        who = {"run": f"run-{number:03}", "tenant": tenant, "workflow": "w", "user": f"u{number % 3}"}
        one = call(f"c{number:03}", at=float(number), **who)
        records += [one, paid(one, number * 1_000)]
    hostile = {"at": 90.0, "run": EVIL, "workflow": EVIL, "step": EVIL}
    records.append(call("c-bad", asked=EVIL, status="failed", code=EVIL, **hostile))
    records.append(entry("e-bad", 5, reason=EVIL, model=EVIL, **hostile))
    keep(house.house.database, *records, outcome(1.0, run="run-001"), outcome(0.0, run="run-003"))


def runs_in(answer):
    return re.findall(r'href="/console/run\?tenant=(\w+)&amp;id=([\w-]+)"', page(answer))


async def test_runs_are_paged_by_key_and_no_run_comes_twice(house, guests):
    await filled(house)
    guest = await guests(house, "admin")
    for sort in ("newest", "dearest", "slowest", "oldest", "cheapest", "fastest"):
        first = await guest.get(f"/console/runs?sort={sort}&workflow=w")
        following = html.unescape(re.search(r'href="([^"]*after=[^"]*)" rel="next"', page(first)).group(1))
        found = runs_in(first) + runs_in(await guest.get(following))
        assert len(found) == len(set(found)) == 70, sort
        if sort in ("newest", "dearest"):
            assert [id for _, id in found] == [f"run-{number:03}" for number in reversed(range(70))]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("user=u1", 23),
        ("tenant=other", 35),
        ("status=completed", 1),
        ("status=not+completed", 1),
        ("cost_from=0.00006", 10),
        ("cost_from=0.00006&cost_to=0.00006", 1),
        ("seconds_from=2", 0),
        ("run=run-007", 1),
        ("state=queued", 0),
        ("until=2001-01-01", 0),
    ],
)
async def test_a_filter_in_the_url_narrows_the_list(house, guests, query, count):
    await filled(house)
    guest = await guests(house, "admin")
    assert len(runs_in(await guest.get(f"/console/runs?{query}&workflow=w"))) == count


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("status=whatever", "status is one of completed, not completed, unknown, open"),
        ("cost_from=much", "cost_from is a number from 0 on, not 'much'"),
        ("seconds_to=-1", "seconds_to is a number from 0 on"),
        ("since=yesterday", "write a span (90m, 24h, 7d) or a date"),
        ("after=bm90IG91cnM=", "`after` is not where a page of ours ended"),
        (
            "after=WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMCwiYSIsImIiXQ==",
            "`after` is not where a page of ours ended",
        ),
        ("after=WzEsIlx1MDAwMGEiLCJiIl0=", "`after` is not where a page of ours ended"),
        ("sort=best", "sort is one of newest"),
        ("user=%00", "user has a NUL character"),
    ],
)
async def test_a_filter_that_cannot_be_read_says_which_and_why(house, guests, query, said):
    answer = await (await guests(house, "admin")).get(f"/console/runs?{query}")
    assert answer.status == 400
    assert said in words(answer)


async def test_a_viewer_of_one_tenant_sees_nothing_of_another(house, guests):
    await filled(house)
    guest = await guests(house, "viewer", tenant="acme")
    for path in ("/console/runs", "/console/runs?tenant=other", "/console/runs?workflow=w&tenant=other"):
        assert {tenant for tenant, _ in runs_in(await guest.get(path))} == {"acme"}
    for path in ("/console/run?tenant=other&id=run-002", "/console/call?tenant=other&run=run-002&id=c002"):
        answer = await guest.get(path)
        assert answer.status == 403
        assert "u2" not in words(answer)
    # A run of another tenant by its bare id is not there either.
    assert (await guest.get("/console/run?id=run-002")).status == 404
    assert (await guest.get("/console/live/run?tenant=other&id=run-002")).status == 403
    assert "other" not in words(await guest.get("/console?tenant=other"))


async def test_hostile_names_are_text_on_every_page(house, guests):
    from urllib.parse import urlencode

    await filled(house)
    guest = await guests(house, "admin")
    whole = urlencode({"tenant": "acme", "id": EVIL})
    detail = urlencode({"tenant": "acme", "run": EVIL, "id": "c-bad"})
    call_page = f"/console/call?{detail}"
    paths = ("/console/runs", f"/console/run?{whole}", call_page, f"{call_page}&part=1", "/console")
    for path in paths:
        answer = await guest.get(path)
        assert answer.status == 200
        assert "<script>alert" not in page(answer)
        assert "alert(&#34;x&#34;)&lt;/script&gt;&#34;&#39;&amp;49" not in page(answer)
    assert EVIL in words(await guest.get(f"/console/run?{whole}"))


async def test_a_run_shows_its_steps_calls_and_critical_path(house, guests):
    records = [
        call("root", at=0.0, seconds=10.0, step="plan"),
        call("slow", at=1.0, seconds=5.0, step="plan", parent="root"),
        call("quick", at=1.0, seconds=1.0, step="search"),
        call("last", at=10.0, seconds=2.0, step="sum up"),
    ]
    keep(house.house.database, *records, paid(records[0], 1_500_000_000), outcome(1.0))
    answer = await (await guests(house, "viewer")).get("/console/run?id=r1")
    text = words(answer)
    for said in ("plan", "search", "sum up", "$1.50", "completed", "12.0 s"):
        assert said in text
    marked = re.findall(r'id="c-(\w+)"[^>]*>\s*<summary class="critical">', page(answer))
    assert marked == ["root", "last"]


async def test_a_call_opens_to_its_decision_attempts_ledger_and_content(house, guests, upstream):
    key = await house.key("acme", "ada")
    sent = {"authorization": f"Bearer {key}", "x-trimtab-run": "mine", "x-trimtab-step": "plan"}
    assert (await house.post(ask(text="What <b>now</b>?"), headers=sent)).status == 200
    guest = await guests(house, "viewer")
    shown = await guest.get("/console/run?id=mine")
    (id,) = re.findall(r'id="c-(\w+)"', page(shown))
    for part in ("", "&part=1"):
        answer = await guest.get(f"/console/call?run=mine&id={id}{part}")
        text = words(answer)
        for said in (
            "Policy",
            "pinned",
            "gpt-small@main",
            "answered",
            "exact",
            "Attempts",
            "Ledger",
            "curl http://",
        ):
            assert said in text
        assert "What <b>now</b>?" in text
        assert "<b>now" not in page(answer)
        assert "x-trimtab-run: mine" in text
    assert (await guest.get("/console/call?run=mine&id=none")).status == 404


async def test_content_that_is_not_kept_is_said_to_be_missing(serve, upstream, guests):
    from gateway.served import endpoint

    served = await serve(f'{endpoint(upstream)}\n[traces]\ncontent = "drop"\n')
    await served.post(ask(text="secret words"), headers={"x-trimtab-run": "mine"})
    guest = await guests(served)
    (id,) = re.findall(r'id="c-(\w+)"', page(await guest.get("/console/run?id=mine&tenant=default")))
    answer = await guest.get(f"/console/call?tenant=default&run=mine&id={id}")
    assert "Not kept" in words(answer)
    assert "secret words" not in page(answer)


async def test_a_long_run_is_shown_in_pages(house, guests):
    keep(house.house.database, *[call(f"c{number:03}", at=float(number)) for number in range(200)])
    guest = await guests(house, "viewer")
    first = await guest.get("/console/run?id=r1")
    assert len(re.findall(r'id="c-', page(first))) == 149
    assert len(first.body) < 150_000
    second = html.unescape(re.search(r'href="([^"]*from=150[^"]*)"', page(first)).group(1))
    assert len(re.findall(r'id="c-', page(await guest.get(second)))) == 51


async def test_a_live_run_is_told_again_until_it_is_over(house, guests):
    house.house.database.transact(lambda c: None)
    await house.post(ask(), headers={"x-trimtab-run": "mine"})
    guest = await guests(house)
    shown = await guest.get("/console/run?tenant=default&id=mine")
    assert 'data-live="/console/live/run?tenant=default&amp;id=mine"' in page(shown)
    async with guest.session.get(f"{guest.url}/console/live/run?tenant=default&id=mine") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        first = await _event(stream)
        assert "gpt-small" in first
        await house.post({"reward": 1.0}, "/v1/runs/mine/outcome")
        events = [await _event(stream), await _event(stream)]
    assert "completed" in events[0]
    assert "event: over" in events[1]


async def _event(stream):
    async with asyncio.timeout(8):
        lines = []
        while True:
            line = (await stream.content.readline()).decode().rstrip("\n")
            if not line and any(not each.startswith("retry") for each in lines):
                return "\n".join(lines)
            if line:
                lines.append(line)


async def test_now_counts_the_calls_of_the_last_hour(house, guests):
    now = house.clock.now()
    records = []
    for number in range(30):
        who = Attribution("acme" if number < 20 else "other", f"r{number}")
        made = Call(f"c{number}", now - 120 - number, "chat", "m", who, 10, 5)
        status = "refused" if number == 0 else "ok"
        records.append(
            CallRecord(made, status, 0.5, code="queue_full" if number == 0 else "", nanodollars=1_000_000)
        )
    keep(house.house.database, *records)
    text = words(await (await guests(house, "admin", user="root")).get("/console"))
    assert re.search(r"Calls, last hour\s+30", text)
    assert re.search(r"Refused\s+1\s+3.3 %", text)
    assert "queue_full" in text
    mine = words(await (await guests(house, "viewer", tenant="acme")).get("/console"))
    assert re.search(r"Calls, last hour\s+20", mine)
    assert "Endpoints" not in mine


async def test_hosted_runs_are_cancelled_and_the_act_is_kept(hosting, guests):
    served = await hosting("asking")
    run = await asked(served)
    guest = await guests(served, "operator")
    shown = await guest.get(f"/console/run?id={run.id}")
    assert "waiting" in words(shown)
    answer = await guest.act("/console/run/cancel", {"tenant": "acme", "id": run.id})
    assert answer.status == 303
    assert (await over(served, run.id)).state == "cancelled"
    (act,) = served.house.database.transact(lambda c: audit.latest(c, "acme", 9))
    assert (act.by, act.action, act.subject) == ("ada", "cancel a run", run.id)
    again = await guest.act("/console/run/cancel", {"tenant": "acme", "id": run.id})
    assert (again.status, "is over" in words(again)) == (409, True)
    assert "cancel a run" in words(await guest.get(f"/console/run?id={run.id}"))


async def test_a_failed_run_is_retried_and_a_finished_one_forked(hosting, guests):
    served = await hosting("asking")

    def lay(connection):
        lay_run(connection, "broken", state="failed")
        thread = ThreadRow("acme", "thread-broken", "work", "{}", "broken", 1.0, 1.0)
        workflow_threads.lay(connection, thread)

    served.house.database.transact(lay)
    guest = await guests(served, "operator")
    answer = await guest.act("/console/run/retry", {"tenant": "acme", "id": "broken"})
    assert answer.status == 303
    run = await asked(served)
    await guest.act("/console/run/cancel", {"tenant": "acme", "id": run.id})
    await over(served, run.id)
    shown = page(await guest.get(f"/console/run?id={run.id}"))
    (checkpoint, *_) = re.findall(r'<option value="([^"]+)">step', shown)
    forked = await guest.act("/console/run/fork", {"tenant": "acme", "id": run.id, "checkpoint": checkpoint})
    assert forked.status == 303
    assert "fork" in words(await guest.get(forked.headers["location"]))


async def test_viewers_and_other_tenants_cannot_act(hosting, guests):
    served = await hosting("asking")
    run = await asked(served)
    viewer = await guests(served, "viewer")
    other = await guests(served, "operator", tenant="other")
    for verb in ("cancel", "retry", "fork"):
        assert (await viewer.act(f"/console/run/{verb}", {"tenant": "acme", "id": run.id})).status == 403
        assert (await other.act(f"/console/run/{verb}", {"tenant": "acme", "id": run.id})).status == 403
        assert (await other.act(f"/console/run/{verb}", {"tenant": "other", "id": run.id})).status == 404
    shown = page(await viewer.get(f"/console/run?id={run.id}"))
    assert "<form" not in shown.split("</header>")[1]
    assert (await served.house.workflows.find(run.id)).state == "waiting"


async def test_queued_runs_are_listed_by_state_before_their_first_call(hosting, guests):
    served = await hosting("asking")
    served.house.database.transact(lambda c: lay_run(c, "early", state="parked"))
    guest = await guests(served, "viewer")
    assert runs_in(await guest.get("/console/runs?state=parked")) == [("acme", "early")]
    shown = await guest.get("/console/run?id=early")
    assert "no model call yet" in words(shown)
    assert json.dumps("early") not in words(shown)


async def test_a_run_that_is_too_long_to_draw_says_so(house, guests, monkeypatch):
    from trimtab.console import run as run_page

    monkeypatch.setattr(run_page, "_MOST_CALLS", 2)
    keep(house.house.database, *[call(f"c{number}", at=float(number)) for number in range(3)])
    answer = await (await guests(house, "viewer")).get("/console/run?id=r1")
    assert "With 3 calls it is too long to draw" in words(answer)


async def test_an_act_that_cannot_be_noted_is_not_done(hosting, guests, monkeypatch):
    from trimtab.core.errors import StoreUnavailable

    served = await hosting("asking")
    run = await asked(served)
    guest = await guests(served, "operator")
    form = {"tenant": "acme", "id": run.id, "token": await guest.token()}

    def broken(connection, row):
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(audit, "add", broken)
    assert (await guest.send("/console/run/cancel", form)).status == 503
    assert (await served.house.workflows.find(run.id)).state == "waiting"
