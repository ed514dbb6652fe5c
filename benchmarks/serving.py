"""Serving a catalogue at 100 connections, beside nginx on the same files: requests a second and the 95th percentile."""

import contextlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.catalogue_builds import write_builds
from benchmarks.command import COMMAND
from benchmarks.figure import Figure
from coreml_updatable.publishing.catalogue.publish import publish

CONNECTIONS, TURNS, MODELS, SIZE = 100, 3, 20, 10_000_000
WANTED = {"index.json": ("index.json", 4), "a 10 MB model": ("models/Model0/1.0/Model0.mlmodel", 90)}
# and seconds: a measurement that is hardly longer than one answer takes tells its own length as the percentile
PERCENTILES = """
done = function(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
  io.write(string.format("result %d %d %f %d %d\\n", summary.requests, summary.duration, latency:percentile(95),
    failed, summary.errors.timeout))
end
"""
CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  types {{ application/json json; }}
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {site}; }}
}}
"""


@dataclass(frozen=True)
class Load:
    """What `wrk` saw: answers a second, and the milliseconds in which 95 of 100 were complete."""

    rate: float
    milliseconds: float
    failed: int


def figures() -> list[Figure]:
    """Each server alone in its turn; the client shares the machine with it."""
    for program, package in (("wrk", "wrk"), ("nginx", "nginx-light")):
        if shutil.which(program) is None:
            sys.exit(f"no {program} on the path, which this benchmark needs; on Debian: apt-get install {package}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker is another user where this runs as root
        site = folder / "site"
        publish(write_builds(folder / "builds", [f"Model{number}" for number in range(MODELS)], SIZE), site)
        (folder / "percentiles.lua").write_text(PERCENTILES)
        seen: dict[tuple[str, str], list[Load]] = {}
        for _ in range(TURNS):
            for server in (_ours, _nginx):
                with server(site, folder) as address:
                    for what, (place, seconds) in WANTED.items():
                        loads = seen.setdefault((what, server.__name__), [])
                        loads.append(_load(f"{address}{place}", seconds, folder))
    return [_figure(what, seen[what, "_ours"], seen[what, "_nginx"]) for what in WANTED]


def _figure(what: str, ours: list[Load], peer: list[Load]) -> Figure:
    share = _rate(ours) / _rate(peer)
    bound = f"{share:.2f} of nginx's rate; none may fail"
    return Figure(f"serve {what}, {CONNECTIONS} connections", _told(ours), bound, f"nginx {_told(peer)}")


def _rate(loads: list[Load]) -> float:
    return statistics.median(one.rate for one in loads)


def _told(loads: list[Load]) -> str:
    late, failed = statistics.median(one.milliseconds for one in loads), sum(one.failed for one in loads)
    return f"{_rate(loads):.0f} a second, 95% within {late:.0f} ms, {failed} failed"


def _load(url: str, seconds: int, folder: Path) -> Load:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "60s", "-s"]
    ran = subprocess.run([*command, str(folder / "percentiles.lua"), url], capture_output=True, text=True, check=True)
    found = re.search(r"^result (\d+) (\d+) ([\d.]+) (\d+) (\d+)$", ran.stdout, re.MULTILINE)
    if found is None:
        sys.exit(f"wrk did not tell its figures: {ran.stdout}")
    requests, duration, late, failed, timeouts = (float(one) for one in found.groups())
    return Load(requests / duration * 1e6, late / 1000, int(failed + timeouts))


@contextlib.contextmanager
def _ours(site: Path, folder: Path) -> Iterator[str]:
    port = _free_port()
    with _running([COMMAND, "serve", str(site), "--port", str(port)], port, folder) as address:
        yield address


@contextlib.contextmanager
def _nginx(site: Path, folder: Path) -> Iterator[str]:
    port, configuration = _free_port(), folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, site=site, port=port))
    with _running(["nginx", "-p", str(folder), "-c", str(configuration)], port, folder) as address:
        yield address


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[str]:
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(port, process, folder)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"a server did not start: {(folder / 'server.log').read_text()}")


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
