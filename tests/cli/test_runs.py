"""`trimtab runs`: what hosted runs stand at, and what to do with them, from a process that drives none."""

import json
import re

from sqlalchemy import update

from trimtab.store import Database, url_of
from trimtab.store.workflow_schema import run as run_table


def begun(hosted, tenant="acme"):
    """A run that came to its first end; its id."""
    done = hosted("run", "support", "--input", '{"log": []}', "--tenant", tenant)
    (id,) = set(re.findall(r"run ([0-9a-z]{26})", done.output))
    return id


def told(done):
    assert done.exit_code == 0, done.output + str(done.exception)
    return json.loads(done.stdout)


def test_runs_are_listed_page_by_page_and_narrowed(hosted, tmp_path):
    failed = begun(hosted)
    others = [begun(hosted, tenant) for tenant in ("acme", "other")]
    listed = told(hosted("runs", "list", "--json"))
    assert [row["id"] for row in listed] == [others[1], others[0], failed]
    assert [row["state"] for row in listed] == ["done", "done", "failed"]
    first = hosted("runs", "list", "--limit", "2")
    assert f"older ones: --after {others[0]}" in first.stderr
    page = told(hosted("runs", "list", "--limit", "2", "--after", others[0], "--json"))
    assert [row["id"] for row in page] == [failed]
    for words, found in (
        (("--tenant", "other"), [others[1]]),
        (("--state", "failed,parked"), [failed]),
        (("--workflow", "nothing"), []),
    ):
        assert [row["id"] for row in told(hosted("runs", "list", *words, "--json"))] == found
    table = hosted("runs", "list").stdout
    assert "ValueError: this once" in table
    assert failed in table
    assert "lost is none of queued" in str(hosted("runs", "list", "--state", "lost").exception)


def test_a_run_is_shown_with_what_it_waits_for_and_where_it_can_be_forked(hosted):
    hosted.hosts("asking")
    run = begun(hosted)
    shown = told(hosted("runs", "show", run, "--json"))
    assert (shown["state"], shown["claim"], shown["recoveries"], shown["worker"]) == ("waiting", 1, 0, None)
    assert [asked["value"] for asked in shown["questions"]] == [{"refund": 20}]
    points = [(point["step"], point["to_come"]) for point in shown["checkpoints"]]
    assert points == [(1, ["asks"]), (0, ["first"]), (-1, ["__start__"])]
    text = hosted("runs", "show", run, "--tenant", "acme").stdout
    for part in ("waiting", '{"refund":20}', shown["thread"], shown["checkpoints"][0]["id"], "asks"):
        assert part in text
    assert "there is no hosted run" in str(hosted("runs", "show", run, "--tenant", "other").exception)


def test_a_run_that_waits_is_cancelled_once(hosted):
    hosted.hosts("asking")
    run = begun(hosted)
    assert "no hosted run" in str(hosted("runs", "cancel", run, "--tenant", "other").exception)
    assert hosted("runs", "cancel", run).stdout == f"run {run} is cancelled\n"
    assert f"run {run} is over: cancelled" in str(hosted("runs", "cancel", run).exception)


def test_a_failed_run_is_queued_again_and_gone_on_with(hosted):
    run = begun(hosted)
    assert told(hosted("runs", "retry", run, "--json"))["state"] == "queued"
    assert "is queued; only a parked or failed run" in str(hosted("runs", "retry", run).exception)
    assert told(hosted("run", "--resume", run, "--json"))["output"] == {"log": ["first", "second"]}


def test_a_run_is_forked_here_or_for_a_worker(hosted):
    run = begun(hosted)
    assert hosted("runs", "fork", run, "--step", "1").exit_code == 0
    (queued,) = told(hosted("runs", "list", "--state", "queued", "--json"))
    assert (queued["origin"].partition(":")[0], queued["tenant"]) == ("fork", "acme")
    change = ("--update", '{"log": ["other"]}', "--as-node", "first", "--run", "--json")
    done = told(hosted("runs", "fork", run, "--step", "0", *change))
    assert (done["state"], done["output"]) == ("done", {"log": ["other", "second"]})
    assert done["run"] not in (run, queued["id"])
    shown = told(hosted("runs", "show", run, "--json"))
    named = hosted("runs", "fork", run, "--from", shown["checkpoints"][0]["id"], "--run")
    assert "support done" in named.stdout
    for words, said in (
        (("--step", "7"), "no step 7"),
        (("--update", "{", "--step", "0"), "not JSON"),
        (("--tenant", "other"), "no hosted run"),
    ):
        refused = hosted("runs", "fork", run, *words)
        assert said in str(refused.exception)
    assert len(told(hosted("runs", "list", "--json"))) == 4


def test_a_run_is_moved_to_the_version_that_is_hosted_now(hosted, tmp_path):
    hosted.hosts("asking")
    run = begun(hosted)
    hosted.hosts("asking", 'version = "two"\n')
    assert "here is two-" in str(hosted("run", "--resume", run, "--answer", '"yes"').exception)
    lost = hosted("runs", "move", run, "--to-version", "one")
    assert re.search("version two-.* of 'support' is hosted here, not one", str(lost.exception))
    moved = told(hosted("runs", "move", run, "--json"))
    assert moved["version"].startswith("two-")
    assert moved["state"] == "queued"
    assert told(hosted("run", "--resume", run, "--json"))["output"]["log"] == ["first", "yes"]
    hosted.hosts("failing")
    other = begun(hosted)
    hosted.hosts("cancelling")
    set_state(tmp_path, other, "parked")
    refused = str(hosted("runs", "move", other).exception)
    assert re.search(
        "goes on with second, which version .* of 'support', hosted here, does not have", refused
    )


def set_state(folder, id, state):
    database = Database(url_of("sqlite", folder))
    database.transact(lambda c: c.execute(update(run_table).where(run_table.c.id == id).values(state=state)))
    database.close()
