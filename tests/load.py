"""A steady load over HTTPS, and what became of each request.

The clients run in a process of their own (this file), so that what the test does meanwhile delays no request.
"""

import contextlib
import http.client
import itertools
import json
import math
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """One request: when it began (seconds since the epoch), how long it took (seconds), and its end."""

    began: float
    seconds: float
    method: str
    connection: str
    outcome: str

    @property
    def failed(self) -> bool:
        """Whether the client has not got what it asked for."""
        return not self.outcome.startswith("2")

    @property
    def ended(self) -> float:
        """When it ended (seconds since the epoch)."""
        return self.began + self.seconds


@dataclass
class Report:
    """What became of the requests; filled when the load ends."""

    requests: list[Request] = field(default_factory=list)
    began: float = 0
    ended: float = 0

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return len(self.requests)

    @property
    def failures(self) -> list[Request]:
        """The requests that failed, the first one first."""
        return [request for request in self.requests if request.failed]

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return len(self.failures)

    @property
    def slowest(self) -> float:
        """The longest that a request took (seconds)."""
        return max((request.seconds for request in self.requests), default=math.nan)

    @property
    def p99(self) -> float:
        """What 99 of 100 requests did not take longer than (seconds)."""
        ordered = sorted(request.seconds for request in self.requests)
        return ordered[math.ceil(len(ordered) * 0.99) - 1] if ordered else math.nan

    @property
    def longest_gap(self) -> float:
        """The longest time without a request that succeeded (seconds): how long a recovery took, at most."""
        successes = sorted(request.ended for request in self.requests if not request.failed)
        times = [self.began, *successes, self.ended]
        return max(after - before for before, after in itertools.pairwise(times))

    def between(self, began: float, ended: float = math.inf) -> "Report":
        """Return the part that began in a span of time (seconds since the epoch)."""
        requests = [request for request in self.requests if began <= request.began <= ended]
        return Report(requests, max(self.began, began), min(self.ended, ended))

    def by_kind(self) -> dict[str, "Report"]:
        """Return the part of each method on kept and on fresh connections."""
        kinds = sorted({(request.method, request.connection) for request in self.requests})
        return {
            " ".join(kind): Report(
                [request for request in self.requests if (request.method, request.connection) == kind],
                self.began,
                self.ended,
            )
            for kind in kinds
        }

    def line(self) -> str:
        """Return the numbers, in one line."""
        return (
            f"{self.sent} requests in {self.ended - self.began:.1f} s, {self.failed} failed, "
            f"slowest {self.slowest:.3f} s, p99 {self.p99:.3f} s, "
            f"longest without a success {self.longest_gap:.3f} s"
        )

    def __str__(self) -> str:
        """Return the numbers of each kind, and the first failures."""
        kinds = (f"{kind}: {part.line()}" for kind, part in self.by_kind().items())
        outcomes = Counter(request.outcome for request in self.requests)
        first = [
            f"{request.began - self.began:.2f} s: {request.method} ({request.connection}) "
            f"{request.outcome} after {request.seconds:.3f} s"
            for request in self.failures[:20]
        ]
        return "\n".join([self.line(), *kinds, str(dict(outcomes)), *first])


