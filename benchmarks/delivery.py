"""Delivery: from a commit of one line to staging and production that serve it, beside the workflow of the classic tutorial.

Both ways run under act, with the same servers, the same registry and the same change, one after the other. The servers
and the load are those of the tests.
"""

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import actions
import load
import pytest
import servers
import service

from . import classic
from .workbench import PACKAGE, SLUG, TOKEN, Row, Unmeasurable, Workbench, copy, median, run, say

LEAD_SECONDS = 120
ENVIRONMENTS = ("staging", "production")
# Requests a second, to each of the two.
RATE = 20
# The service, and its image in the registry.
DELIVERED = f"{SLUG}-delivery"
PUSHED = f"bench/{SLUG}"
PASSWORD = "bench"  # noqa: S105
SETTINGS = {
    "DATABASE_URL": f"postgresql://{PACKAGE}:{PASSWORD}@postgres:5432/{PACKAGE}",
    "API_TOKENS": f"bench:{hashlib.sha256(TOKEN.encode()).hexdigest()}",
}
# Counts every request and refuses none.
RATE_LIMIT = "1000000000 per minute"
SOURCE = Path("src") / PACKAGE / "project.py"

# Prints, five times a second, the time and the version that is served; nothing of it passes the server's network.
WATCH = """
touch /run/watched
while [ -e /run/watched ] && sleep 0.2; do
    echo "$(date +%s.%N) $(curl --silent --insecure --max-time 2 --resolve "$0:443:127.0.0.1" "https://$0/openapi.json" |
        sed -n 's/.*"version": *"\\([^"]*\\)".*/\\1/p')"
done
"""


@dataclass
class Push:
    """What one push met.

    Args:
        began: when it was committed (seconds since the epoch).
        log: act's lines, each with the time it came (seconds since the epoch).
        served: when an environment served the commit, and nothing else any more (seconds since the epoch).
        received: how many bytes came to an environment's server over its network.
        blobs: the layers, and what describes them, that an environment's server fetched from the registry, once or several
            times: the digest and the size (bytes) of each time.
        reports: what became of an environment's requests, where there was a load.
    """

    began: float
    log: list[tuple[float, str]] = field(default_factory=list)
    served: dict[str, float] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    reports: dict[str, load.Report] = field(default_factory=dict)

    def lead(self, environment: str) -> float:
        """Return the time from the commit to an environment that serves it (seconds)."""
        return self.served[environment] - self.began

    def steps(self) -> dict[tuple[str, str], float]:
        """Return how long each step took (seconds), by the names of its job and its own."""
        found: dict[str, dict[str, float]] = {}
        parts: dict[str, list[tuple[float, str]]] = {}
        spans: dict[str, list[float]] = {}
        for at, line in self.log:
            told = re.match(r"\[[^\]]*?/([^\]/]+?) *\] *(.*)", line)
            if not told:
                continue
            job, text = told.groups()
            steps = found.setdefault(job, {})
            spans.setdefault(job, [at, at])[1] = at
            # What ops/swarm says that it begins with; its last line says that it is done.
            if part := re.match(r"\| \w+ +\d+s  (.+)", text):
                parts.setdefault(job, []).append((at, part[1]))
            step = re.search(r"✅ +Success - Main (.+) \[(.+)\]$", text)
            if step and step[1] != "stand-in":
                steps[step[1]] = duration(step[2])
                for (began, name), (ended, _) in itertools.pairwise(parts.pop(job, [])):
                    steps[f"  {name}"] = ended - began
        for job, steps in found.items():
            first, last = spans[job]
            inside = sum(seconds for name, seconds in steps.items() if name[0] != " ")
            steps["the runner's own start and end"] = last - first - inside
        return {(job, name): seconds for job, steps in found.items() for name, seconds in steps.items()}


