"""The console in real Chromium, on a store that the demo and a replay of recorded runs have filled: every page in light
and dark, at phone width, without JavaScript, audited by axe; every act by hand; nothing but the keyboard."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from console import browsing
from console.browsing import PHONE, WIDE, window
from controllers.tiny import pack
from gateway.served import ask, endpoint
from reception.answering import asked, bearer, over
from traces.made import call, entry, keep
from trimtab.controllers import Registry
from trimtab.store import (
    RunQuery,
    Standing,
    ThreadRow,
    calls,
    keys,
    run_pages,
    workflow_questions,
    workflow_threads,
)
from workflows.made import lay_run

DATA = Path(os.environ.get("TRIMTAB_DATA", Path(__file__).parents[3] / "shared" / "data"))
RUNS = DATA / "tau2_traces" / "runs.jsonl.gz"
_LACKING = browsing.lacking()
if _LACKING and browsing.SCREENSHOTS:
    pytest.fail(f"{_LACKING} is missing", pytrace=False)
pytestmark = pytest.mark.skipif(bool(_LACKING), reason=f"`make test-console` installs {_LACKING}")
LOOKS = {
    "light": {"size": WIDE},
    "dark": {"size": WIDE, "scheme": "dark"},
    "phone": {"size": PHONE},
    "no script": {"size": WIDE, "script": False},
}


def trimtab(*arguments):
    command = [sys.executable, "-m", "trimtab", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A store with the demo's runs, and some recorded ones where the recordings are."""
    folder = tmp_path_factory.mktemp("filled")
    trimtab("demo", "--runs", "30", "--no-learn", "--data", str(folder))
    if RUNS.is_file():
        some = folder / "some.jsonl"
        with gzip.open(RUNS, "rt") as every:
            some.write_text("".join(line for number, line in enumerate(every) if number % 40 == 0))
        trimtab("replay", str(some), "--data", str(folder))
    return folder / "trimtab.sqlite"


@pytest.fixture
async def served(filled, tmp_path, serve, upstream):
    """A house on the filled store that hosts a workflow which asks, with a run that waits for an answer."""
    (tmp_path / "house").mkdir()
    shutil.copy(filled, tmp_path / "house" / "trimtab.sqlite")
    text = (
        f"{endpoint(upstream)}\n"
        '[workflow.work]\ngraph = "workflows.own_graphs:asking"\n'
        '[[budget]]\nscope = "tenant"\nlimit_usd = 5.0\n'
    )
    made = await serve(text)
    sent = {"x-trimtab-run": "mine", "x-trimtab-workflow": "chat"} | bearer(await made.key("acme", "ada"))
    answer = await made.post(ask(text="Hello <b>there</b>"), headers=sent)
    assert answer.status == 200
    made.waiting = await asked(made)
    return made


@pytest.fixture
async def browser():
    async with browsing.chromium() as made:
        yield made


def paths_of(served):
    """Every page that is there to see, by name."""
    found = served.house.database.transact(
        lambda c: run_pages.page(c, RunQuery(sorting="dearest"), Standing(), 1)
    )
    run = found[0].run
    made = served.house.database.transact(lambda c: calls.of_run(c, run.tenant, run.id))[0]
    (question,) = served.house.database.transact(
        lambda c: workflow_questions.open_of_run(c, served.waiting.id)
    )
    key = served.house.database.transact(keys.everyone)[-1]
    return {
        "now": "/console",
        "runs": "/console/runs",
        "runs narrowed": "/console/runs?status=completed&sort=dearest",
        "runs by state": "/console/runs?state=waiting",
        "run": f"/console/run?tenant={run.tenant}&id={run.id}",
        "hosted run": f"/console/run?tenant=acme&id={served.waiting.id}",
        "call": f"/console/call?tenant={run.tenant}&run={run.id}&id={made.call.id}",
        "costs": "/console/costs",
        "costs by step": "/console/costs?by=step&range=30d",
        "frontier": "/console/frontier",
        "inbox": "/console/inbox",
        "question": f"/console/question?tenant=acme&run={served.waiting.id}&id={question.id}",
        "endpoints": "/console/endpoints",
        "budgets": "/console/budgets",
        "limit of a key": f"/console/keys/limit?id={key.id}",
        "controllers": "/console/controllers",
        "settings": "/console/settings",
        "nowhere": "/console/nowhere",
    }


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_is_sound_and_fits(served, browser, look):
    key = await served.key("default", "root", "admin")
    faults = []
    async with window(browser, served.url, **LOOKS[look]) as seen:
        await seen.open("/console/sign-in")
        await seen.picture(f"sign in {look}")
        if look != "no script":
            faults += [f"sign in: {said}" for said in await seen.violations()]
        await seen.sign_in(key)
        for name, path in paths_of(served).items():
            answer = await seen.open(path)
            assert answer.status == (404 if name == "nowhere" else 200), name
            await seen.picture(f"{name} {look}")
            said = [] if look == "no script" else await seen.violations()
            if (wider := await seen.overflow()) > 0:
                said.append(f"it is {wider} px wider than the window")
            weight = len(await answer.body())
            if weight > 120_000:
                said.append(f"it weighs {weight} bytes")
            said += [each for each in seen.complaints if "404" not in each]
            faults += [f"{name}: {each}" for each in said]
    assert not faults, "\n".join(faults)


