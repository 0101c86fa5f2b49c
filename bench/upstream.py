"""The two upstreams behind every target: nginx with a fixed reply, and the streaming model of air."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from bench.body import reply_body
from bench.processes import Fleet

PATH = "/v1/chat/completions"
STATIC_MODEL = "gpt-4o-mini"
STREAM_MODEL = "gpt-4o"
HERE = Path(__file__).resolve().parent

NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_body_buffer_size 64k;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = {path} {{ default_type application/json; return 200 '{reply}'; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Base URLs (they end in /v1) of the static and of the streaming upstream."""

    static: str
    streaming: str


def start_upstreams(fleet: Fleet, python: Path, core: int) -> Upstreams:
    """Start both on `core`, the streaming one by `python`; raises TimeoutError when one does not listen."""
    static, streaming = free_port(), free_port()
    folder = fleet.folder / "nginx"
    folder.mkdir()
    folder.chmod(0o777)
    config = folder / "nginx.conf"
    reply = reply_body(STATIC_MODEL).decode()
    config.write_text(NGINX.format(folder=folder, port=static, path=PATH, reply=reply))
    fleet.start("nginx", ["nginx", "-c", str(config), "-p", str(folder), "-e", "stderr"], core)
    fleet.start("streaming", [str(python), str(HERE / "streaming.py"), str(streaming)], core)
    for port in (static, streaming):
        await_port(port, seconds=10.0)
    return Upstreams(f"http://127.0.0.1:{static}/v1", f"http://127.0.0.1:{streaming}/v1")


def free_port() -> int:
    """A TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_port(port: int, seconds: float) -> None:
    """Return once something listens on `port`; raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port} after {seconds:.0f} s")
