"""Serving: throughput, start and memory of the service, next to a bare view of the same table in the same image."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .workbench import (
    LOAD_PROJECT,
    PACKAGE,
    ROOT,
    SLUG,
    THREADS,
    WORKERS,
    Load,
    Row,
    Unmeasurable,
    Workbench,
    inspect,
    load,
    median,
    run,
    say,
    wait_for,
)

THROUGHPUT = 0.75
P99 = 1.5
# 0.6 s where the bare application takes 0.35 s.
BOOT = 0.6 / 0.35
# The contract, held against the environment: by the command, and by each start.
CHECK_SECONDS = 1
LOOK_SECONDS = 0.15
PSS_MIB = 150
GROWTH = 1.10
# How often a round is taken again.
ATTEMPTS = 8

# The shipped image with both servers in it, whichever of them ships.
BOTH = f"{SLUG}-both"
BOTH_DOCKERFILE = f"""
FROM ghcr.io/astral-sh/uv:0.13 AS uv
FROM {SLUG}
USER root
RUN --mount=from=uv,source=/uv,target=/uv --mount=type=cache,target=/root/.cache/uv \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy VIRTUAL_ENV=/opt/venv /uv pip install "gunicorn==27.*" "granian==2.8.*"
USER app
"""

GUNICORN = (
    f"gunicorn --bind=0.0.0.0:8000 --worker-class=gthread --workers={WORKERS} --threads={THREADS} "
    "--preload --keep-alive=75 --worker-tmp-dir=/dev/shm"
).split()
GRANIAN = (
    f"granian --interface=wsgi --host=0.0.0.0 --port=8000 --workers={WORKERS} --blocking-threads={THREADS} --no-ws"
).split()


@dataclass(frozen=True)
class Variant:
    """An application under a server.

    Args:
        name: how it is called in containers and progress lines.
        command: what starts the server.
        bare: whether the application is the baseline.
        image: the image it runs in.
    """

    name: str
    command: tuple[str, ...]
    bare: bool = False
    image: str = SLUG

    @property
    def container(self) -> str:
        """The name of its container."""
        return f"{LOAD_PROJECT}-{self.name}"

    def start(self, workbench: Workbench, *command: str) -> None:
        """Create its container: the service `web` of compose.yaml with another command."""
        options = ("--detach", "--no-deps", "--name", self.container)
        # The baseline stands in its own folder, where no server finds the service's settings.
        folder = ("--workdir", "/bench", "--env", "PYTHONPATH=/bench") if self.bare else ()
        mount = ("--volume", f"{ROOT / 'benchmarks'}:/bench:ro")
        workbench.compose(
            "run", *options, *folder, *mount, "web", *(command or self.command), image=self.image
        )

    def address(self) -> str:
        """Return the address of its running container."""
        return inspect("container", self.container)["NetworkSettings"]["Networks"][f"{LOAD_PROJECT}_default"][
            "IPAddress"
        ]

    def stop(self) -> None:
        """Remove its container."""
        run("docker", "rm", "--force", self.container)

    def worker_seconds(self) -> list[float]:
        """Return the CPU time (seconds) that each of its workers has used."""
        # Granian has a small helper beside them.
        return [process["cpu"] for process in self.probe("processes")[1:] if process["rss"] > 20_000]

    def probe(self, *arguments: str) -> object:
        """Run probe.py in its container."""
        output = run("docker", "exec", self.container, "python", "/bench/probe.py", *arguments)
        return json.loads(output.splitlines()[-1])


def shipped_server(workbench: Workbench) -> str:
    """Return which of the two servers ships."""
    return "granian" if "\ngranian==" in (workbench.service / "requirements.txt").read_text() else "gunicorn"


def variants(workbench: Workbench, server: str, image: str = SLUG) -> tuple[Variant, Variant]:
    """Return the service and the bare view under one server, the service with its own settings if that one ships."""
    options = GUNICORN if server == "gunicorn" else GRANIAN
    shipped = inspect("image", workbench.shipped)["Config"]["Cmd"]
    own = shipped if server == shipped_server(workbench) else [*options, f"{PACKAGE}.wsgi:app"]
    service = Variant(f"service-{server}", tuple(own), image=image)
    return service, Variant(f"bare-{server}", (*options, "bare_app:app"), bare=True, image=image)


@contextmanager
def backing_services(workbench: Workbench) -> Iterator[None]:
    """Run PostgreSQL and Redis as compose.yaml says, with the schema and a hundred users.

    Raises:
        Unmeasurable: if there is no load generator.
    """
    if not shutil.which("wrk"):
        raise Unmeasurable("The load generator wrk is needed: on Debian, apt-get install wrk.")
    workbench.shipped  # noqa: B018
    try:
        say("starting the backing services")
        workbench.compose("up", "--detach", "--wait", "postgres", "redis")
        workbench.compose("run", "--rm", "migrate")
        insert = "INSERT INTO users (username, display_name) SELECT 'user-' || n, 'User ' || n FROM generate_series(1, 100) n"
        workbench.compose(
            "exec",
            "--no-TTY",
            "postgres",
            "psql",
            "--username",
            PACKAGE,
            PACKAGE,
            "--command",
            f"{insert}; ANALYZE",
        )
        yield
    finally:
        workbench.compose("down", "--remove-orphans", "--volumes", "--timeout", "1")


def alternate(workbench: Workbench, chosen: tuple[Variant, ...]) -> dict[str, list[Load]]:
    """Load each variant in turn, several times over, and return its rounds: those of a number stand side by side in time.

    A connection stays with the worker that accepted it. Where one of two workers got most of them, the other is idle
    and the round says nothing of either program: it is taken again.
    """
    rounds, duration = (3, 3) if workbench.quick else (15, 4)
    seen: dict[str, list[Load]] = {variant.name: [] for variant in chosen}
    try:
        for variant in chosen:
            variant.start(workbench)
        hosts = {variant: variant.address() for variant in chosen}
        for variant, host in hosts.items():
            wait_for(host, 8000, "/users/1")
            say(f"warming {variant.name}")
            load(host, "/users/1", duration=1 if workbench.quick else 5)
        for number in range(rounds):
            # There and back again, so that none always follows the same one.
            for variant in chosen[:: 1 if number % 2 else -1]:
                for _ in range(ATTEMPTS):
                    before = variant.worker_seconds()
                    one = load(hosts[variant], "/users/1", duration)
                    worked = [
                        after - was for was, after in zip(before, variant.worker_seconds(), strict=True)
                    ]
                    if min(worked) >= max(worked) / 2:
                        break
                    say(
                        f"round {number + 1}: the workers of {variant.name} shared the connections unevenly, again"
                    )
                else:
                    raise Unmeasurable(f"The workers of {variant.name} never shared the connections evenly.")
                seen[variant.name].append(one)
                say(f"round {number + 1} of {rounds}: {variant.name} {one.rate:,.0f}/s")
    finally:
        for variant in chosen:
            variant.stop()
    return seen


def compare(
    name: str,
    this: list[Load],
    baseline: list[Load],
    value: str = "rate",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """Return a row of two variants' rounds: the medians, and the median of the ratios of rounds side by side."""
    ours, theirs = ([getattr(one, value) for one in rounds] for rounds in (this, baseline))
    ratio = median([mine / other for mine, other in zip(ours, theirs, strict=True)])
    goal, met = "", None
    if at_least is not None:
        goal, met = f"ratio ≥ {at_least}", ratio >= at_least
    if at_most is not None:
        goal, met = f"ratio ≤ {at_most}", ratio <= at_most
    unit, digits = ("/s", 0) if value == "rate" else ("ms", 1)
    return Row(name, median(ours), unit, median(theirs), goal, met, digits, ratio)


