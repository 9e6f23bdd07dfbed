"""A generated service that is deployed to servers by its own commands, while its clients go on asking."""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import render
from load import Report, load
from servers import Registry, Server, docker
from service import STACK, Service, eventually, first_commit

pytestmark = pytest.mark.service

ANSWERS = {"project_slug": "deployed-under-test", "package_name": "orders"}
DOMAIN = "orders.test"
TOKEN = "correct horse battery staple"  # noqa: S105
NEW_TOKEN = "staple battery horse correct"  # noqa: S105
PASSWORD = "not-development"  # noqa: S105
# A request is given up after this long (seconds), as a client of an API may.
PATIENCE = 10
# What the database holds, but for the users.
SCHEMA = "SELECT string_agg(relname, ' ' ORDER BY relname), (SELECT * FROM alembic_version) FROM pg_class"


def entry(name: str, token: str) -> str:
    """What API_TOKENS says of a token."""
    return f"{name}:{hashlib.sha256(token.encode()).hexdigest()}"


def migration(name: str, before: str, *statements: str, contracts: str = "") -> dict[str, str]:
    """A migration of that name, as the path and the text of its file."""
    lines = [
        f'"""{name.title()}."""',
        "from alembic import op",
        f'revision = "{name}"',
        f'down_revision = "{before}"',
        f'contracts = "{contracts}"',
        "def upgrade():",
        *(f'    op.execute("{statement}")' for statement in statements),
        "def downgrade():",
        "    pass",
    ]
    return {f"migrations/versions/{name}.py": "\n".join(lines) + "\n"}


@dataclass(frozen=True)
class Commit:
    """A commit of the service, and the image that was built from it."""

    revision: str
    image: str

    @property
    def short(self) -> str:
        """The commit, as the commands name it."""
        return self.revision[:7]