def duration(text: str) -> float:
    """Return a duration as Go prints it, in seconds."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001, "µs": 0.000001, "ns": 0.000000001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|µs|ns|h|m|s)", text))


@dataclass
class Way:
    """A repository, its workflow, and its servers.

    Args:
        name: of its containers.
        path: the repository.
        servers: by environment.
        registry: where the servers get images.
        key: the private key that the workflow has.
        options: act's, of this way alone.
    """

    name: str
    path: Path
    servers: dict[str, servers.Server]
    registry: servers.Registry
    key: Path
    options: tuple[str, ...] = ()

    @staticmethod
    def domain(environment: str) -> str:
        """Return the name by which an environment is called."""
        return f"{environment}.bench.test"

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        return run("git", *arguments, cwd=self.path, env=service.GIT)

    def change(self, version: str) -> None:
        """Commit a change of one line: the version that the service says it has."""
        source = self.path / SOURCE
        source.write_text(re.sub(r'version="[^"]*"', f'version="{version}"', source.read_text()))
        self.git("commit", "--quiet", "--all", "--message", f"Version {version}")
        if self.git("remote"):
            self.git("push", "--quiet", "origin", "main")

    def push(self, version: str, loaded: bool) -> Push:
        """Commit a version and run the workflow, and return what it met.

        Raises:
            Unmeasurable: if the workflow failed, or an environment does not serve the version in the end.
        """
        say(f"delivery: {self.name}, version {version}{', under load' if loaded else ''}")
        artifacts = self.path.parent / f"{self.name}-artifacts" / "artifacts"
        artifacts.mkdir(parents=True, exist_ok=True)
        # A runner of GitHub's begins with nothing but the commit; act's keeps what the last push left in the folder.
        self.git("clean", "--quiet", "--force", "-dX")
        command = actions.command(self.path, artifacts, "push", "--secret=DEPLOY_KEY", *self.options)
        since = time.time()
        before = {environment: received(server) for environment, server in self.servers.items()}
        with contextlib.ExitStack() as stack:
            watches = {
                name: stack.enter_context(watch(server, self.domain(name)))
                for name, server in self.servers.items()
            }
            reports = {name: stack.enter_context(self.steady(name)) for name in self.servers if loaded}
            push = Push(time.time(), reports=reports)
            self.change(version)
            status = self.act(command, push)
            # Whatever the workflow did not wait for.
            deadline = time.monotonic() + 60
            while (
                any(lines[-1:] != [version] for lines in map(versions, watches.values()))
                and time.monotonic() < deadline
            ):
                time.sleep(0.5)
            time.sleep(2)
        (artifacts.parent / "log").write_text("\n".join(line for _, line in push.log))
        if status:
            end = "\n".join(line for _, line in push.log[-40:])
            raise Unmeasurable(f"The workflow of {self.name} failed:\n{end}")
        for name, server in self.servers.items():
            push.received[name] = received(server) - before[name]
            push.blobs[name] = fetched(server, since)
            push.served[name] = first(watches[name], version)
            say(
                f"delivery: {self.name}: {name} serves {version} after {push.lead(name):.1f} s"
                + (f"; {reports[name].line()}" if loaded else "")
            )
        return push

    def act(self, command: list[str], push: Push) -> int:
        """Run act, keep its lines, and return its exit status."""
        environment = {"DEPLOY_KEY": self.key.read_text()}
        with subprocess.Popen(
            command,
            cwd=self.path,
            env=clean(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                push.log += ((time.time(), line.rstrip()) for line in process.stdout)
            finally:
                process.terminate()
        return process.returncode

    def steady(self, environment: str) -> contextlib.AbstractContextManager[load.Report]:
        """Send requests to an environment."""
        address = ("127.0.0.1", self.servers[environment].https_port)
        return load.load(f"https://{self.domain(environment)}/users", TOKEN, [address], rate=RATE, clients=4)


def clean(more: dict[str, str]) -> dict[str, str]:
    """Return the environment of a command that a make must not lend its options to, with some more variables."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "COMPOSE", "MFLAGS"))
    }
    return inherited | service.GIT | more


def received(server: servers.Server) -> int:
    """Return how many bytes have come to a server over its network."""
    return int(server.exec("cat", "/sys/class/net/eth0/statistics/rx_bytes"))


def fetched(server: servers.Server, since: float) -> list[tuple[str, int]]:
    """Return the digests and sizes (bytes) of what a server has fetched from the registry since a time (seconds since the epoch)."""
    log = run("docker", "logs", "--since", f"{since:.3f}", f"{service.STACK}-registry")
    lines = rf'^{re.escape(server.address)} .*"GET /v2/\S+/blobs/(\S+) HTTP/[\d.]+" 200 (\d+)'
    return [(digest, int(size)) for digest, size in re.findall(lines, log, re.MULTILINE)]


@contextlib.contextmanager
def watch(server: servers.Server, domain: str) -> Iterator[list[tuple[float, str]]]:
    """Note the version that an environment serves, with the time (seconds since the epoch), until the end of the block."""
    seen: list[tuple[float, str]] = []
    command = ["docker", "exec", server.name, "sh", "-c", WATCH, domain]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        def read() -> None:
            for line in process.stdout:
                at, _, version = line.strip().partition(" ")
                seen.append((float(at), version))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield seen
        finally:
            server.exec("rm", "--force", "/run/watched")
            process.wait(10)
            reader.join(10)


