"""The page of costs: sums that are the ledger's, narrowed by click, as CSV, and only one's own; what was saved."""

import csv
import html
import io
import re
from collections import Counter

import pytest

from console.visiting import page, words
from gateway.served import PRICE, ask, cost, endpoint
from traces.made import call, chat_bytes, entry, keep, paid, reply_bytes
from trimtab.console.savings import ModelSpend, cost_at, instead, spared
from trimtab.console.spending import FIELDS, cost_query
from trimtab.console.spreadsheet import inert
from trimtab.core import Price, Rates, Usage
from trimtab.core.errors import BadRequest
from trimtab.store import SpendSums

EVIL = '<script>alert("x")</script>"\'&{{7*7}}'
DAYS = "since=2025-10-09&until=2025-10-10"
DAY = 86_400


async def filled(house):
    """Two tenants, two days, three steps, a tool, a guess, an unpriced attempt, one without workflow."""
    records = []
    for number in range(24):
        who = {
            "run": f"run-{number % 6}",
            "tenant": "acme" if number % 2 else "other",
            "workflow": "desk" if number % 3 else "night",
            "user": f"u{number % 4}",
            "step": f"s{number % 3}",
            "model": "gpt-small" if number % 4 else "gpt-large",
        }
        one = call(f"c{number}", at=float(DAY * (number % 2)) + number, usage=Usage(100, 10, 40), **who)
        records += [one, paid(one, 1_000 + number, certainty="estimated" if number == 3 else "exact")]
    records.append(
        entry("tool", 50_000, kind="tool", model="lookup", endpoint="", workflow="desk", step="s1")
    )
    records.append(entry("unpriced", 0, certainty="unpriced", usage=Usage(7, 7), user="u9", workflow=""))
    keep(house.house.database, *records)


async def table(guest, query):
    """The CSV's lines by name."""
    answer = await guest.get(f"/console/costs.csv?{query}")
    assert answer.status == 200, page(answer)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith('attachment; filename="costs-by-')
    lines = list(csv.reader(io.StringIO(answer.body.decode())))
    return {line[0]: dict(zip(lines[0][1:], line[1:], strict=True)) for line in lines[1:]}


async def test_the_sums_are_the_ledgers_whichever_way_they_are_grouped(house, guests):
    await filled(house)
    guest = await guests(house, "admin")
    rows = await house.entries()
    for field in FIELDS:
        expected, count = Counter(), Counter()
        for row in rows:
            day = "2025-10-10" if row.at >= 20_371 * DAY else "2025-10-09"
            name = day if field == "day" else getattr(row, field)
            expected[name] += row.nanodollars
            count[name] += 1
        found = await table(guest, f"by={field}&{DAYS}")
        assert {each: int(row["nanodollars"]) for each, row in found.items()} == expected, field
        assert {each: int(row["entries"]) for each, row in found.items()} == count, field
    whole = sum(row.nanodollars for row in rows)
    shown = await guest.get(f"/console/costs?{DAYS}")
    assert f"$0.{whole:09}" in words(shown)


async def test_every_row_leads_to_itself_alone_and_groups_by_what_comes_next(house, guests):
    await filled(house)
    guest = await guests(house, "admin")
    first = await guest.get(f"/console/costs?by=workflow&{DAYS}")
    address = html.unescape(
        re.search(r'class="lead"><a href="([^"]*workflow=desk[^"]*)">desk', page(first)).group(1)
    )
    assert "by=step" in address
    narrowed = await guest.get(address)
    assert "workflow: desk" in words(narrowed)
    assert "<h2>By step</h2>" in page(narrowed)
    mine = await table(guest, address.partition("?")[2])
    rows = [row for row in await house.entries() if row.workflow == "desk"]
    assert sum(int(row["nanodollars"]) for row in mine.values()) == sum(row.nanodollars for row in rows)
    step = html.unescape(re.search(r'class="lead"><a href="([^"]*step=s1[^"]*)">s1', page(narrowed)).group(1))
    last = await guest.get(step)
    assert "workflow: desk" in words(last)
    assert "step: s1" in words(last)
    # Taking one narrowing away leaves the other.
    back = html.unescape(re.search(r'href="([^"]*)" aria-label="Remove workflow desk"', page(last)).group(1))
    assert "step=s1" in back
    assert "workflow=desk" not in back


