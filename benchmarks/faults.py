"""Servers that falter: what a steady load of requests gets while PostgreSQL or Redis fails in one of its ways.

The service runs as it ships, compose.yaml and no overlay, with a worker. Each fault lasts FAULT_SECONDS in the middle of the
load; what it printed last stands in docs/faults.md.
"""

import http.client
import itertools
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .workbench import (
    LOAD_PROJECT,
    PACKAGE,
    SLUG,
    TOKEN,
    Row,
    Unmeasurable,
    Workbench,
    get,
    inspect,
    quietly,
    run,
    say,
    wait_for,
)

RATE = 50
CALM_SECONDS, FAULT_SECONDS, RECOVERY_SECONDS = 2, 8, 60
# What a client may wait for, whatever happens (seconds), and what it may be told: that trying again helps, that it took too
# long, that there is no space. Anything else but success is wrong.
PATIENCE = 3.0
TRUE_REFUSALS = {503, 504, 507}

NETWORK = f"{LOAD_PROJECT}_default"
# Has the database's disk mounted, which is small and lasts as long as that, and fills it.
DISK, DISK_SIZE = f"{LOAD_PROJECT}-disk", "512m"
# The shipped image with a clock that can be put forward.
AN_HOUR_OFF = "the service's clock an hour ahead"
CLOCK = f"{SLUG}-clock"
CLOCK_DOCKERFILE = f"""
FROM {SLUG}
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends libfaketime \
    && ln -s /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/clock.so
ENV LD_PRELOAD=/usr/lib/clock.so FAKETIME_TIMESTAMP_FILE=/tmp/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
USER app
"""
DONE = "SELECT count(*) FROM users WHERE welcomed_at IS NOT NULL"
PSQL = (
    "exec",
    "--no-TTY",
    "postgres",
    "psql",
    "--username=postgres",
    "--quiet",
    "--tuples-only",
    "--no-align",
    PACKAGE,
)
REDIS = ("exec", "--no-TTY", "redis", "redis-cli")


@dataclass
class Outcome:
    """What became of the requests of one fault."""

    statuses: Counter = field(default_factory=Counter)
    accepted: int = 0
    wrong: int = 0
    slowest: float = 0
    slowest_liveness: float = 0
    readiness: str = ""
    recovered: float = 0
    jobs: str = ""