@dataclass
class Deployed:
    """The service in its environment staging, on two servers."""

    service: Service
    registry: Registry
    manager: Server
    other: Server
    folder: Path
    first: Commit | None = None
    measured: dict[str, dict] = field(default_factory=dict)

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"{self.service.answers['project_slug']}-staging"

    @property
    def servers(self) -> tuple[Server, Server]:
        """Both servers."""
        return self.manager, self.other

    @property
    def secrets(self) -> str:
        """The secrets of a new environment, as they are given."""
        return (
            f"DATABASE_URL=postgresql://orders:{PASSWORD}@postgres/orders\n"
            f"POSTGRES_PASSWORD={PASSWORD}\n"
            f"API_TOKENS={entry('tests', TOKEN)}\n"
        )

    @property
    def repository(self) -> str:
        """The image's name."""
        return self.service.environment["IMAGE_NAME"]

    def make(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        """Run one of the commands on staging."""
        return self.service.make(*arguments, "ENV=staging", **options)

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start one of the commands on staging as the leader of a process group."""
        return subprocess.Popen(
            ["make", "--no-print-directory", *arguments, "ENV=staging"],
            cwd=self.service.path,
            env=self.service.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def commit(self, message: str, files: dict[str, str] | None = None) -> Commit:
        """Commit a change, and publish its image as the pipeline does."""
        self.write(message, files or {"src/orders/release.txt": f"{message} {time.time_ns()}"})
        return self.publish()

    def write(self, message: str, files: dict[str, str]) -> None:
        """Commit files."""
        for name, text in files.items():
            (self.service.path / name).write_text(text)
        self.service.git("add", "--all")
        self.service.git("commit", "--quiet", "--allow-empty", "--message", message)

    def publish(self) -> Commit:
        """Build the image of the newest commit, and publish it."""
        self.service.make("build", timeout=600)
        image = self.service.make("publish").stdout.splitlines()[-1]
        return Commit(self.service.git("rev-parse", "HEAD").strip(), image)

    def push(self, tag: str, *lines: str) -> str:
        """Push the shipped image with some more lines in its Dockerfile under another tag."""
        spoilt = f"{self.service.shipped}-spoilt"
        docker("build", "--tag", spoilt, "-", input="\n".join([f"FROM {self.service.shipped}", *lines]))
        return self.registry.push(
            spoilt, f"{self.repository.removeprefix(f'{self.registry.address}/')}:{tag}"
        )

    def spoilt(self, message: str, *lines: str, files: dict[str, str] | None = None) -> Commit:
        """Commit a change whose image is the shipped one with some more lines in its Dockerfile."""
        self.write(message, files or {})
        revision = self.service.git("rev-parse", "HEAD").strip()
        label = f'LABEL org.opencontainers.image.revision="{revision}"'
        return Commit(revision, self.push(revision, label, *lines))

    def tasks(self, service: str) -> list[str]:
        """The images of a service's containers that run or are to run."""
        running = (
            "--filter",
            "desired-state=running",
            "--format",
            "{{.Image}} {{.CurrentState}}",
            "--no-trunc",
        )
        return self.manager.docker("service", "ps", f"{self.stack}_{service}", *running).splitlines()

    def runs(self) -> Counter:
        """How many containers of web and worker run which image."""
        tasks = [task.split() for service in ("web", "worker") for task in self.tasks(service)]
        return Counter(image if state == "Running" else state for image, state, *_ in tasks)

    def now(self) -> Commit:
        """The commit that runs; nothing is under way."""
        (image,) = eventually(lambda: runs if len(runs := self.runs()) == 1 else None, 60)
        label = '{{index .Spec.Labels "org.opencontainers.image.revision"}}'
        return Commit(
            self.manager.docker("service", "inspect", "--format", label, f"{self.stack}_web"), image
        )

    def settled(self, commit: Commit) -> bool:
        """Whether a commit runs, and nothing is under way."""
        state = ("service", "inspect", "--format", "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}")
        states = self.manager.docker(*state, f"{self.stack}_web", f"{self.stack}_worker").split()
        return not {"updating", "rollback_started"} & {*states} and self.whole(commit)

    def await_updates(self, count: int) -> None:
        """Wait until so many of web and worker were told of another image."""
        events = ["docker", "exec", self.manager.name, "docker", "events", "--filter=event=update"]
        names = [f"--filter=service={self.stack}_{service}" for service in ("web", "worker")]
        shown = "--format={{.Actor.Attributes.name}}"
        with subprocess.Popen([*events, *names, shown], stdout=subprocess.PIPE, text=True) as watch:
            updated: set[str] = set()
            while len(updated) < count:
                updated.add(watch.stdout.readline())
            watch.kill()

    def healthy(self, service: str) -> int:
        """How many containers of a service are healthy."""
        name = f"{self.stack}_{service}"
        return sum(len(server.tasks(name, "--filter=health=healthy")) for server in self.servers)

    def spread(self) -> None:
        """Have a container of web on each server."""

        def is_spread() -> bool:
            name = f"{self.stack}_web"
            return all(len(server.tasks(name, "--filter=health=healthy")) == 1 for server in self.servers)

        eventually(lambda: self.other.tasks(f"{self.stack}_caddy"), 60)
        if not is_spread():
            # One more goes where there is none, and one less from where there are two.
            for replicas in (3, 2):
                scaled = f"{self.stack}_web={replicas}"
                self.manager.docker("service", "scale", "--detach=false", scaled)
            eventually(is_spread, 60)

    def leftovers(self) -> list[str]:
        """What a deployment may leave and must not."""
        services = self.manager.docker("service", "ls", "--format", "{{.Name}}").split()
        parts = {f"{self.stack}_{part}" for part in ("web", "worker", "postgres", "redis", "caddy")}
        started = self.manager.docker("config", "ls", "--quiet", f"--filter=label=started={self.stack}")
        return [name for name in services if name not in parts] + started.split()

    def head(self) -> str:
        """The newest migration of the repository."""
        texts = [path.read_text() for path in (self.service.path / "migrations" / "versions").glob("*.py")]
        found = [
            set(re.findall(rf'^{name}[^=\n]*= "(\w+)"', "\n".join(texts), re.MULTILINE))
            for name in ("revision", "down_revision")
        ]
        (head,) = found[0] - found[1]
        return head

    def status(self, token: str, path: str = "/users") -> int:
        """Ask over HTTPS on the manager, and return the status of the answer."""
        return int(
            self.manager.exec(
                *("curl", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}"),
                *("--resolve", f"{DOMAIN}:443:127.0.0.1", "--header", f"Authorization: Bearer {token}"),
                f"https://{DOMAIN}{path}",
            )
        )

    def whole(self, commit: Commit) -> bool:
        """Whether all containers of web and worker are those of a commit, and healthy."""
        return self.runs() == {commit.image: 3}

    def steady(self, *servers: Server, **options) -> contextlib.AbstractContextManager[Report]:
        """Send a steady load to both servers, or to those that are named."""
        authority = self.folder / "authorities.crt"
        authority.write_text("".join(server.authority(f"{self.stack}_caddy") for server in self.servers))
        addresses = [("127.0.0.1", server.https_port) for server in servers or self.servers]
        options = {"cafile": authority, "timeout": PATIENCE} | options
        return load(f"https://{DOMAIN}/users", TOKEN, addresses, **options)

    def measure(self, name: str, report: Report, **facts: float | str) -> None:
        """Keep what a load met, for the test's output and for the docs."""
        numbers = {
            "sent": report.sent,
            "failed": report.failed,
            "slowest": round(report.slowest, 3),
            "p99": round(report.p99, 3),
            "longest_gap": round(report.longest_gap, 3),
            "seconds": round(report.ended - report.began, 1),
        }
        self.measured[name] = numbers | facts
        print(f"{name}: {facts or ''} {report}")
        if folder := os.environ.get("ARTIFACTS"):
            path = Path(folder) / "deployment.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self.measured, indent=2) + "\n")

    def psql(self, statement: str) -> str:
        """Ask the database, as its owner."""
        shell = (
            "psql",
            "--username=orders",
            "--no-align",
            "--tuples-only",
            f"--command={statement}",
            "orders",
        )
        return self.manager.docker("exec", self.manager.tasks(f"{self.stack}_postgres")[0], *shell)


def said(output: str) -> list[str]:
    """What a command said, without make's own line."""
    return [line for line in output.splitlines() if line and not line.startswith("make:")]


def last_lines(output: str) -> str:
    """What a person, or a page of a CI log, shows at once."""
    return "\n".join(output.splitlines()[-30:])


@pytest.fixture(scope="module")
def deployed(snapshot, registry, server1, server2, deploy_key, tmp_path_factory) -> Iterator[Deployed]:
    """The default service, deployed for the first time."""
    folder = tmp_path_factory.mktemp("deployment")
    project = render(snapshot, folder / "service", ANSWERS)
    name = f"{registry.address}/acme/{ANSWERS['project_slug']}"
    environment = {"IMAGE_NAME": name, "DEPLOY_KEY": deploy_key.read_text()}
    service = Service(project.path, project.answers, f"{STACK}-deployment", TOKEN, environment=environment)
    deployed = Deployed(service, registry, server1, server2, folder)
    settings = {
        "DOCKER_HOST": server1.host,
        "DOMAIN": DOMAIN,
        "TLS": "internal",
        "REPLICAS": "2",
        "BACKING_SERVICES": "stack",
        "RATE_LIMIT": "1000000 per minute",
        "WEB_CONCURRENCY": "1",
    }
    (project.path / "deploy" / "staging.env").write_text(
        "".join(f"{name}={value}\n" for name, value in settings.items())
    )
    with (project.path / "deploy" / "known_hosts").open("a") as known_hosts:
        known_hosts.write(server1.known_hosts)
    first_commit(project.path)

    def prepare() -> None:
        registry.mirror("postgres:18", "redis:8", "caddy:2")
        server1.empty()

    try:
        with ThreadPoolExecutor() as pool:
            preparing = pool.submit(prepare)
            deployed.first = deployed.publish()
            preparing.result()
        deployed.make("secrets", input=deployed.secrets)
        began = time.monotonic()
        done = deployed.make("deploy")
        print(f"first deployment: {time.monotonic() - began:.1f} s\n{done.stderr}")
        yield deployed
    finally:
        for server in deployed.servers:
            server.empty()
        published = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name).split()
        built = (service.shipped, service.tested, f"{service.shipped}-spoilt")
        docker("image", "rm", "--force", *built, *published)


