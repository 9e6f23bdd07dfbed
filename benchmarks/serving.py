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
BOOT_SECONDS = 0.6
PSS_MIB = 150
GROWTH = 1.10

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

    def probe(self, *arguments: str) -> object:
        """Run probe.py in its container."""
        return json.loads(run("docker", "exec", self.container, "python", "/bench/probe.py", *arguments))


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


def alternate(workbench: Workbench, chosen: tuple[Variant, ...]) -> dict[str, Load]:
    """Load each variant in turn, several times over, and return the medians."""
    rounds, duration = (2, 3) if workbench.quick else (6, 10)
    seen: dict[str, list[Load]] = {variant.name: [] for variant in chosen}
    try:
        for variant in chosen:
            variant.start(workbench)
        hosts = {variant.name: variant.address() for variant in chosen}
        for name, host in hosts.items():
            wait_for(host, 8000, "/users/1")
            say(f"warming {name}")
            load(host, "/users/1", duration=1 if workbench.quick else 5)
        for number in range(rounds):
            # There and back again, so that none always follows the same one.
            for name, host in list(hosts.items())[:: 1 if number % 2 else -1]:
                seen[name].append(load(host, "/users/1", duration))
                say(f"round {number + 1} of {rounds}: {name} {seen[name][-1].rate:,.0f}/s")
    finally:
        for variant in chosen:
            variant.stop()
    return {
        name: Load(
            median([one.rate for one in many]),
            median([one.p99 for one in many]),
            sum(one.requests for one in many),
        )
        for name, many in seen.items()
    }


def throughput(workbench: Workbench) -> list[Row]:
    """One user by id: the service as it ships, over the bare view under the same server."""
    with backing_services(workbench):
        server = shipped_server(workbench)
        service, bare = variants(workbench, server)
        seen = alternate(workbench, (service, bare))
    this, baseline = seen[service.name], seen[bare.name]
    return [
        Row(f"GET one user / bare, both {server}", this.rate, "/s", baseline.rate, f"ratio ≥ {THROUGHPUT}", this.rate / baseline.rate >= THROUGHPUT, 0),
        Row("p99 of it / bare", this.p99, "ms", baseline.p99, f"ratio ≤ {P99}", this.p99 / baseline.p99 <= P99, 1),
    ]  # fmt: skip


def servers(workbench: Workbench) -> list[Row]:
    """The service under gunicorn and under Granian, with as many workers and threads, and the bare view under gunicorn."""
    with backing_services(workbench):
        workbench.build(BOTH, dockerfile=BOTH_DOCKERFILE)
        gunicorn, bare = variants(workbench, "gunicorn", BOTH)
        granian, _ = variants(workbench, "granian", BOTH)
        seen = alternate(workbench, (gunicorn, granian, bare))
    rates = {name: one.rate for name, one in seen.items()}
    return [
        Row("service: Granian / gunicorn", rates[granian.name], "/s", rates[gunicorn.name], digits=0),
        Row("p99 of it", seen[granian.name].p99, "ms", seen[gunicorn.name].p99, digits=1),
        Row("service on Granian / bare on gunicorn", rates[granian.name], "/s", rates[bare.name], digits=0),
        Row("service on gunicorn / bare on gunicorn", rates[gunicorn.name], "/s", rates[bare.name], digits=0),
    ]


def start(workbench: Workbench) -> list[Row]:
    """From starting the server in a running container to the first 200, and what its processes hold after some work."""
    times: dict[bool, list[float]] = {False: [], True: []}
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
        for variant in chosen:
            variant.stop()
        # One at a time: containers share the pages of their libraries, which would make both look smaller.
        for variant in chosen:
            say(f"memory: {variant.name}")
            variant.start(workbench)
            wait_for(variant.address(), 8000, "/users/1")
            load(variant.address(), "/users/1", duration=3)
            memory[variant.bare] = [process["pss"] / 1024 for process in variant.probe("memory")]
            variant.stop()
    # The first of each read the files from the disk.
    this, baseline = median(times[False][1:]), median(times[True][1:])
    pss = sum(memory[False])
    return [
        Row(f"start of {WORKERS} workers to the first 200 / bare", this, "s", baseline, f"≤ {BOOT_SECONDS} s", this <= BOOT_SECONDS),
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
            rss.append(sum(process["rss"] for process in service.probe("memory")) / 1024)
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