async def test_calls_open_in_place_and_now_moves_without_a_reload(served, browser):
    key = await served.key("default", "root", "admin")
    async with window(browser, served.url) as seen:
        await seen.sign_in(key)
        await seen.open("/console/run?tenant=acme&id=mine")
        await seen.page.click(".fall details summary")
        await seen.page.wait_for_selector(".fall .inner h3")
        text = await seen.page.inner_text(".fall .inner")
        assert "Hello <b>there</b>" in text
        assert "gpt-small@main" in text
        await seen.open("/console")
        await seen.page.wait_for_selector("section[data-fresh]", timeout=8_000)
        assert seen.complaints == []


async def test_the_keyboard_alone_reaches_and_opens_everything(served, browser):
    key = await served.key("default", "root", "admin")
    async with window(browser, served.url) as seen:
        await seen.page.goto(f"{served.url}/console/sign-in")
        await seen.page.wait_for_selector("input[name=key]:focus")
        await seen.page.keyboard.type(key)
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_url(f"{served.url}/console")
        await seen.open("/console/run?tenant=acme&id=mine")
        await seen.page.keyboard.press("Tab")
        assert await seen.page.evaluate("document.activeElement.className") == "skip"
        await seen.page.keyboard.press("Enter")
        for _ in range(20):
            await seen.page.keyboard.press("Tab")
            if await seen.page.evaluate("document.activeElement.tagName") == "SUMMARY":
                break
        outline = await seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_selector(".fall .inner h3")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_people_act_by_clicks(served, browser, script):
    key = await served.key("acme", "ada", "operator")
    async with window(browser, served.url, script=script) as seen:
        page = seen.page
        page.on("dialog", lambda dialog: dialog.accept())
        await seen.sign_in(key)
        await page.click("text=Inbox")
        await page.click("main table a")
        await page.fill("textarea[name=reason]", "fine by me")
        await page.click("button:has-text('Approve')")
        assert "answered" in await page.inner_text("main")
        run = await over(served, served.waiting.id)
        assert json.loads(run.output)["log"][1] == {"decision": "approve", "reason": "fine by me"}
        again = await asked(served)
        await page.click("text=Runs")
        await page.select_option("select[name=state]", "waiting")
        await page.click("button:has-text('Show')")
        await page.click("main table a")
        assert again.id in page.url
        await page.click("button:has-text('Cancel')")
        assert "cancelled" in await page.inner_text("main")
        await page.click("button:has-text('Fork')")
        assert again.id not in page.url
        await page.click("button:has-text('Sign out')")
        assert "API key" in await page.inner_text("main")


@pytest.mark.parametrize(
    ("button", "form", "told"),
    [
        ("Reject", {"reason": "no\nnever"}, {"decision": "reject", "reason": "no\r\nnever"}),
        ("Edit", {"value": '{"refund": 5}'}, {"decision": "edit", "value": {"refund": 5}}),
        ("Answer with the value as it is", {"value": '"granted"'}, "granted"),
    ],
)
async def test_questions_are_answered_in_every_way_by_clicks(served, browser, button, form, told):
    async with window(browser, served.url, script=False) as seen:
        await seen.sign_in(await served.key("acme", "ada", "operator"))
        await seen.page.click("text=Inbox")
        await seen.page.click("main table a")
        for name, text in form.items():
            await seen.page.fill(f"textarea[name={name}]", text)
        await seen.page.click(f"button:has-text('{button}')")
        run = await over(served, served.waiting.id)
        assert json.loads(run.output)["log"][1] == told


async def test_a_failed_run_is_retried_by_a_click(served, browser):
    def lay(connection):
        lay_run(connection, "broken", state="failed")
        workflow_threads.lay(connection, ThreadRow("acme", "thread-broken", "work", "{}", "broken", 1.0, 1.0))

    served.house.workflows.leave_runs()
    served.house.database.transact(lay)
    async with window(browser, served.url) as seen:
        await seen.sign_in(await served.key("acme", "ada", "operator"))
        await seen.open("/console/run?tenant=acme&id=broken")
        await seen.page.click("button:has-text('Retry')")
        assert "retry a run" in await seen.page.inner_text("main")


