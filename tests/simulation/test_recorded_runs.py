"""Reading recorded runs, and telling them as calls."""

import gzip
import json
from pathlib import Path

import msgspec
import pytest

from trimtab.core import Rates, usd_text
from trimtab.core.errors import DataError
from trimtab.simulation import calls_of, read_domains, read_runs


def first_error(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_runs(path))
    return caught.value


@pytest.mark.parametrize(
    ("agent", "input_usd", "output_usd", "total"),
    [("claude-opus-4-6", 5, 25, "10.547140000"), ("claude-sonnet-4-5", 3, 15, "6.603399000")],
)
def test_recorded_usage_at_list_prices_is_the_recorded_cost(tau2_runs, agent, input_usd, output_usd, total):
    rates = Rates(input=input_usd * 1_000_000_000, output=output_usd * 1_000_000_000)
    runs = [run for run in read_runs(tau2_runs) if run.agent == agent]
    usages = [call.reply.usage for run in runs for call in calls_of(run, None)]
    assert usd_text(sum(rates.cost(usage) for usage in usages if usage)) == total
    assert sum(run.agent_cost_usd or 0 for run in runs) == pytest.approx(float(total))


def test_agents_recorded_without_usage_have_no_known_cost(tau2_runs):
    runs = [run for run in read_runs(tau2_runs) if run.agent in ("gpt-oss-120b", "toolorchestra")]
    assert all(run.agent_cost_usd is None for run in runs)
    assert all(call.reply.usage is None for run in runs for call in calls_of(run, None))


def test_every_recorded_run_has_its_own_id_fit_for_a_path(tau2_runs):
    ids = [run.id for run in read_runs(tau2_runs)]
    assert len(ids) == len(set(ids)) == 371
    assert all(
        set(each) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") for each in ids
    )


def test_a_call_sees_what_the_assistant_saw(own_runs):
    run = next(read_runs(own_runs))
    calls = list(calls_of(run, read_domains(own_runs)["lamps"]))
    assert [call.step for call in calls] == ["open", "after-tool", "after-user"]
    assert [call.seconds for call in calls] == pytest.approx([0.25, 0.25, 0.1])
    roles = [message.role for message in calls[-1].messages]
    assert roles == ["system", "assistant", "user", "assistant", "tool", "tool", "assistant", "user"]
    assert "press" not in str(calls[-1].messages)
    assert msgspec.json.decode(calls[0].reply.tool_calls[0].function.arguments) == {
        "lamp": "ünï",
        "deep": {"x": [1, 2.5]},
    }


def test_without_a_domains_file_there_is_no_system_prompt(own_runs):
    (own_runs.parent / "domains.jsonl").unlink()
    assert read_domains(own_runs) == {}
    call = next(calls_of(next(read_runs(own_runs)), None))
    assert [message.role for message in call.messages] == ["assistant", "user"]


def test_a_missing_field_is_named_with_its_line(own_runs):
    broken = json.loads(own_runs.read_text(encoding="utf-8"))
    del broken["messages"][3]["role"]
    with own_runs.open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps(broken) + "\n")
    error = first_error(own_runs)
    assert (error.line, error.field) == (3, "$.messages[3]")
    assert "role" in str(error)
    assert error.remedy


def test_a_line_that_is_not_json_is_named(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_bytes(b"{half")
    assert (first_error(path).line, "not JSON" in str(first_error(path))) == (1, True)


def test_arguments_must_be_an_object(own_runs):
    text = own_runs.read_text(encoding="utf-8").replace(
        '"name": "list", "arguments": {}', '"name": "list", "arguments": 3'
    )
    own_runs.write_text(text, encoding="utf-8")
    assert "arguments" in str(first_error(own_runs))


def test_a_truncated_gzip_file_says_how_much_is_whole(own_runs, tmp_path):
    path = tmp_path / "cut.jsonl.gz"
    lines = "".join(own_runs.read_text(encoding="utf-8").replace("Hello", f"Hello {n}") for n in range(2000))
    path.write_bytes(gzip.compress(lines.encode())[:-200])
    error = first_error(path)
    assert "cut off" in str(error)
    assert error.line > 1


def test_a_damaged_gzip_file_and_a_missing_one_are_told_apart(own_runs, tmp_path):
    path = tmp_path / "damaged.jsonl.gz"
    packed = bytearray(gzip.compress(own_runs.read_bytes()))
    packed[40] ^= 0xFF
    path.write_bytes(packed)
    assert "damaged" in str(first_error(path)) or "not JSON" in str(first_error(path))
    assert "no such file" in str(first_error(tmp_path / "nowhere.jsonl"))
