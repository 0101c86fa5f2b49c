"""`trimtab worker`: drives what a gateway queues, shows its health, lets steps end when it is told to stop."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

import trimtab
from trimtab.cli import app

SETTINGS = """
[server]
data = "{data}"
port = 0
[[endpoint]]
name = "nowhere"
url = "http://127.0.0.1:9/v1"
models = ["gpt-small"]
[[tenant]]
name = "eu"
partition = "eu"
[hosting]
drive = false
[workflow.work]
graph = "workflows.fork_graphs:{graph}"
"""
TESTS, SOURCE = Path(__file__).parents[1], Path(trimtab.__file__).parents[1]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Processes on one database: `place.process("worker", "--port", "0")` is one, with its first line."""
    return Place(tmp_path, monkeypatch)


class Place:
    def __init__(self, folder, monkeypatch):
        self.folder, self.config = folder, folder / "trimtab.toml"
        self.effects = folder / "effects"
        self.effects.touch()
        monkeypatch.setenv("EFFECTS", str(self.effects))
        self.processes = []

    def gateway(self):
        """A gateway that drives nothing; begins a run and returns its id."""
        self.config.write_text(SETTINGS.format(data=self.folder, graph="patient"))
        url = self.process("serve")[1].split()[1]

        def begin():
            status, text = asked(f"{url}/runs", {"assistant_id": "work", "input": {"log": []}})
            assert status == 200, text
            return json.loads(text)["run_id"]

        return begin

    def process(self, *words):
        environ = os.environ | {"PYTHONPATH": f"{SOURCE}:{TESTS}", "PYTHONUNBUFFERED": "1"}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "trimtab", *words, "-c", str(self.config)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environ,
                text=True,
            )
        self.processes.append(process)
        line = process.stdout.readline()
        assert line, (self.folder / "log").read_text()
        return process, line

    def runs(self, *words):
        done = CliRunner().invoke(app, ["runs", *words, "-c", str(self.config), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def until(self, what):
        deadline = time.monotonic() + 30
        while not what():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.fixture(autouse=True)
def _closed(place):
    yield
    place.close()


def asked(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_gateway_leaves_runs_to_workers(place):
    begin = place.gateway()
    (place.folder / "go").touch()
    run = begin()
    assert place.runs("show", run)["state"] == "queued"
    worker, line = place.process("worker", "--port", "0", "--runs", "3")
    assert " drives work, at most 3 runs at once; http://127.0.0.1:" in line
    place.until(lambda: place.runs("show", run)["state"] == "done")
    assert place.runs("show", run)["output"] == {"log": ["plan", "wait", "send"], "tone": "kind"}
    url = line.split("; ")[1].strip().removesuffix("/metrics")
    assert asked(f"{url}/healthz") == (200, '{"status":"ok"}')
    status, text = asked(f"{url}/metrics")
    assert (status, "trimtab_" in text) == (200, True)
    status, text = asked(f"{url}/v1/models")
    assert (status, "calls go to `trimtab serve`" in text) == (404, True)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    _, line = place.process("worker", "--partition", "eu", "--partition", "us")
    assert "at most 64 runs at once, of eu, us" in line


def test_a_first_signal_lets_the_step_end_and_a_second_does_not(place):
    begin = place.gateway()
    run = begin()
    worker, _ = place.process("worker")
    place.until(lambda: "wait" in place.effects.read_text())
    shown = place.runs("show", run)
    assert (shown["state"], shown["worker"]["pid"]) == ("running", worker.pid)
    worker.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.5)
    (place.folder / "go").touch()
    assert worker.wait(20) == 0
    shown = place.runs("show", run)
    assert (shown["state"], shown["checkpoints"][0]["to_come"]) == ("queued", ["send"])

    (place.folder / "go").unlink()
    place.effects.write_text("")
    run = begin()
    worker, _ = place.process("worker")
    place.until(lambda: "wait" in place.effects.read_text())
    worker.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.5)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(10) == 130
    shown = place.runs("show", run)
    assert (shown["state"], shown["checkpoints"][0]["to_come"]) == ("queued", ["wait"])


def test_a_worker_without_a_graph_is_refused(place):
    place.config.write_text(f'[server]\ndata = "{place.folder}"\n')
    refused = CliRunner().invoke(app, ["worker", "-c", str(place.config)])
    assert "no workflow is hosted" in str(refused.exception)