def faults(workbench: Workbench) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return how each fault begins and how it ends."""
    compose = workbench.compose

    def psql(*statements: str) -> None:
        compose(*PSQL, *(f"--command={statement}" for statement in statements))

    def redis(*words: str) -> None:
        compose(*REDIS, *words)

    def unplug(service: str) -> None:
        run("docker", "network", "disconnect", NETWORK, f"{LOAD_PROJECT}-{service}-1")

    def plug(service: str) -> None:
        run("docker", "network", "connect", f"--alias={service}", NETWORK, f"{LOAD_PROJECT}-{service}-1")

    def occupy() -> None:
        """Take every connection that the server has left: the service keeps its own."""
        sleep = f"psql --username={PACKAGE} --command='SELECT pg_sleep({FAULT_SECONDS})' {PACKAGE}"
        script = f"for i in $(seq 120); do {sleep} & done; wait"
        shell = ("exec", "--detach", "postgres", "sh", "-c", f"{script} >/dev/null 2>&1")
        compose(*shell)

    def fill() -> None:
        run("docker", "exec", DISK, "sh", "-c", "cat /dev/zero >/disk/filler || true")

    def put_clock(offset: str) -> None:
        for service in ("web", "worker"):
            compose("exec", "--no-TTY", service, "sh", "-c", f"echo {offset} >/tmp/clock")

    def nothing() -> None:
        """The fault ends by itself."""

    found = {"nothing (for comparison)": (nothing, nothing)}
    for name, service in (("PostgreSQL", "postgres"), ("Redis", "redis")):
        found |= {
            f"{name} frozen": (
                lambda s=service: compose("pause", s),
                lambda s=service: compose("unpause", s),
            ),
            f"{name} unplugged": (lambda s=service: unplug(s), lambda s=service: plug(s)),
            f"{name} killed": (lambda s=service: compose("kill", s), lambda s=service: compose("start", s)),
            f"{name} restarted": (lambda s=service: compose("restart", s), nothing),
        }
    reload, read_only = "SELECT pg_reload_conf()", "ALTER SYSTEM {} default_transaction_read_only {}"
    return found | {
        "PostgreSQL read-only": (
            lambda: psql(read_only.format("SET", "= on"), reload),
            lambda: psql("SET default_transaction_read_only = off", read_only.format("RESET", ""), reload),
        ),
        "PostgreSQL out of connections": (occupy, nothing),
        "PostgreSQL's disk full": (fill, lambda: run("docker", "exec", DISK, "rm", "/disk/filler")),
        "Redis read-only": (
            lambda: redis("replicaof", "127.0.0.1", "1"),
            lambda: redis("replicaof", "no", "one"),
        ),
        "Redis full": (
            lambda: [redis("config", "set", "maxmemory-policy", "noeviction"), redis("config", "set", "maxmemory", "1")],
            lambda: [redis("config", "set", "maxmemory", "128mb"), redis("config", "set", "maxmemory-policy", "volatile-lru")],
        ),
        AN_HOUR_OFF: (lambda: put_clock("+1h"), lambda: put_clock("+0")),
    }  # fmt: skip


def ask(host: str, method: str, path: str, body: object = None) -> tuple[int, float]:
    """Return the status of an answer, 0 if there was none, and how long it took (seconds)."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, 8000, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        response.read()
        return response.status, time.monotonic() - began
    except (OSError, http.client.HTTPException):
        return 0, time.monotonic() - began
    finally:
        connection.close()


class Load:
    """Requests on the beat, each on a thread of its own, so that none waits for another."""

    def __init__(self, host: str, outcome: Outcome) -> None:
        self.host, self.outcome = host, outcome
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.threads: list[threading.Thread] = []

    def send(self, number: int) -> None:
        """Send a request, and note what became of it: of five, one creates a user, which asks for a job."""
        creates = number % 5 == 0
        path = "/users" if creates else "/users/1" if number % 5 < 4 else "/users/summary"
        user = {"username": f"u{uuid.uuid4().hex[:20]}", "display_name": "New"}
        status, seconds = ask(self.host, "POST" if creates else "GET", path, user if creates else None)
        with self.lock:
            self.outcome.statuses[status] += 1
            self.outcome.accepted += creates and status == 201
            self.outcome.wrong += seconds > PATIENCE or not (200 <= status < 300 or status in TRUE_REFUSALS)
            self.outcome.slowest = max(self.outcome.slowest, seconds)

    def look(self) -> None:
        """Ask whether the process lives."""
        while not self.stop.wait(0.25):
            status, seconds = ask(self.host, "GET", "/livez")
            self.outcome.slowest_liveness = max(
                self.outcome.slowest_liveness, seconds if status == 200 else 99
            )

    def run(self) -> None:
        """Send until told to stop."""
        due = time.monotonic()
        for number in itertools.count():
            due += 1 / RATE
            if self.stop.wait(max(0, due - time.monotonic())):
                return
            thread = threading.Thread(target=self.send, args=(number,))
            thread.start()
            self.threads.append(thread)

    def __enter__(self) -> "Load":
        """Begin."""
        for target in (self.run, self.look):
            thread = threading.Thread(target=target)
            thread.start()
            self.threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        """End, once every answer is there."""
        self.stop.set()
        for thread in self.threads:
            thread.join()