def throughput(workbench: Workbench) -> list[Row]:
    """One user by id: the service as it ships, over the bare view under the same server."""
    with backing_services(workbench):
        server = shipped_server(workbench)
        service, bare = variants(workbench, server)
        seen = alternate(workbench, (service, bare))
    this, baseline = seen[service.name], seen[bare.name]
    return [
        compare(f"GET one user / bare, both {server}", this, baseline, at_least=THROUGHPUT),
        compare("p99 of it / bare", this, baseline, "p99", at_most=P99),
    ]


def servers(workbench: Workbench) -> list[Row]:
    """The service under gunicorn and under Granian, with as many workers and threads, and the bare view under gunicorn."""
    with backing_services(workbench):
        workbench.build(BOTH, dockerfile=BOTH_DOCKERFILE)
        gunicorn, bare = variants(workbench, "gunicorn", BOTH)
        granian, _ = variants(workbench, "granian", BOTH)
        seen = alternate(workbench, (gunicorn, granian, bare))
    on_gunicorn, on_granian, baseline = seen[gunicorn.name], seen[granian.name], seen[bare.name]
    return [
        compare("service: Granian / gunicorn", on_granian, on_gunicorn),
        compare("p99 of it", on_granian, on_gunicorn, "p99"),
        compare("service on Granian / bare on gunicorn", on_granian, baseline),
        compare("service on gunicorn / bare on gunicorn", on_gunicorn, baseline),
    ]


