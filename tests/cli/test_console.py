"""`trimtab console`: the pages alone, on a store that others write to."""

import http.client
import os
import re
import signal
import subprocess
import sys

import pytest

from store.made import Hands
from trimtab.store import Database, url_of, workflow_runs
from trimtab.tenants import create_key
from workflows.made import lay_question, lay_run

ENDPOINT = """
[[endpoint]]
name = "main"
url = "http://127.0.0.1:9/v1"
models = ["m"]
price = { input = 1.0, output = 2.0 }
"""


@pytest.fixture
def store(tmp_path, fresh_database):
    """A store with a key, and a run that asks."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    database = Database(url_of("sqlite", data))

    def lay(connection):
        lay_run(connection, "r1")
        lay_question(connection, "r1", id="q1")

    database.transact(lay)
    (tmp_path / "trimtab.toml").write_text(f'[server]\ndata = "{data}"\n{ENDPOINT}')
    yield database
    database.close()


def command(folder, port=0):
    config = str(folder / "trimtab.toml")
    return [sys.executable, "-m", "trimtab", "console", "-c", config, "--port", str(port)]


@pytest.fixture
def console(tmp_path, store):
    """The process, and the port it listens on."""
    process = subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, text=True, env=os.environ)
    line = process.stdout.readline()
    yield process, int(re.search(r"console at http://127\.0\.0\.1:(\d+)/console", line).group(1))
    if process.poll() is None:
        process.kill()
    process.wait(10)
    process.stdout.close()


def get(port, path, cookie="", body=None):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"cookie": cookie} if cookie else {}
    if body is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    line.request("GET" if body is None else "POST", path, body, headers)
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    return answer.status, text, answer.headers


def test_a_question_is_answered_away_from_the_gateway_and_the_process_ends_when_told(console, store):
    process, port = console
    secret, _ = create_key(store, Hands(), "acme", "ada", "operator")
    for _ in range(100):
        status, _, headers = get(port, "/console/sign-in", body=f"key={secret}")
        if status == 303:
            break
    cookie = headers["set-cookie"].split(";")[0]
    status, page, _ = get(port, "/console/question?run=r1&id=q1", cookie)
    assert status == 200
    token = re.search(r'name="token" value="(\w+)"', page).group(1)
    form = f"token={token}&tenant=acme&run=r1&id=q1&decision=approve"
    assert get(port, "/console/question", cookie, form)[0] == 303
    assert store.transact(lambda c: workflow_runs.find(c, "r1")).state == "queued"
    status, page, _ = get(port, "/console/run/fork", cookie, f"token={token}&tenant=acme&id=r1")
    assert (status, "where its graph is hosted" in page) == (409, True)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


def test_pages_of_the_house_show_what_the_store_knows(console, store):
    _, port = console
    for path in ("", "/runs", "/endpoints", "/settings", "/controllers", "/budgets", "/costs", "/frontier"):
        status, page, _ = get(port, f"/console{path}")
        assert status == 200, path
        assert "open: no key is configured" in page
    # Each page knows prices in its own shape, whichever was asked for them first.
    assert "$1.00" in get(port, "/console/endpoints")[1]
    assert re.search(r"<option[^>]*>m</option>", get(port, "/console/costs")[1])


def test_a_database_of_another_version_is_left_alone(tmp_path):
    (tmp_path / "trimtab.toml").write_text(f'[server]\ndata = "{tmp_path / "data"}"\n')
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "has no tables yet; `trimtab serve` of this version brings it up to date" in done.stderr


def test_a_port_that_is_taken_is_told_in_a_line(tmp_path, console):
    _, port = console
    done = subprocess.run(command(tmp_path, port), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