async def test_what_has_no_name_can_be_narrowed_to_as_well(house, guests):
    await filled(house)
    guest = await guests(house, "admin")
    shown = page(await guest.get(f"/console/costs?by=user&{DAYS}"))
    found = re.search(r'class="lead"><a href="([^"]*without=user[^"]*)"><span class="faint">\(none\)', shown)
    address = html.unescape(found.group(1))
    mine = await table(guest, address.partition("?")[2])
    assert sum(int(row["nanodollars"]) for row in mine.values()) == 50_000


async def test_rows_lead_to_the_runs_they_are_about(house, guests):
    await filled(house)
    guest = await guests(house, "admin")
    shown = page(await guest.get(f"/console/costs?by=user&workflow=desk&{DAYS}"))
    address = html.unescape(re.search(r'href="([^"]*)" aria-label="Runs of u1"', shown).group(1))
    runs = await guest.get(address)
    assert runs.status == 200
    assert "user=u1" in address
    assert "workflow=desk" in address
    assert "until=2025-10-11" in address
    assert "/console/run?" in page(runs)
    steps = page(await guest.get(f"/console/costs?by=step&{DAYS}"))
    assert 'aria-label="Runs of' not in steps


async def test_users_and_steps_are_not_offered_together(house, guests):
    await filled(house)
    guest = await guests(house, "admin")
    shown = page(await guest.get(f"/console/costs?user=u1&{DAYS}"))
    group = re.search(r'aria-label="Group by">(.*?)</nav>', shown, re.DOTALL).group(1)
    assert "Step" not in group
    assert "Endpoint" not in group
    assert "Model" in group
    group = re.search(
        r'aria-label="Group by">(.*?)</nav>',
        page(await guest.get(f"/console/costs?step=s1&{DAYS}")),
        re.DOTALL,
    ).group(1)
    assert "User" not in group
    for query in ("by=step&user=u1", "by=user&step=s1", "user=u1&step=s1"):
        refused = await guest.get(f"/console/costs?{query}&{DAYS}")
        assert refused.status == 400
        assert "are not summed" in words(refused)


@pytest.mark.parametrize(
    "query",
    [
        "by=nothing",
        "range=8d",
        "since=yesterday",
        "since=2025-13-01",
        "since=1960-01-01",
        "since=2025-10-10&until=2025-10-09",
        "since=2001-01-01",
        "until=9999-12-31&since=9990-01-01",
        "against=gpt-unheard-of",
        "without=colour",
        "without=tenant",
    ],
)
async def test_what_cannot_be_read_is_told_kindly(house, guests, query):
    guest = await guests(house, "admin")
    assert (await guest.get(f"/console/costs?{query}")).status == 400


async def test_a_tenants_viewer_sees_its_own_sums_only(house, guests):
    await filled(house)
    guest = await guests(house, "viewer", tenant="other")
    mine = sum(row.nanodollars for row in await house.entries() if row.tenant == "other")
    for query in (DAYS, f"{DAYS}&tenant=acme", f"by=tenant&{DAYS}", f"by=day&tenant=acme&{DAYS}"):
        found = await table(guest, query)
        assert sum(int(row["nanodollars"]) for row in found.values()) == mine, query
        shown = await guest.get(f"/console/costs?{query}")
        assert f"$0.{mine:09}" in words(shown)
        assert "acme" not in page(shown).replace("tenant=acme", "")
        assert "lookup" not in page(shown)
    group = re.search(r'aria-label="Group by">(.*?)</nav>', page(shown), re.DOTALL).group(1)
    assert "Tenant" not in group
    nobody = await guests(house)
    for path in ("/console/costs", "/console/costs.csv"):
        assert (await nobody.get(path)).status == 303


async def test_a_tenants_viewer_sees_a_sample_of_its_own_prompts_only(house, guests):
    tools = [{"type": "function", "function": {"name": "secret_tool", "parameters": {}}}]
    theirs = call("c1", request=chat_bytes([{"role": "user", "content": "hi"}], tools=tools), tenant="acme")
    keep(house.house.database, theirs, paid(theirs, 5))
    viewer, admin = await guests(house, "viewer", tenant="other"), await guests(house, "admin")
    seen = await admin.get(f"/console/costs?tenant=acme&{DAYS}")
    assert "secret_tool" in page(seen)
    for query in (DAYS, f"tenant=acme&{DAYS}"):
        assert "secret_tool" not in page(await viewer.get(f"/console/costs?{query}"))