@pytest.fixture(scope="module")
def rolled(deployed, tmp_path_factory):
    """The second deployment, under load, after a secret has got a new value while a log of all commands was kept."""
    commit = deployed.commit("Deployed under load")
    commands = tmp_path_factory.mktemp("commands")
    log = recorder(commands)
    tokens = f"API_TOKENS={entry('tests', TOKEN)},{entry('new', NEW_TOKEN)}"
    environment = deployed.service.environment | {"PATH": f"{commands}:{os.environ['PATH']}"}
    told = dataclasses.replace(deployed.service, environment=environment).make(
        "secrets", "ENV=staging", input=f"# Rotated.\n\n{tokens}\n"
    )
    before = deployed.status(NEW_TOKEN)
    with deployed.steady() as report:
        began = time.monotonic()
        done = deployed.make("deploy", f"IMAGE={commit.image}")
        seconds = time.monotonic() - began
        time.sleep(1)
    deployed.measure("deployment", report, took=round(seconds, 1))
    return {"commit": commit, "done": done, "log": log, "told": told, "tokens": tokens, "before": before} | {
        "report": report
    }


def recorder(folder: Path) -> Path:
    """Fill a folder with every command there is, each of which writes its command line down first."""
    log = folder / "log"
    wrapper = folder / "wrapper"
    wrapper.write_text(
        "#!/bin/sh\n"
        f'PATH={os.environ["PATH"]}\nprintf "%s\\n" "$0 $*" >>{log}\n'
        f'name=${{0##*/}}\nreal=$(command -v "$name")\nPATH={folder}:$PATH exec "$real" "$@"\n'
    )
    wrapper.chmod(0o755)
    for place in os.environ["PATH"].split(os.pathsep):
        for command in Path(place).glob("*"):
            link = folder / command.name
            if not link.exists() and command.name != "sh" and os.access(command, os.X_OK):
                link.symlink_to(wrapper)
    return log


def test_a_deployment_loses_no_request(deployed, rolled):
    assert rolled["report"].failed == 0
    assert deployed.psql("SELECT count(*) > 5 FROM users") == "t"


def test_what_was_given_runs_and_is_shown(deployed, rolled):
    commit = rolled["commit"]
    assert deployed.whole(commit)
    assert re.search(
        rf"^staging +\d+s  https://{DOMAIN} serves {commit.short}, \d+ seconds after its commit. Parity: kept.$",
        rolled["done"].stderr,
        re.MULTILINE,
    )
    shown = deployed.make("status").stdout
    assert f"  image    {commit.image}\n" in shown
    assert f"  commit   {commit.short} Deployed under load\n" in shown
    assert re.search("^  web      2/2 ", shown, re.MULTILINE)
    newest, first = shown.partition("The last deployments:\n")[2].splitlines()[:2]
    for line, expected in ((newest, commit), (first, deployed.first)):
        digest = expected.image.rpartition("@")[2]
        assert re.fullmatch(rf"    \S+Z  deploy    {expected.short}  {digest}  \S+", line)