def start(workbench: Workbench) -> list[Row]:
    """From starting the server in a running container to the first 200, and what its processes hold after some work."""
    times: dict[bool, list[float]] = {False: [], True: []}
    looks: list[float] = []
    checks: list[float] = []
    memory: dict[bool, list[float]] = {}
    with backing_services(workbench):
        chosen = variants(workbench, shipped_server(workbench))
        for variant in chosen:
            variant.start(workbench, "sleep", "infinity")
        for number in range(4 if workbench.quick else 12):
            for variant in chosen:
                one = variant.probe("boot", *variant.command)
                say(f"start {number + 1}: {variant.name} {one:.3f} s")
                times[variant.bare].append(one)
            looks.append(chosen[0].probe("look", PACKAGE))
            checks.append(chosen[0].probe("run", "flask", "parity", "check"))
            say(f"parity: at start {looks[-1]:.3f} s, as a command {checks[-1]:.3f} s")
        for variant in chosen:
            variant.stop()
        # One at a time: containers share the pages of their libraries, which would make both look smaller.
        for variant in chosen:
            say(f"memory: {variant.name}")
            variant.start(workbench)
            wait_for(variant.address(), 8000, "/users/1")
            load(variant.address(), "/users/1", duration=3)
            memory[variant.bare] = [process["pss"] / 1024 for process in variant.probe("processes")]
            variant.stop()
    # The first of each read the files from the disk.
    this, baseline = times[False][1:], times[True][1:]
    # The contract, which the bare view does not hold, has a bound of its own.
    beyond = median([mine - BOOT * other for mine, other in zip(this, baseline, strict=True)])
    pss = sum(memory[False])
    return [
        Row("flask parity check, the whole command", median(checks), "s", None, f"≤ {CHECK_SECONDS} s", median(checks) <= CHECK_SECONDS),
        Row("parity at start", median(looks), "s", None, f"≤ {LOOK_SECONDS} s", median(looks) <= LOOK_SECONDS, digits=3),
        Row(f"start of {WORKERS} workers to the first 200 / bare", median(this), "s", median(baseline), f"≤ {BOOT:.2f} bare + {LOOK_SECONDS} s", beyond <= LOOK_SECONDS),
        Row(f"PSS of {WORKERS} workers and parent / bare", pss, "MiB", sum(memory[True]), f"≤ {PSS_MIB} MiB", pss <= PSS_MIB, 0),
        Row("PSS of a worker / bare", memory[False][-1], "MiB", memory[True][-1], digits=0),
    ]  # fmt: skip


def growth(workbench: Workbench) -> list[Row]:
    """Memory after many requests over memory after a tenth of them."""
    few, many = (2_000, 20_000) if workbench.quick else (10_000, 100_000)
    with backing_services(workbench):
        service, _ = variants(workbench, shipped_server(workbench))
        service.start(workbench)
        host = service.address()
        wait_for(host, 8000, "/users/1")
        done, rss = 0, []
        for target in (few, many):
            while done < target:
                done += load(host, "/users/1", duration=2).requests
            say(f"growth: {done:,} requests")
            rss.append(sum(process["rss"] for process in service.probe("processes")) / 1024)
        service.stop()
    goal = f"ratio ≤ {GROWTH:.2f}"
    return [
        Row(
            f"RSS after {many:,} / {few:,} requests",
            rss[1],
            "MiB",
            rss[0],
            goal,
            rss[1] / rss[0] <= GROWTH,
            0,
        )
    ]