@contextlib.contextmanager
def load(
    url: str,
    token: str,
    addresses: list[tuple[str, int]],
    cafile: Path | None = None,
    rate: float = 60,
    clients: int = 6,
    writes: float = 0.2,
    timeout: float = 10,
) -> Iterator[Report]:
    """Send requests from the first one that succeeds to the end of the block, and report on them.

    Args:
        url: What is read; with writes, the collection of users.
        token: The bearer token.
        addresses: Where the name in the URL leads to. Like any client of a name with several addresses, a client
            tries the next one when it gets no connection.
        cafile: The certificate authority's certificate; without it, the server's is not verified.
        rate: Requests a second, of all clients together.
        clients: How many clients; every second one makes a connection for each request.
        writes: The share of requests that create a user or change one.
        timeout: How long a client waits for a connection, and for an answer (seconds).
    """
    options = {"url": url, "token": token, "addresses": addresses, "cafile": cafile and str(cafile)}
    options |= {"rate": rate, "clients": clients, "writes": writes, "timeout": timeout}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with subprocess.Popen(
        [sys.executable, __file__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        report = Report()
        try:
            process.stdin.write(json.dumps(options) + "\n")
            process.stdin.flush()
            began = process.stdout.readline()
            if not began.startswith("began"):
                raise AssertionError(f"No request to {url} succeeded: {began}")
            yield report
        finally:
            process.stdin.close()
            done = json.loads(process.stdout.read() or '{"requests": [], "began": 0, "ended": 0}')
            report.requests = [Request(*request) for request in done["requests"]]
            report.began, report.ended = done["began"], done["ended"]


class Client(threading.Thread):
    """Sends a request at a time, on the beat while they are answered in time."""

    def __init__(self, number: int, options: dict, stop: threading.Event, first: threading.Event):
        super().__init__(daemon=True)
        self.number, self.options, self.stop, self.first = number, options, stop, first
        self.fresh = number % 2 == 1
        self.url = urlsplit(options["url"])
        self.addresses = [tuple(address) for address in options["addresses"]]
        self.context = ssl.create_default_context(cafile=options["cafile"])
        if not options["cafile"]:
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.connection: http.client.HTTPConnection | None = None
        self.created: str | None = None
        self.debt = 0.0
        self.requests: list[tuple] = []
        self.ended = 0.0

    def run(self) -> None:
        """Send requests until told to stop."""
        pause = self.options["clients"] / self.options["rate"]
        due = time.monotonic() + pause * self.number / self.options["clients"]
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            self.send()
            due = max(due + pause, time.monotonic())
        self.ended = time.time()

    def send(self) -> None:
        """Send one request, and record it."""
        method, path, body = self.next()
        # A kept connection counts from its second request on.
        kind = "kept" if self.connection else "fresh"
        began, clock = time.time(), time.monotonic()
        try:
            outcome, answer = self.ask(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            outcome, answer = f"{type(error).__name__}: {error}", b""
            self.close()
        self.requests.append((began, time.monotonic() - clock, method, kind, outcome))
        if outcome.startswith("2"):
            self.first.set()
            if method == "POST":
                self.created = f"{self.url.path}/{json.loads(answer)['id']}"

    def next(self) -> tuple[str, str, dict | None]:
        """Return the next request's method, path and body."""
        self.debt += self.options["writes"]
        if self.debt < 1:
            return "GET", self.url.path + (f"?{self.url.query}" if self.url.query else ""), None
        self.debt -= 1
        if self.created:
            path, self.created = self.created, None
            return "PATCH", path, {"display_name": "Changed"}
        return "POST", self.url.path, {"username": f"u{uuid.uuid4().hex[:20]}", "display_name": "New"}

    def ask(self, method: str, path: str, body: dict | None) -> tuple[str, bytes]:
        """Send a request, and return the status and the body of its answer."""
        if not self.connection:
            self.connection = http.client.HTTPConnection(self.url.hostname, timeout=self.options["timeout"])
            self.connection.sock = self.connect()
        headers = {"Authorization": f"Bearer {self.options['token']}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.fresh:
            headers["Connection"] = "close"
        self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = self.connection.getresponse()
        answer = response.read()
        if self.fresh or response.will_close:
            self.close()
        return str(response.status), answer

    def connect(self) -> ssl.SSLSocket:
        """Return a connection to the first address that gives one."""
        for turn in range(len(self.addresses)):
            address = self.addresses[(self.number // 2 + turn) % len(self.addresses)]
            try:
                plain = socket.create_connection(address, self.options["timeout"])
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self.context.wrap_socket(plain, server_hostname=self.url.hostname)
            except OSError:
                if turn == len(self.addresses) - 1:
                    raise
        raise AssertionError("no address")

    def close(self) -> None:
        """Let the connection go."""
        if self.connection:
            self.connection.close()
            self.connection = None


def main() -> None:
    """Take the options from standard input, run until it closes, and print the requests as JSON."""
    options = json.loads(sys.stdin.readline())
    stop, first = threading.Event(), threading.Event()
    began = time.time()
    clients = [Client(number, options, stop, first) for number in range(options["clients"])]
    for client in clients:
        client.start()
    if not first.wait(30):
        print(f"after 30 s: {clients[0].requests[-1:]}", flush=True)
        return
    print("began", flush=True)
    began = time.time()
    sys.stdin.read()
    stop.set()
    for client in clients:
        client.join()
    requests = sorted(request for client in clients for request in client.requests if request[0] >= began)
    json.dump(
        {"requests": requests, "began": began, "ended": max(client.ended for client in clients)}, sys.stdout
    )


if __name__ == "__main__":
    main()