def test_a_secret_is_on_no_command_line_and_counts_with_the_next_deployment(deployed, rolled):
    commands = rolled["log"].read_text()
    assert "docker secret create" in commands
    assert "ssh " in commands
    assert rolled["tokens"].partition("=")[2] not in commands
    assert said(rolled["told"].stdout) == [
        "staging has a new API_TOKENS.",
        "The next deployment takes it: make deploy ENV=staging",
    ]
    assert rolled["tokens"].partition("=")[2] not in rolled["told"].stdout + rolled["told"].stderr
    assert (rolled["before"], deployed.status(NEW_TOKEN)) == (401, 200)
    label = f"--filter=label=secret={deployed.stack}/API_TOKENS"
    assert len(deployed.manager.docker("secret", "ls", "--quiet", label).split()) == 1


def test_a_rollback_loses_no_request(deployed, rolled):
    """To the deployment before, and to a commit; the images are no longer on the servers."""
    newest = rolled["commit"]
    for name, to, commit in (("back", [], deployed.first), ("forth", [f"TO={newest.short}"], newest)):
        for server in deployed.servers:
            server.docker("container", "prune", "--force")
            server.docker("image", "rm", commit.image)
        with deployed.steady() as report:
            done = deployed.make("rollback", *to)
            time.sleep(1)
        deployed.measure(f"rollback, {name}", report)
        assert report.failed == 0
        assert deployed.whole(commit)
        assert f"serves {commit.short}, " in said(done.stderr)[-1]
        assert re.search(rf"Z  rollback  {commit.short}  ", deployed.make("status").stdout)


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        pytest.param(
            [
                "HEALTHCHECK --interval=1s --timeout=1s --start-period=1s --retries=2 "
                "CMD echo the answer is no; exit 1"
            ],
            # What it answered is on the server that ran it.
            r"--- web's health check: (the answer is no|shown by docker inspect [0-9a-f]{12} on server2)$",
            id="unhealthy",
        ),
        pytest.param(['CMD ["sh", "-c", "echo what it says; exit 1"]'], "^what it says$", id="exits"),
    ],
)
def test_a_failed_deployment_loses_no_request(deployed, lines, cause, request):
    before = deployed.now()
    commit = deployed.spoilt("Spoilt", *lines)
    with deployed.steady() as report:
        began = time.monotonic()
        done = deployed.make("deploy", f"IMAGE={commit.image}", check=False)
        seconds = time.monotonic() - began
        time.sleep(1)
    deployed.measure(f"failed deployment, {request.node.callspec.id}", report, took=round(seconds, 1))
    print(done.stderr)
    assert done.returncode
    assert report.failed == 0
    assert re.search(cause, last_lines(done.stderr), re.MULTILINE)
    assert deployed.whole(before)
    assert said(done.stderr)[-1] == (
        f"staging runs {before.short} again: the containers of {commit.short} did not become healthy, "
        "or did not answer (above)."
    )
    shown = deployed.make("status").stdout
    assert f"  image    {before.image}\n" in shown
    assert commit.short not in shown


def test_a_server_of_the_stack_that_does_not_start_gives_way_to_the_one_before(deployed):
    before = deployed.now()
    compose = (deployed.service.path / "compose.yaml").read_text()
    assert "--maxmemory, 128mb" in compose
    commit = deployed.spoilt(
        "Spoilt", files={"compose.yaml": compose.replace("--maxmemory, 128mb", "--maxmemory, lots")}
    )
    deployed.write("Mended", {"compose.yaml": compose})
    with deployed.steady() as report:
        done = deployed.make("deploy", f"IMAGE={commit.image}", check=False)
        time.sleep(1)
    deployed.measure("failed Redis", report)
    print(done.stderr)
    assert done.returncode
    assert report.failed == 0
    assert "argument must be a memory value" in last_lines(done.stderr)
    assert said(done.stderr)[-1] == (
        "staging still runs what it ran: PostgreSQL or the cache server did not become healthy as "
        f"{commit.short} has it (above)."
    )
    assert deployed.whole(before)
    eventually(lambda: deployed.status(TOKEN, "/readyz") == 200)