async def test_hostile_names_are_inert_on_the_page_and_in_the_csv(house, guests):
    tools = [{"type": "function", "function": {"name": EVIL, "parameters": {}}}]
    where = {"workflow": EVIL, "step": EVIL, "user": EVIL, "model": EVIL, "endpoint": EVIL}
    bad = call("c1", request=chat_bytes([{"role": "user", "content": EVIL}], tools=tools), **where)
    formulas = [entry(f"f{i}", i, workflow=f"{mark}1+1") for i, mark in enumerate("=+-@\t")]
    keep(house.house.database, bad, paid(bad, 5), *formulas)
    guest = await guests(house, "admin")
    for field in FIELDS:
        text = page(await guest.get(f"/console/costs?by={field}&{DAYS}"))
        assert "<script>alert" not in text
        shown = page(await guest.get(f"/console/costs?by=workflow&{DAYS}"))
    address = html.unescape(re.search(r'class="lead"><a href="([^"]*script[^"]*)"', shown).group(1))
    narrowed = await guest.get(address)
    assert narrowed.status == 200
    assert "<script>alert" not in page(narrowed)
    assert "&lt;script&gt;" in page(narrowed)
    assert "{{7*7}}" in page(narrowed)
    found = await table(guest, f"by=workflow&{DAYS}")
    assert {"'=1+1", "'+1+1", "'-1+1", "'@1+1", "'\t1+1", EVIL} == set(found)


def test_cells_that_a_spreadsheet_would_run_are_marked_as_text():
    assert [inert(text) for text in ("=1", "+1", "-1", "@x", "\tx", "\rx")] == [
        "'=1", "'+1", "'-1", "'@x", "'\tx", "'\rx"
    ]  # fmt: skip
    assert [inert(text) for text in ("a=1", "", "'=1")] == ["a=1", "", "'=1"]


async def test_a_page_shows_the_dearest_hundred_and_the_csv_has_all(house, guests):
    keep(house.house.database, *[entry(f"e{n}", 1_000 + n, workflow=f"w{n:03}") for n in range(230)])
    guest = await guests(house, "admin")
    shown = await guest.get(f"/console/costs?by=workflow&{DAYS}")
    assert len(re.findall(r'class="lead"><a href=', page(shown))) == 100
    assert "there are more" in words(shown)
    assert "w229" in page(shown)
    assert "w129" not in page(shown)
    assert len(shown.body) < 150_000
    assert len(await table(guest, f"by=workflow&{DAYS}")) == 230


async def test_two_years_of_days_stay_a_light_page(house, guests):
    keep(house.house.database, *[entry(f"e{n}", 1_000 + n, at=-DAY * n) for n in range(731)])
    guest = await guests(house, "admin")
    shown = await guest.get("/console/costs?by=day&since=2023-10-10&until=2025-10-09")
    assert len(re.findall(r'class="lead"><a href=', page(shown))) == 100
    assert "These are the 100 newest" in words(shown)
    assert len(shown.body) < 150_000


async def test_a_real_call_is_there_today_and_its_prompt_taken_apart(house, guests):
    answered = await house.post(ask(text="one two three"), headers={"x-trimtab-workflow": "desk"})
    assert answered.status == 200
    line = await house.entry()
    guest = await guests(house, "admin", tenant="local")
    found = await table(guest, "range=today&by=workflow")
    assert int(found["desk"]["nanodollars"]) == line.nanodollars > 0
    shown = await guest.get("/console/costs?range=today&workflow=desk")
    assert "From 1 call of the 1 newest run" in re.sub(r"\s+", " ", words(shown))


async def test_the_counterfactual_is_the_same_tokens_at_the_others_price(serve, upstream, guests):
    house = await serve(endpoint(upstream, models='"gpt-small", "gpt-large"'))
    one = call("c1", usage=Usage(1_000_000, 100_000, 500_000), model="tiny", run="r")
    keep(house.house.database, one, paid(one, 300_000_000))
    guest = await guests(house, "admin")
    shown = await guest.get(f"/console/costs?against=gpt-large&{DAYS}")
    whole = cost(Usage(1_000_000, 100_000, 500_000))
    assert whole == 2_000_000_000
    assert "$2.00 $1.70" in re.sub(r"\s+", " ", words(shown))
    # No model that served is one of the settings: nothing is compared unasked.
    assert "No model that served has a known price" in words(await guest.get(f"/console/costs?{DAYS}"))