async def test_keys_are_made_and_revoked_by_clicks(served, browser):
    async with window(browser, served.url) as seen:
        page = seen.page
        page.on("dialog", lambda dialog: dialog.accept())
        await seen.sign_in(await served.key("default", "root", "admin"))
        await page.click("text=Budgets & keys")
        form = page.locator("form[action$='/keys/create']")
        await form.locator("input[name=tenant]").fill("newcomer")
        await form.locator("select[name=role]").select_option("viewer")
        await form.locator("button").click()
        secret = await page.locator("main pre, main code").first.inner_text()
        assert secret.startswith("tt-")
        await page.click("text=Budgets & keys")
        await page.locator("tr", has_text="newcomer").locator("a:has-text('none')").click()
        await page.locator("main input[name=limit_usd]").fill("2.5")
        await page.locator("main select[name=window]").select_option("day")
        await page.locator("main form button").click()
        assert "$2.5 a day" in await page.locator("tr", has_text="newcomer").first.inner_text()
        async with window(browser, served.url) as theirs:
            await theirs.sign_in(secret)
            assert "viewer · newcomer" in await theirs.page.inner_text("header")
            assert "Settings" not in await theirs.page.inner_text("header")
            await page.click("text=Budgets & keys")
            await page.locator("tr", has_text="newcomer").locator("button:has-text('Revoke')").click()
            await theirs.page.goto(f"{served.url}/console/runs")
            assert "sign-in" in theirs.page.url
        assert "revoked" in await page.locator("tr", has_text="newcomer").first.inner_text()


async def test_controllers_are_put_to_work_and_taken_off_by_clicks(served, browser, tmp_path):
    rules = [{"when": "order", "calls": [["get_order", {"id": "W1"}]]}]
    pack(Registry(tmp_path / "house" / "controllers"), tmp_path / "made", rules, version="1")
    async with window(browser, served.url) as seen:
        page = seen.page
        page.on("dialog", lambda dialog: dialog.accept())
        await seen.sign_in(await served.key("default", "root", "admin"))
        await page.click("text=Controllers")
        await page.click("main table a")
        assert await seen.violations() == []
        await seen.picture("controller light")
        for button, state in (("Let it look on", "shadow"), ("Enable", "enabled"), ("Disable", "disabled")):
            await page.click(f"button:has-text('{button}')")
            assert state in await page.inner_text("dl.tiles")


async def test_costs_are_drilled_and_taken_as_csv_and_a_run_tried_otherwise(served, browser):
    async with window(browser, served.url) as seen:
        page = seen.page
        await seen.sign_in(await served.key("default", "root", "admin"))
        await page.click("text=Costs")
        await page.click("main table a:has-text('parts-support')")
        assert "workflow=parts-support" in page.url
        async with page.expect_download() as coming:
            await page.click("text=These lines as CSV")
        file = await (await coming.value).path()
        assert "nanodollars" in Path(file).read_text().splitlines()[0]
        await seen.open("/console/run?tenant=acme&id=mine")
        await page.click("text=Open as what-if")
        await page.select_option("select[name=policy]", "cheapest")
        await page.click("button:has-text('Try')")
        assert "0 of 1 calls would have moved" in await page.inner_text("main")
        assert await seen.violations() == []
        await seen.picture("what if light")


async def test_names_that_are_markup_run_nothing(served, browser):
    evil = "<img src=x onerror=\"window.run='yes'\"><script>window.run='yes'</script>"
    hostile = {"run": evil, "workflow": evil, "step": evil, "user": evil}
    keep(served.house.database, call("c-evil", asked=evil, status="failed", code=evil, **hostile))
    keep(served.house.database, entry("e-evil", 5, reason=evil, model=evil, **hostile))
    async with window(browser, served.url) as seen:
        await seen.sign_in(await served.key("acme", "ada", "admin"))
        for path in (
            "/console/runs?tenant=acme&until=2030-01-01&sort=oldest",
            f"/console/run?tenant=acme&id={quote(evil)}",
            f"/console/call?tenant=acme&run={quote(evil)}&id=c-evil",
            "/console/costs?tenant=acme&by=step&range=90d",
            f"/console/runs?workflow={quote(evil)}&user={quote(evil)}",
        ):
            await seen.open(path)
            assert await seen.page.evaluate("window.run") is None, path
            assert seen.complaints == [], path