def versions(seen: list[tuple[float, str]]) -> list[str]:
    """Return the versions that were seen."""
    return [version for _, version in seen]


def first(seen: list[tuple[float, str]], version: str) -> float:
    """Return since when a version was served and no other, nor nothing (seconds since the epoch).

    Raises:
        Unmeasurable: if it was not served in the end.
    """
    since = None
    for at, found in seen:
        since = (since or at) if found == version else None
    if since is None:
        raise Unmeasurable(f"{version} was not served: {versions(seen)[-5:]}")
    return since


@contextlib.contextmanager
def ways(workbench: Workbench) -> Iterator[tuple[Way, Way]]:
    """Prepare both ways, with a service that is deployed for the first time and two servers each."""
    folder = workbench.folder / "delivery"
    folder.mkdir()
    with service.only_run(), servers.network() as addresses:
        say("delivery: starting the registry and the servers")
        registry, key = servers.start_registry(), servers.make_key(folder)
        servers.build_server()
        workbench.build(classic.SERVER, dockerfile=classic.SERVER_DOCKERFILE)
        # What both ways' servers run and build from.
        mentioned = (
            (workbench.service / "compose.yaml").read_text()
            + classic.COMPOSE
            + (workbench.service / "Dockerfile").read_text()
        )
        registry.mirror(
            *set(re.findall(r"(?:image: |FROM )((?:postgres|redis|caddy|python):\S+)", mentioned))
        )
        names = [f"{way}-{environment}" for way in ("this", "classic") for environment in ENVIRONMENTS]
        places = {name: addresses.pop(0) for name in names}

        def boot(name: str) -> servers.Server:
            image = classic.SERVER if name.startswith("classic") else servers.IMAGE
            return servers.boot(name, places[name], registry, key, image)

        with ThreadPoolExecutor() as pool:
            booted = dict(zip(names, pool.map(boot, names), strict=True))
        chosen = {
            way: {environment: booted[f"{way}-{environment}"] for environment in ENVIRONMENTS}
            for way in ("this", "classic")
        }
        try:
            yield (
                this_way(workbench, folder, chosen["this"], registry, key),
                classic_way(workbench, folder, chosen["classic"], registry, key),
            )
        finally:
            for which in (
                f"reference={registry.address}/{PUSHED}",
                f"label=org.opencontainers.image.title={DELIVERED}",
            ):
                names = run(
                    "docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", which
                ).split()
                workbench.images += [name for name in names if not name.startswith("<")]


def this_way(
    workbench: Workbench,
    folder: Path,
    chosen: dict[str, servers.Server],
    registry: servers.Registry,
    key: Path,
) -> Way:
    """Prepare the service as the template generates it, and two Swarms."""
    path = folder / "this"
    copy(workbench.template, path, project_name="Bench", project_slug=DELIVERED, package_name=PACKAGE)
    name = f"{registry.address}/{PUSHED}"
    way = Way("this", path, chosen, registry, key, (f"--env=IMAGE_NAME={name}",))
    for environment, server in chosen.items():
        server.found()
        settings = {
            "DOCKER_HOST": server.host,
            "DOMAIN": way.domain(environment),
            "TLS": "internal",
            "REPLICAS": "2",
        }
        settings |= {"BACKING_SERVICES": "stack", "WEB_CONCURRENCY": "1", "RATE_LIMIT": RATE_LIMIT}
        (path / "deploy" / f"{environment}.env").write_text(
            "".join(f"{name}={value}\n" for name, value in settings.items())
        )
        with (path / "deploy" / "known_hosts").open("a") as known_hosts:
            known_hosts.write(server.known_hosts)
    # act names its containers after the workflow: on this machine another copy of it may run.
    workflow = path / actions.WORKFLOW
    workflow.write_text(workflow.read_text().replace("name: CI/CD\n", f"name: {SLUG}-this\n"))
    service.first_commit(path)
    secrets = "".join(
        f"{name}={value}\n" for name, value in (SETTINGS | {"POSTGRES_PASSWORD": PASSWORD}).items()
    )
    for environment in chosen:
        run(
            "make",
            "secrets",
            f"ENV={environment}",
            cwd=path,
            env={"DEPLOY_KEY": key.read_text()},
            stdin=secrets,
        )
    return way