def sums(entries=1, input=0, cached=0, output=0, paid=0, unpriced=0, upstream=0, saved=0):
    return SpendSums((), entries, input, cached, output, paid, 0, unpriced, upstream, saved)


def test_cached_tokens_cost_their_own_price_and_long_prompts_their_tier():
    price = Price((Rates(10, 100, cached=1), Rates(20, 200, cached=2, above_input_tokens=1_001)))
    usage = Usage(2_000_000, 1_000_000, 1_000_000)
    assert cost_at(price, 2_000, usage) == 10 + 1 + 100
    assert cost_at(price, 1_000, usage) == 20 + 2 + 200


def test_the_dearest_model_that_served_is_what_the_rest_is_held_against():
    prices = {"large": PRICE, "small": Price((Rates(1, 1),)), "idle": Price((Rates(10**12, 10**12),))}
    rows = [
        ModelSpend("small", "a", sums(3, 1_000_000, 0, 1_000_000, paid=2)),
        ModelSpend("large", "a", sums(1, 1_000_000, 0, 1_000_000, paid=11_000_000_000)),
        ModelSpend("small", "b", sums(1, 0, 0, 1_000_000, unpriced=1)),
        ModelSpend("far", "gateway", sums(1, 5, 0, 5, upstream=7)),
        ModelSpend("vectors", "a", sums(9, 1_000_000, 0, 0, paid=5)),
        ModelSpend("decider", "", sums(4, saved=9)),
    ]
    found = instead(rows, prices, "")
    assert found.against == "large"
    assert [(line.model, line.attempts, line.saved) for line in found.lines] == [
        ("small", 3, 11_000_000_000 - 2),
        ("large", 1, 0),
    ]
    assert found.left_out == ["small", "far"]
    assert instead(rows, prices, "small").total.saved == 2 + 2 - 2 - 11_000_000_000
    assert instead(rows, {}, "") is None


def test_cached_answers_are_worth_what_attempts_of_their_model_cost_on_the_average():
    rows = [
        ModelSpend("m", "a", sums(4, paid=40)),
        ModelSpend("m", "", sums(3)),
        ModelSpend("quiet", "", sums(2)),
        ModelSpend("decider", "", sums(5, saved=9)),
    ]
    found = spared(rows, {"m", "quiet"})
    assert (found.recalled, found.recalled_nanodollars, found.unknown, found.decided) == (5, 30, 2, 5)


def test_a_query_comes_back_from_its_own_address():
    asked = {"by": "step", "workflow": "w", "model": "m", "since": "2026-01-01", "until": "2026-01-31"}
    query = cost_query(asked, "acme", 1.8e9, own=True)
    assert query.asked == asked
    assert cost_query(query.asked, "acme", 1.8e9, own=True) == query
    empty = query.narrowed("step", "")
    assert cost_query(empty.asked, "acme", 1.8e9, own=True) == empty
    day = query.narrowed("day", "20000")
    assert (day.since, day.until, day.by) == (20_000, 20_000, "step")
    with pytest.raises(BadRequest):
        cost_query({"by": "user", "step": "s"}, None, 1.8e9, own=False)


async def test_cached_and_decided_answers_are_told_as_saved(house, guests):
    one = call("c1", model="gpt-small", endpoint="main", request=chat_bytes([]), reply=reply_bytes("a"))
    keep(
        house.house.database,
        one,
        paid(one, 40_000_000),
        entry("hit", 0, model="gpt-small", endpoint="", reason="recalled"),
        entry("decided", 0, model="desk/step", endpoint="", reason="decided", saved_nanodollars=7_000_000),
    )
    guest = await guests(house, "admin")
    shown = re.sub(r"\s+", " ", words(await guest.get(f"/console/costs?{DAYS}")))
    assert "Steps that took no model $0.00700 1 answer" in shown
    assert "Answers from the cache $0.0400 1 answer" in shown