def test_a_failed_migration_loses_no_request_and_the_next_one_bounds_a_rollback(deployed):
    before = deployed.now()
    schema = deployed.psql(SCHEMA)
    head = deployed.head()
    failing = deployed.commit(
        "Fails", migration("fails", head, "CREATE TABLE half (id integer)", "SELECT 1 / 0")
    )
    with deployed.steady() as report:
        done = deployed.make("deploy", f"IMAGE={failing.image}", check=False)
        time.sleep(1)
    deployed.measure("failed migration", report)
    print(done.stderr)
    assert done.returncode
    assert report.failed == 0
    assert deployed.psql(SCHEMA) == schema
    assert deployed.whole(before)
    assert said(done.stderr)[-1] == (
        "staging still runs what it ran: the migration or the parity check failed (above)."
    )
    assert "division by zero" in last_lines(done.stderr)

    contracts = migration("fails", head, "CREATE TABLE whole (id integer)", contracts="nothing uses it")
    mended = deployed.commit("Mended", contracts)
    with deployed.steady() as report:
        deployed.make("deploy", f"IMAGE={mended.image}")
    deployed.measure("deployment with a migration", report)
    assert report.failed == 0
    assert deployed.whole(mended)
    assert deployed.psql("SELECT to_regclass('whole'), to_regclass('half')") == "whole|"

    # It took something away, it says: the earlier code is kept off.
    refused = deployed.make("rollback", check=False)
    assert (refused.returncode, said(refused.stderr)[-1:]) == (
        2,
        [
            f"staging cannot go back to {before.short}: the migration fails took away what it uses. "
            "Mend it in a new commit."
        ],
    )
    assert deployed.whole(mended)


def test_what_runs_is_asked_and_watched_from_a_laptop(deployed):
    assert json.loads(deployed.make("parity", "ARGS=--json").stdout)["verdict"] == "kept"
    assert "42 orders" in deployed.make("console", input="print(6 * 7, app.name)\n").stdout
    logs = deployed.start("logs")
    end = threading.Timer(60, os.killpg, (logs.pid, signal.SIGKILL))
    end.start()
    seen = threading.Event()

    def ask() -> None:
        while not seen.wait(1):
            deployed.status(TOKEN, "/users/laptop")

    with ThreadPoolExecutor() as pool:
        pool.submit(ask)
        found = any("/users/laptop" in line for line in logs.stdout)
        seen.set()
    assert found
    end.cancel()
    os.killpg(logs.pid, signal.SIGTERM)
    logs.communicate()
    eventually(lambda: not [name for name in deployed.leftovers() if "-desk-" in name])


def test_a_killed_container_is_replaced(deployed):
    service = f"{deployed.stack}_web"
    with deployed.steady() as report:
        time.sleep(1)
        began = time.time()
        server, killed = next((s, t) for s in deployed.servers for t in s.tasks(service))
        server.docker("kill", killed)
        eventually(lambda: deployed.healthy("web") == 2 and killed not in server.tasks(service), 60)
        seconds = time.time() - began
        time.sleep(1)
    deployed.measure("web killed", report, recovered=round(seconds, 1))
    # What the container was doing is lost with it.
    assert report.failed <= 6
    assert all(failure.began < began + 1 for failure in report.failures)


def test_without_redis_for_a_while_requests_are_answered(deployed):
    service = f"{deployed.stack}_redis"
    with deployed.steady() as report:
        time.sleep(1)
        began = time.time()
        killed = deployed.manager.tasks(service)[0]
        deployed.manager.docker("kill", killed)
        eventually(
            lambda: killed not in deployed.manager.tasks(service) and deployed.healthy("redis") == 1, 60
        )
        seconds = time.time() - began
        time.sleep(2)
    deployed.measure("redis killed", report, recovered=round(seconds, 1))
    assert report.failed == 0
    eventually(lambda: deployed.status(TOKEN, "/readyz") == 200)


def test_a_server_is_drained_and_lost(deployed):
    deployed.spread()
    # A server is taken out of DNS before it is drained: its Caddy stops too, which closes a connection that has
    # not sent its request yet.
    with deployed.steady(deployed.manager) as report:
        deployed.manager.docker("node", "update", "--availability=drain", "server2")
        eventually(lambda: not deployed.other.tasks(f"{deployed.stack}_web"), 90)
        eventually(lambda: deployed.healthy("web") == 2, 60)
        time.sleep(1)
    deployed.measure("drained", report)
    assert report.failed == 0

    deployed.manager.docker("node", "update", "--availability=active", "server2")
    deployed.spread()
    with deployed.steady() as report:
        time.sleep(1)
        began = time.time()
        deployed.other.kill()
        eventually(
            lambda: len(deployed.manager.tasks(f"{deployed.stack}_web", "--filter=health=healthy")) == 2, 90
        )
        seconds = time.time() - began
        time.sleep(1)
    deployed.measure("server lost", report, recovered=round(seconds, 1))
    # What was under way on the server is lost with it, and what waited for it.
    assert all(failure.began < began + 30 for failure in report.failures)
    assert seconds < 60
    assert report.between(began + seconds).failed == 0
    deployed.other.start()
    eventually(lambda: deployed.other.tasks(f"{deployed.stack}_caddy"), 90)
    assert deployed.now()


