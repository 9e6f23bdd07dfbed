"""Runs inside a container and prints JSON: `boot COMMAND…`, `run COMMAND…`, `look PACKAGE` or `processes`."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path


def boot(command):
    """Start a server, wait for the first 200, stop it, and return the seconds in between."""
    started = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None and time.perf_counter() - started < 30:
            connection = HTTPConnection("127.0.0.1", 8000, timeout=5)
            try:
                connection.request("GET", "/livez")
                if connection.getresponse().status == 200:
                    return time.perf_counter() - started
            except OSError:
                time.sleep(0.002)
            finally:
                connection.close()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    sys.exit("The server did not start.")


def command(words):
    """Run a command, and return the seconds it took."""
    started = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def look(package):
    """Hold this environment against the contract as the server does at its start, and return the seconds that took."""
    parity = importlib.import_module("parity")
    app = importlib.import_module(package).create_app()
    started = time.perf_counter()
    parity.check_at_start(app)
    return time.perf_counter() - started


def processes():
    """Return PSS and RSS (kB) and CPU time (seconds) of the container's first process and of its children."""
    found = []
    children = Path("/proc/1/task/1/children").read_text().split()
    for path in [Path("/proc") / pid for pid in ("1", *sorted(children, key=int))]:
        if path.exists():
            # What stands after the name in parentheses; the ticks in user and system mode are 12th and 13th.
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            sizes = re.findall(r"^(Pss|Rss):\s+(\d+) kB$", (path / "smaps_rollup").read_text(), re.MULTILINE)
            cpu = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
            found.append({"cpu": cpu} | {name.lower(): int(value) for name, value in sizes})
    return found


if __name__ == "__main__":
    action, *arguments = sys.argv[1:]
    if action == "look":
        print(json.dumps(look(*arguments)))
    elif action == "processes":
        print(json.dumps(processes()))
    else:
        print(json.dumps((boot if action == "boot" else command)(arguments)))