def measure(workbench: Workbench) -> list[Row]:
    """Run each fault, print the table, and return how many requests went wrong in each."""
    image = workbench.shipped
    quietly("docker", "rm", "--force", DISK)
    tmpfs = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", f"o=size={DISK_SIZE}")
    run("docker", "volume", "create", "--driver", "local", *tmpfs, f"{LOAD_PROJECT}_postgres")
    mount = ("--volume", f"{LOAD_PROJECT}_postgres:/disk")
    entrypoint = ("--user=root", "--entrypoint=sleep", image, "infinity")
    run("docker", "run", "--detach", f"--name={DISK}", *mount, *entrypoint)
    try:
        return table(workbench, image)
    finally:
        run("docker", "rm", "--force", DISK)
        workbench.compose("down", "--volumes", "--timeout", "1")


def up(workbench: Workbench, image: str) -> str:
    """Bring the service up with an image, and return its address."""
    workbench.compose("up", "--detach", "--wait", image=image)
    host = inspect("container", f"{LOAD_PROJECT}-web-1")["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    wait_for(host, 8000, "/readyz")
    return str(host)


def table(workbench: Workbench, image: str) -> list[Row]:
    """Run each fault."""
    host = up(workbench, image)
    ask(host, "POST", "/users", {"username": "first", "display_name": "First"})
    while workbench.compose(*PSQL, f"--command={DONE}") != "1":
        time.sleep(0.1)
    print(
        "| fault | requests | answered 2xx | refused, and true | wrong | slowest | slowest `/livez` | `/readyz` says | recovers within | jobs asked for, done |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    chosen = list(faults(workbench).items())
    for name, (begin, end) in chosen[:3] if workbench.quick else chosen:
        say(name)
        if name == AN_HOUR_OFF:
            workbench.build(CLOCK, dockerfile=CLOCK_DOCKERFILE)
            host = up(workbench, CLOCK)
        outcome = one(workbench, host, begin, end)
        sent = sum(outcome.statuses.values())
        fine = sum(number for status, number in outcome.statuses.items() if 200 <= status < 300)
        print(
            f"| {name} | {sent} | {fine} | {sent - fine - outcome.statuses[0]} | {outcome.wrong} | {outcome.slowest:.1f} s "
            f"| {outcome.slowest_liveness:.2f} s | {outcome.readiness} | {outcome.recovered:.1f} s | {outcome.jobs} |",
            flush=True,
        )
        rows.append(
            Row(f"wrong while: {name}", outcome.wrong, "", goal="0", met=outcome.wrong == 0, digits=0)
        )
    return rows


def one(workbench: Workbench, host: str, begin: Callable[[], object], end: Callable[[], object]) -> Outcome:
    """Run a fault in the middle of a load."""
    outcome = Outcome()
    before = int(workbench.compose(*PSQL, f"--command={DONE}"))
    with Load(host, outcome):
        time.sleep(CALM_SECONDS)
        began = time.monotonic()
        begin()
        time.sleep(max(0, FAULT_SECONDS - 1 - (time.monotonic() - began)))
        status, body = get(host, 8000, "/readyz", timeout=PATIENCE)
        checks = json.loads(body or "{}").get("checks", {})
        amiss = [f"{part}: {said}" for part, said in checks.items() if said != "ok"]
        outcome.readiness = "; ".join(amiss or ["ok" if status == 200 else f"{status}, busy"])
        time.sleep(max(0, FAULT_SECONDS - (time.monotonic() - began)))
        end()
        ended = time.monotonic()
        while json.loads(get(host, 8000, "/readyz", timeout=PATIENCE)[1] or "{}").get("status") != "ok":
            if time.monotonic() > ended + RECOVERY_SECONDS:
                raise Unmeasurable(f"It did not recover within {RECOVERY_SECONDS} seconds.")
            time.sleep(0.05)
        outcome.recovered = time.monotonic() - ended
        time.sleep(CALM_SECONDS)
    deadline = time.monotonic() + 200
    while (
        made := int(workbench.compose(*PSQL, f"--command={DONE}")) - before
    ) < outcome.accepted and time.monotonic() < deadline:
        time.sleep(0.5)
    outcome.jobs = f"{outcome.accepted}, {made}"
    return outcome