def test_two_pipelines_at_once_deploy_the_newer_commit_and_migrate_once(deployed):
    deployed.psql("DROP SEQUENCE IF EXISTS migrated; CREATE SEQUENCE migrated")
    older = deployed.commit("Older", migration("older", deployed.head(), "SELECT nextval('migrated')"))
    newer = deployed.spoilt("Newer")
    given = [older, newer]
    runs = [deployed.start("deploy", f"IMAGE={commit.image}") for commit in given]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    for output in outputs:
        print(output)
    refusal = (
        f"staging runs {newer.short}, which is newer than {older.short}: deploy a newer commit, or go back"
    )
    for commit, run, output in zip(given, runs, outputs, strict=True):
        # The older one is deployed if it came first.
        assert run.returncode == 0 or (commit is older and refusal in output)
    assert sum("Waiting for another deployment to end" in output for output in outputs) == 1
    assert deployed.whole(newer)
    assert deployed.psql("SELECT last_value FROM migrated") == "1"

    late = deployed.make("deploy", f"IMAGE={older.image}", check=False)
    assert said(late.stderr)[-1].startswith(refusal)
    assert deployed.whole(newer)


def test_an_interrupted_deployment_ends_in_the_old_version_or_the_new_one(deployed):
    old = deployed.now()
    new = deployed.spoilt("Interrupted")
    last = deployed.spoilt("Interrupted late")
    # The commit, the step, and how many services have been told of it and how many seconds went by then.
    steps = [
        (new, "Connecting", 0, 0),
        (new, "Checking", 0, 0),
        (new, "Starting", 0, 0),
        (new, "Migrating", 0, 1.5),
        (new, "Replacing", 1, 0),
        (new, "Replacing", 2, 0.5),
        (last, "Holding", 0, 0),
    ]
    with deployed.steady() as report:
        for commit, step, updates, seconds in steps:
            run = deployed.start("deploy", f"IMAGE={commit.image}")
            output = []
            for line in run.stdout:
                output.append(line)
                if re.match(rf"staging +\d+s  {step}", line):
                    break
            else:
                pytest.fail(f"{step} was not reached:\n" + "".join(output))
            if updates:
                deployed.await_updates(updates)
            time.sleep(seconds)
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            time.sleep(1)
            ended = eventually(lambda: next(filter(deployed.settled, (old, new, last)), None), 90)
            print(
                f"{step}, {updates} updates, {seconds} s: {['old', 'new', 'last'][[old, new, last].index(ended)]}",
                flush=True,
            )
    deployed.measure("interrupted deployments", report)
    assert report.failed == 0
    assert ended in (new, last)
    began = time.monotonic()
    deployed.make("deploy", f"IMAGE={last.image}")
    print(f"healed: {time.monotonic() - began:.1f} s")
    assert deployed.whole(last)
    assert deployed.leftovers() == []


@pytest.fixture(scope="module")
def production(deployed, server3) -> Iterator[Server]:
    """A server that production is to run on: a Swarm of its own that nothing was told yet, not even where data goes."""
    server3.docker("node", "update", "--label-rm=data", "server3")
    folder = deployed.service.path / "deploy"
    staging = (folder / "staging.env").read_text()
    (folder / "production.env").write_text(staging.replace(deployed.manager.host, server3.host))
    with (folder / "known_hosts").open("a") as known_hosts:
        known_hosts.write(server3.known_hosts)
    yield server3
    server3.docker("node", "update", "--label-add=data=true", "server3")


def facts(server: Server) -> str:
    """Everything that a Swarm was told."""
    inspect = "docker $kind inspect --format '{{.ID}} {{.Version.Index}}'"
    script = f"for kind in service secret config; do docker $kind ls --quiet | xargs -r {inspect}; done"
    return server.exec("sh", "-c", script)


