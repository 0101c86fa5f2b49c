"""Files that `trimtab traces export` wrote, played again."""

import msgspec
import pytest

from trimtab.core import Usage
from trimtab.core.errors import DataError
from trimtab.simulation import LocalServer, Traffic, calls_of, cassette_app, load_cassette, replay_runs
from trimtab.simulation.records import read_domains, read_threads
from trimtab.simulation.transcript import tools_of


def test_a_run_and_its_threads_are_read_as_one(exported_runs):
    runs = list(read_threads(exported_runs))
    assert [len(threads) for threads in runs] == [2, 1]
    first, second = runs[0]
    assert first.reward is None
    assert (first.run_id, second.id) == (second.run_id, f"{first.id}.thread-1")
    assert first.run_id != runs[1][0].run_id


def test_calls_of_an_export_are_told_as_they_were_made(exported_runs):
    thread = next(read_threads(exported_runs))[0]
    domain = read_domains(exported_runs)["lamps"]
    first, second = calls_of(thread, domain)
    assert (first.step, first.model, first.seconds) == ("triage", "claude-sonnet-4-5", 0.5)
    assert [message.role for message in first.messages] == ["system", "assistant", "user"]
    assert first.messages[0].content == "Be dim."
    assert msgspec.json.decode(first.messages[2].content[0])["type"] == "image_url"
    assert first.reply.usage == Usage(100, 20, 60, 10, reasoning_tokens=5)
    assert first.reply.tool_calls[0].function.arguments == "not json"
    assert (second.model, second.reply.usage) == ("helper", None)  # an estimate is not what was told
    assert b"look" in bytes(tools_of(thread, domain))


@pytest.mark.parametrize("mode", ["plain", "stream"])
async def test_an_export_replays_unaltered_and_its_unknown_outcome_stays_unknown(exported_runs, mode):
    cassette = load_cassette(exported_runs)
    assert (cassette.runs, cassette.runs_left_out, len(cassette)) == (1, 1, 3)
    async with LocalServer(cassette_app(cassette)) as server:
        report = await Traffic(server.url, mode=mode).drive(replay_runs(exported_runs, "acme", "key"), 1)
    assert (len(report.calls), report.calls_failed, report.altered_replies) == (3, 0, 0)
    assert (report.endings, report.completed, report.unknown) == ({"done": 1}, 0, 1)
    assert (report.outcomes_posted, report.outcomes_rejected) == (0, 0)
    assert (report.runs[0].agent, report.runs[0].user) == ("helper", "ann")
    billed = {each.model: each.usage for each in cassette.billed()}
    assert billed["claude-sonnet-4-5"] == Usage(100, 20, 60, 10, reasoning_tokens=5)


def test_a_file_with_nothing_to_play_says_who_is_in_it_and_what_to_do(exported_runs):
    with pytest.raises(DataError, match=r"no run of nobody is in it; its agents.*helper \(2\)") as caught:
        load_cassette(exported_runs, ("nobody",))
    assert "--agents" in caught.value.remedy
    lines = exported_runs.read_text(encoding="utf-8").splitlines(keepends=True)
    exported_runs.write_text(lines[2], encoding="utf-8")
    with pytest.raises(DataError, match="none of the chosen runs has a call") as caught:
        load_cassette(exported_runs)
    assert caught.value.file == str(exported_runs)
    assert "content" in caught.value.remedy
    exported_runs.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="no run is in it"):
        load_cassette(exported_runs)


def test_a_thread_told_twice_is_refused(exported_runs):
    lines = exported_runs.read_text(encoding="utf-8").splitlines(keepends=True)
    exported_runs.write_text(lines[0] * 2, encoding="utf-8")
    with pytest.raises(DataError, match="trial"):
        load_cassette(exported_runs)