def classic_way(
    workbench: Workbench,
    folder: Path,
    chosen: dict[str, servers.Server],
    registry: servers.Registry,
    key: Path,
) -> Way:
    """Prepare the same service as a tutorial deploys it: its own workflow, Dockerfile and stack, and clones on two servers."""
    path, origin = folder / "classic", folder / "origin"
    shutil.copytree(folder / "this", path)
    classic.write(path, chosen)
    way = Way("classic", path, chosen, registry, key)
    way.git("add", "--all")
    way.git("commit", "--quiet", "--message", "Deploy as the tutorial says")
    run("git", "clone", "--quiet", "--bare", path, origin / "service.git")
    way.git("remote", "add", "origin", str(origin / "service.git"))
    servers.docker(
        *(
            "run",
            "--detach",
            "--name",
            f"{service.STACK}-origin",
            "--label",
            servers.LABEL,
            "--network",
            servers.NETWORK,
        ),
        *(
            "--network-alias",
            "origin",
            "--volume",
            f"{origin}:/origin:ro",
            "--entrypoint",
            "git",
            classic.SERVER,
        ),
        *("-c", "safe.directory=*", "daemon", "--export-all", "--base-path=/origin"),
    )
    for environment, server in chosen.items():
        # A build that has the base already does not ask the mirror for it, which has no encryption.
        server.docker("pull", "--quiet", classic.base(path))
        server.exec("su", "deploy", "-c", "git clone --quiet git://origin/service.git ~/app")
        settings = SETTINGS | {
            "POSTGRES_PASSWORD": PASSWORD,
            "DOMAIN": way.domain(environment),
            "RATE_LIMIT": RATE_LIMIT,
        }
        server.exec(
            "su",
            "deploy",
            "-c",
            "cat >~/app/.env",
            input="".join(f"{name}={value}\n" for name, value in settings.items()),
        )
    return way


def measure(workbench: Workbench) -> list[Row]:
    """Push changes of one line, both ways in turn."""
    rounds = 1 if workbench.quick else 3
    try:
        with ways(workbench) as both:
            for way in both:
                say(f"delivery: the first deployment of {way.name}")
                way.push("1.1.0", loaded=False)
            pushes: dict[str, list[Push]] = {way.name: [] for way in both}
            for number in range(rounds):
                for way in both:
                    pushes[way.name].append(way.push(f"1.{number + 2}.0", loaded=False))
            under_load = {way.name: way.push("2.0.0", loaded=True) for way in both}
    except pytest.fail.Exception as error:
        raise Unmeasurable(str(error)) from None
    return rows(pushes["this"], pushes["classic"], under_load["this"], under_load["classic"])


def rows(ours: list[Push], theirs: list[Push], our_load: Push, their_load: Push) -> list[Row]:
    """Return what both met side by side, and then where the seconds go, step by step."""
    found = []
    for environment in ENVIRONMENTS:
        mine, other = (median([push.lead(environment) for push in pushes]) for pushes in (ours, theirs))
        last = environment == ENVIRONMENTS[-1]
        goal = f"≤ {LEAD_SECONDS} s" if last else ""
        found.append(
            Row(
                f"commit to served by {environment}",
                mine,
                "s",
                other,
                goal,
                mine <= LEAD_SECONDS if last else None,
                1,
            )
        )
    for environment in ENVIRONMENTS:
        mine, other = (loaded.reports[environment] for loaded in (our_load, their_load))
        name = f"requests lost on {environment}, of {mine.sent} and {other.sent}"
        found.append(Row(name, mine.failed, "", other.failed, "0", mine.failed == 0, 0))
        found.append(
            Row(f"longest without an answer on {environment}", mine.longest_gap, "s", other.longest_gap)
        )
    mine, other = (
        median([bytes / 1000 for push in pushes for bytes in push.received.values()])
        for pushes in (ours, theirs)
    )
    found.append(Row("received by a server", mine, "kB", other, digits=0))
    # The layer with the change, and the description of the image; bigger ones stand in the registry since the last time.
    blobs = [got for push in ours for got in push.blobs.values()]
    image = median([sum(size for _, size in got) / 1000 for got in blobs])
    found.append(Row("of which layers and the image's description", image, "kB", digits=0))
    most = max(len(dict(got)) for got in blobs)
    found.append(Row("different ones of these", most, "", None, "≤ 2", most <= 2, 0))
    return [*found, *steps(ours, "this"), *steps(theirs, "baseline")]


def steps(pushes: list[Push], column: str) -> list[Row]:
    """Return the median of each step's time, in one of the columns."""
    taken = [push.steps() for push in pushes]
    found = []
    for job, name in taken[0]:
        seconds = median([times[job, name] for times in taken if (job, name) in times])
        found.append(
            Row(
                f"{job}: {name}", **({"this": None, "baseline": None} | {column: seconds}), unit="s", digits=1
            )
        )
    return found