# What is asked for, what is changed before (a file of deploy/, a pattern and what takes its place), and the sentence.
REFUSED = {
    "no environment": (
        ["deploy", "nowhere"],
        (),
        "ENV=nowhere is no environment: name one of these, or write a file for it: production staging.",
    ),
    "no name of an environment": (["status-of-nothing"], (), "ops/swarm image ENV"),
    "an empty setting": (
        ["deploy", "staging"],
        ("staging.env", "^DOMAIN=.*", "DOMAIN="),
        "deploy/staging.env has no DOMAIN: fill it in",
    ),
    "a missing setting": (
        ["rollback", "staging"],
        ("staging.env", "^TLS=.*\n", ""),
        "has no TLS: fill it in",
    ),
    "backing services of another kind": (
        ["status", "staging"],
        ("staging.env", "^BACKING_SERVICES=.*", "BACKING_SERVICES=stak"),
        "deploy/staging.env: BACKING_SERVICES=stak is neither stack nor managed.",
    ),
    "replicas that are no number": (
        ["deploy", "staging"],
        ("staging.env", "^REPLICAS=.*", "REPLICAS=two"),
        "deploy/staging.env: REPLICAS=two is no number of containers.",
    ),
    "an engine of another kind": (
        ["parity", "staging"],
        ("staging.env", "^DOCKER_HOST=.*", "DOCKER_HOST=tcp://127.0.0.1:2375"),
        "DOCKER_HOST=tcp://127.0.0.1:2375 is not ssh://user@host",
    ),
    "a server out of reach": (
        ["deploy", "staging"],
        ("staging.env", "^DOCKER_HOST=.*", "DOCKER_HOST=ssh://deploy@127.0.0.1:1"),
        r"no connection to ssh://deploy@127.0.0.1:1 \(.*Connection refused\): check DOCKER_HOST",
    ),
    "an unknown host key": (
        ["deploy", "staging"],
        ("known_hosts", r"^\[.*\n", ""),
        r"no connection to .* \(Host key verification failed.\): check .* its line in deploy/known_hosts",
    ),
    "no manager": (
        ["deploy", "staging"],
        ("staging.env", "^DOCKER_HOST=.*", "DOCKER_HOST={other}"),
        "is no manager of a Swarm: prepare it as docs/deployment.md says",
    ),
    "a tag": (
        ["deploy", "staging", "orders:latest"],
        (),
        "IMAGE=orders:latest is not name@sha256:digest: copy it",
    ),
    "half a digest": (
        ["deploy", "staging", "orders@sha256:0123"],
        (),
        "IMAGE=orders@sha256:0123 is not name@sha256:digest: copy it",
    ),
    "an unknown digest": (
        ["deploy", "staging", "{repository}@sha256:" + "0" * 64],
        (),
        r"staging cannot pull .*0000 \(.*not found.*\): check the digest",
    ),
    "an unknown commit": (
        ["rollback", "staging", "0123abc"],
        (),
        "TO=0123abc is neither a digest nor a commit of this clone",
    ),
    "an image of nobody's commit": (
        ["deploy", "staging", "{foreign}"],
        (),
        "was built from 0123456, which this clone does not know: git fetch",
    ),
    "an image of no commit": (
        ["deploy", "staging", "{unnamed}"],
        (),
        "was built from no commit, and cannot be told from others: deploy what the pipeline built",
    ),
    "no node for the data": (
        ["deploy", "production", "{image}"],
        (),
        "production has no node with the label data=true",
    ),
    "nothing to go back to": (
        ["rollback", "production"],
        (),
        "production runs nothing yet: make deploy ENV=production",
    ),
    "nothing to look at": (
        ["console", "production"],
        (),
        "production runs nothing yet: make deploy ENV=production",
    ),
    "an unknown secret": (
        ["secrets", "staging"],
        "API_TOKENS=a\nPASSWORD=b\n",
        "PASSWORD is no secret of this service: name some of DATABASE_URL API_TOKENS .* Nothing was changed.",
    ),
    "a secret without a value": (
        ["secrets", "staging"],
        "API_TOKENS=\n",
        "API_TOKENS has no value. Nothing was changed.",
    ),
    "a line that is no secret": (
        ["secrets", "staging"],
        "hush\n",
        "is no secret of this service: .* Nothing was changed.",
    ),
    "no secrets": (
        ["secrets", "staging"],
        "# None.\n",
        "There is no NAME=value line on standard input. Nothing was changed.",
    ),
}


@pytest.fixture(scope="module")
def images(deployed) -> dict[str, str]:
    """Images that must not be deployed, and one that may."""
    found = {"repository": deployed.repository, "other": deployed.other.host, "image": deployed.first.image}
    for name, revision in (("foreign", "0123456789" * 4), ("unnamed", "")):
        found[name] = deployed.push(name, f'LABEL org.opencontainers.image.revision="{revision}"')
    return found


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_sentence(deployed, production, images, case):
    arguments, change, sentence = REFUSED[case]
    given = change if isinstance(change, str) else ""
    folder = deployed.service.path / "deploy"
    texts = {name: (folder / name).read_text() for name in ("staging.env", "known_hosts")}
    before = facts(deployed.manager), facts(production)
    try:
        if change and not given:
            name, pattern, text = change
            if case == "no manager":
                (folder / "known_hosts").write_text(texts["known_hosts"] + deployed.other.known_hosts)
            changed = re.sub(pattern, text.format(**images), texts[name], flags=re.MULTILINE)
            assert changed != texts[name]
            (folder / name).write_text(changed)
        words = [word.format(**images) for word in arguments]
        done = deployed.service.run("ops/swarm", *words, input=given, check=False)
    finally:
        for name, text in texts.items():
            (folder / name).write_text(text)
    assert done.returncode == 2, done.stderr
    lines = [line for line in said(done.stderr) if not re.match(r"\w+ +\d+s  ", line)]
    assert re.search(sentence, lines[-1])
    assert len(lines) == 1 or case == "no name of an environment"
    assert (facts(deployed.manager), facts(production)) == before


def test_some_server_has_to_answer(deployed, production):
    production.docker("node", "update", "--label-rm=edge", "--label-add=data=true", "server3")
    before = facts(production)
    refused = deployed.service.run("ops/swarm", "deploy", "production", deployed.first.image, check=False)
    assert refused.returncode == 2
    assert said(refused.stderr)[-1].startswith("production has no node with the label edge=true, where Caddy")
    assert facts(production) == before
    production.docker("node", "update", "--label-add=edge=true", "--label-rm=data", "server3")


def test_secrets_are_not_typed(deployed):
    terminal, typist = os.openpty()
    with os.fdopen(terminal), os.fdopen(typist):
        done = deployed.service.run("ops/swarm", "secrets", "staging", stdin=typist, check=False)
    assert done.returncode == 2
    assert said(done.stderr) == [
        "Secrets come as NAME=value lines from a file or another command, never from a command line: "
        "make secrets ENV=staging <FILE."
    ]


def test_a_commit_that_has_no_image_is_not_deployed(deployed):
    deployed.service.git("commit", "--quiet", "--allow-empty", "--message", "Not published")
    revision = deployed.service.git("rev-parse", "HEAD")
    done = deployed.service.run("ops/swarm", "deploy", "staging", check=False)
    deployed.service.git("reset", "--quiet", "--soft", "HEAD~")
    assert done.returncode == 2
    assert f"{deployed.repository} has no image of the commit {revision[:7]} (" in said(done.stderr)[-1]


def test_only_a_staging_that_keeps_parity_is_promoted(deployed, production):
    """A server's setting changed by hand, and the database's; then neither."""
    before = deployed.now()
    redis = f"{deployed.stack}_redis"
    arguments = "--maxmemory 128mb --maxmemory-policy allkeys-lru --appendonly yes"
    deployed.manager.docker("service", "update", "--detach=false", "--quiet", "--args", arguments, redis)
    refused = deployed.service.make("deploy", "ENV=production", check=False)
    print(refused.stderr)
    sentence = "production is as it was: staging drifts from what its repository states (above)."
    assert refused.returncode
    assert said(refused.stderr)[-1] == sentence
    assert re.search("cache.eviction.*volatile-lru.*allkeys-lru", refused.stderr)
    assert not production.docker("service", "ls", "--quiet")
    # The stack's own servers are as compose.yaml has them after the next deployment.
    deployed.make("deploy", f"IMAGE={before.image}")

    deployed.psql("ALTER DATABASE orders SET timezone = 'Europe/Berlin'")
    for environment, ends in (
        ("production", sentence),
        ("staging", "the migration or the parity check failed (above)."),
    ):
        image = [f"IMAGE={before.image}"] if environment == "staging" else []
        refused = deployed.service.make("deploy", f"ENV={environment}", *image, check=False)
        assert refused.returncode
        assert said(refused.stderr)[-1].endswith(ends)
        assert re.search("database.timezone.*UTC.*Europe/Berlin", refused.stderr)
    assert not production.docker("service", "ls", "--quiet")
    assert deployed.whole(before)
    deployed.psql("ALTER DATABASE orders RESET timezone")

    production.docker("node", "update", "--label-add=data=true", "server3")
    refused = deployed.service.run("ops/swarm", "deploy", "production", check=False)
    assert refused.returncode == 2
    assert said(refused.stderr)[-1].startswith(
        "production has no secret DATABASE_URL: put DATABASE_URL=… into a file"
    )


TEAMS = """\
services:
  mail:
    image: redis:8
    # Names resolve to the container itself.
    deploy: {endpoint_mode: dnsrr}

  beat:
    extends: {file: compose.yaml, service: worker}
    command: [celery, --quiet, --app, orders.worker, beat, --schedule, /tmp/beat]
    healthcheck: {test: [CMD, "true"]}
    deploy: {endpoint_mode: dnsrr}
"""
SETTING = """
    stripe_key: SecretStr = Field(description="The key.", examples=["sk_test"])
"""


def test_what_the_team_adds_in_its_own_files_is_deployed_and_goes_with_a_rollback(deployed):
    """A required setting is a secret, and services beside the template's run and go with the commit that has them."""
    service, before = deployed.service, deployed.now()
    settings = service.path / "src" / "orders" / "settings.py"
    text = settings.read_text().replace(
        "from pydantic_settings", "from pydantic import Field, SecretStr\nfrom pydantic_settings"
    )
    settings.write_text(text + SETTING)
    (service.path / "compose.project.yaml").write_text(TEAMS)
    service.make("settings", timeout=600)
    commit = deployed.commit("Add a setting and two services", {"project.mk": "CHECKS += help\n"})

    deploy = ("deploy", f"IMAGE={commit.image}")
    refused = deployed.make(*deploy, check=False)
    assert said(refused.stderr)[-1].startswith(
        "staging has no secret STRIPE_KEY: put STRIPE_KEY=… into a file"
    )
    deployed.make("secrets", input="STRIPE_KEY=sk_live\n")
    with deployed.steady() as report:
        deployed.make(*deploy)
    assert report.failed == 0
    assert deployed.whole(commit)
    assert [len(deployed.tasks(name)) for name in ("beat", "mail")] == [1, 1]
    assert re.search(r"beat +1/1", deployed.make("status").stdout)
    ((server, beat),) = [
        (server, task) for server in deployed.servers for task in server.tasks(f"{deployed.stack}_beat")
    ]
    assert server.docker("exec", beat, "cat", "/run/secrets/stripe_key") == "sk_live"

    deployed.make("rollback")
    assert deployed.whole(before)
    assert deployed.leftovers() == []
