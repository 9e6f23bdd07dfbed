"""Generated services on real parts: what the tests of the service tier share."""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPMessage
from pathlib import Path

import pytest
from conftest import ROOT, copy_template, render

DEFAULT = {"project_slug": "orders-under-test", "package_name": "orders"}
DIFFERENT = {
    "project_name": "Ann's Café 24",
    "project_slug": "cafe-under-test",
    "package_name": "cafe",
    "description": 'It\'s "fast" & <b>bold</b> \\ {{ really }}.',
    "repository_owner": "Ann-Cafe",
    "python_version": "3.13",
    "postgres_version": "17",
    "cache_server": "valkey",
    "jobs": False,
    "license": "MIT",
    "deployment": "kubernetes",
    "production_approval": True,
}
# A name of this checkout's own, and of each process that runs its tests: other stacks stay alone, and what a killed run
# left is found again.
LANE = os.environ.get("PYTEST_XDIST_WORKER", "")
STACK = "-".join(filter(None, ("parity", hashlib.sha256(str(ROOT).encode()).hexdigest()[:8], LANE)))
# One for all processes of a run.
KEPT_TYPES = Path(tempfile.gettempdir()) / f"mypy-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
GIT = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "A"), ("EMAIL", "a@b.c"))
}
GIT |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
# Runs in a container: kills every process whose parent is the process that the argument names.
KILL_CHILDREN = """
import os, pathlib, signal, sys
for status in pathlib.Path("/proc").glob("[0-9]*/status"):
    fields = dict(line.split(":\\t", 1) for line in status.read_text().splitlines() if ":\\t" in line)
    if fields["PPid"].strip() == sys.argv[1] and int(fields["Pid"]) != os.getpid():
        os.kill(int(fields["Pid"]), signal.SIGKILL)
        print(fields["Pid"].strip())
        if sys.argv[2:] == ["one"]:
            break
"""


@functools.cache
def docker_answers() -> bool:
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def pytest_collection_finish(session: pytest.Session) -> None:
    if os.environ.get("REQUIRE_DOCKER") == "1" and missing(session.items):
        session.shouldfail = (
            "REQUIRE_DOCKER=1, but Docker does not answer: the tests of the generated services cannot run."
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if missing([item]):
        pytest.skip("Docker does not answer")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = [report for report in terminalreporter.getreports("skipped") if "service" in report.keywords]
    if left_out and not docker_answers():
        terminalreporter.write_sep(
            "!",
            f"NO DOCKER: {len(left_out)} tests did not run, no generated service was built",
            red=True,
            bold=True,
        )


def missing(items: list[pytest.Item]) -> bool:
    return any(item.get_closest_marker("service") for item in items) and not docker_answers()


@dataclass(frozen=True)
class Answer:
    """An HTTP response, and how long it took (seconds)."""

    status: int
    headers: HTTPMessage
    text: str
    seconds: float

    @property
    def json(self) -> dict:
        """The body."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Service:
    """A generated service and its stack."""

    path: Path
    answers: dict
    project: str
    token: str = "development"  # noqa: S105
    files: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_port())
    superuser: str = "postgres"

    @property
    def shipped(self) -> str:
        """The image that ships."""
        return f"{self.answers['image_name']}:{self.project}"

    @property
    def tested(self) -> str:
        """The image of development and of the tests."""
        return f"{self.answers['project_slug']}-development:{self.project}"

    @property
    def package(self) -> str:
        """The name of the package and of the database."""
        return self.answers["package_name"]

    @property
    def cache(self) -> str:
        """The name of the cache server, in the stack too."""
        return self.answers["cache_server"]

    def run(
        self, *command: str, check: bool = True, timeout: float = 300, **options
    ) -> subprocess.CompletedProcess:
        """Run a command in the service's folder; its output is what a failure shows."""
        options = {"stdin": subprocess.DEVNULL} | options if "input" not in options else options
        done = subprocess.run(
            command, cwd=self.path, env=self.env(), capture_output=True, text=True, timeout=timeout, **options
        )
        if check and done.returncode:
            pytest.fail(
                f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
            )
        return done

    def env(self) -> dict[str, str]:
        """The environment of a command: the stack's own name and port."""
        # A make that runs the tests must not hand its own options to the make of the service.
        # Nor does it leave a stack for the next run where CI is set.
        outer = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MAKE") and name not in ("MFLAGS", "CI")
        }
        stack = {"PROJECT": self.project, "COMPOSE_PROJECT_NAME": self.project, "CHECKOUT": self.project}
        stack["WEB_PORT"] = str(self.port)
        return outer | GIT | stack | self.environment

    def make(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        """Run one of the service's commands."""
        done = self.run("make", "--no-print-directory", *arguments, **options)
        if not done.returncode and {"lint", "check"}.intersection(arguments):
            keep_types(self.path)
        return done

    def inside(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the tests of the template's promises in the stack that `make test` runs the service's own in."""
        self.make("build", timeout=600)
        files = ("--file", "compose.yaml", "--file", "compose.test.yaml", "--profile", "test")
        stack = ("docker", "compose", "--project-name", f"{self.project}-test", *files, "--progress", "quiet")
        mounted = f"{ROOT / 'tests' / 'inside'}:/app/inside:ro"
        own = ("--env", "SHIPPED_LAYERS=")
        words = ("run", "--rm", "--no-TTY", *own, "--volume", mounted, "test", "pytest", "inside", *arguments)
        try:
            return self.run(*stack, *words, timeout=600)
        finally:
            self.run(*stack, "down", "--volumes", "--timeout", "1")

    def git(self, *arguments: str) -> str:
        """Run git on the service."""
        return self.run("git", *arguments).stdout

    def compose(self, *arguments: str, **options) -> str:
        """Run Docker Compose on the stack, and return its output."""
        return self.run(*self.compose_command(*arguments), **options).stdout

    def compose_command(self, *arguments: str) -> list[str]:
        """The words that run Docker Compose on the stack."""
        return ["docker", "compose", *(f"--file={name}" for name in self.files), *arguments]

    def inspect(self, name: str) -> dict:
        """What Docker knows of one of the stack's containers, running or not."""
        container = self.compose("ps", "--all", "--quiet", name).strip()
        return json.loads(self.run("docker", "inspect", container).stdout)[0]

    def python(self, name: str, script: str, *arguments: str) -> str:
        """Run a script in one of the stack's containers."""
        return self.compose("exec", "--no-TTY", name, "python", "-", *arguments, input=script)

    def psql(self, statement: str) -> str:
        """Ask the stack's database."""
        return self.compose(*self.shell(), f"--command={statement}").strip()

    def shell(self) -> list[str]:
        """The arguments of docker compose that ask the stack's database."""
        psql = (
            "psql",
            "--no-align",
            "--tuples-only",
            "--quiet",
            f"--username={self.superuser}",
            self.package,
        )
        return ["exec", "--no-TTY", "postgres", *psql]

    @contextlib.contextmanager
    def locked(self, user_id: int) -> Iterator[Callable[[], None]]:
        """Hold a user's row, so that whoever changes it waits in the middle, until the given function is called."""
        with subprocess.Popen(
            self.compose_command(*self.shell()),
            cwd=self.path,
            env=self.env(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            holder.stdin.write(f"BEGIN; SELECT 'held' FROM users WHERE id = {user_id} FOR UPDATE;\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "held\n"

            def release() -> None:
                if not holder.stdin.closed:
                    holder.stdin.write("COMMIT;\n")
                    holder.stdin.close()

            try:
                yield release
            finally:
                release()

    def someone_waits(self) -> bool:
        """Whether somebody waits for a lock in the database."""
        return self.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != "0"

    def call(
        self,
        path: str,
        method: str = "GET",
        body: object = None,
        token: str | None = "",
        headers: dict | None = None,
        **options,
    ) -> Answer:
        """Ask over HTTP; no error status raises."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token or self.token}"
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        started = time.monotonic()
        try:
            response = urllib.request.urlopen(request, timeout=options.get("timeout", 30))  # noqa: S310
        except urllib.error.HTTPError as error:
            response = error
        with response:
            text = response.read().decode(errors="replace")
            return Answer(response.status, response.headers, text, time.monotonic() - started)

    def create(self, username: str, **options) -> Answer:
        """Create a user."""
        return self.call(
            "/users", "POST", {"username": username, "display_name": username.title()}, **options
        )

    def ready(self) -> bool:
        """Whether the service has everything it needs."""
        return self.answers_with(200, "/readyz") and self.call("/readyz").json["status"] == "ok"

    def answers_with(self, status: int, path: str) -> bool:
        """Whether a path is answered with a status."""
        try:
            return self.call(path, timeout=5).status == status
        except OSError:
            return False

    def remove(self) -> None:
        """Take away the stacks, their data and their networks."""
        for project in (self.project, f"{self.project}-test"):
            self.run(
                "docker",
                "compose",
                "--project-name",
                project,
                "down",
                "--volumes",
                "--remove-orphans",
                "--timeout=1",
            )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(condition: Callable[[], object], seconds: float = 30, pause: float = 0.1) -> object:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} seconds: {condition.__qualname__}")
        time.sleep(pause)
    return result


def first_commit(path: Path) -> None:
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=First"],
    ):
        subprocess.run(["git", *command], cwd=path, env=os.environ | GIT, check=True)
    if KEPT_TYPES.exists() and (path / "ops").exists():
        shutil.copytree(KEPT_TYPES, path / ".mypy_cache")


def keep_types(path: Path) -> None:
    """Keep what mypy knows of the packages, for the next service of this run: it looks at them for ten seconds."""
    for found in (path / ".mypy_cache").glob("3.*"):
        if not (KEPT_TYPES / found.name).exists():
            KEPT_TYPES.mkdir(exist_ok=True)
            part = Path(tempfile.mkdtemp(dir=KEPT_TYPES.parent))
            shutil.copytree(found, part, dirs_exist_ok=True)
            # Another process may have been faster.
            with contextlib.suppress(OSError):
                part.rename(KEPT_TYPES / found.name)


@contextlib.contextmanager
def only_run() -> Iterator[None]:
    """Wait for another run on this machine to end: it has the same names of images and stacks."""
    with (Path(tempfile.gettempdir()) / f"copier-flask-parity-services{LANE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def alone() -> Iterator[None]:
    """No other run on this machine."""
    with only_run():
        yield


@pytest.fixture(scope="session")
def snapshot(alone, tmp_path_factory) -> Path:
    """The template as it stands now: somebody may work on it while the services run."""
    return copy_template(tmp_path_factory.mktemp("snapshot"))


def booted(
    source: Path,
    folder: Path,
    answers: dict,
    name: str,
    prepare: Callable[[Path], None] = lambda _: None,
    **environment: str,
) -> Iterator[Service]:
    project = render(source, folder, answers)
    first_commit(project.path)
    service = Service(project.path, project.answers, f"{STACK}-{name}", environment=environment)
    service.remove()
    prepare(project.path)
    try:
        service.make("up", timeout=600)
        yield service
    finally:
        service.remove()


@pytest.fixture(scope="session")
def default(snapshot, tmp_path_factory) -> Iterator[Service]:
    """The service with the default answers, brought up as a developer does; its image and stack have names of their own."""
    yield from booted(
        snapshot, tmp_path_factory.mktemp("service") / "default", DEFAULT, "default", WEB_CONCURRENCY="2"
    )


@pytest.fixture(scope="session")
def different(snapshot, tmp_path_factory) -> Iterator[Service]:
    """The service that differs from the default one in every answer."""
    yield from booted(
        snapshot,
        tmp_path_factory.mktemp("service") / "different",
        DIFFERENT,
        "different",
        WEB_CONCURRENCY="2",
    )


@pytest.fixture(params=["default", "different"])
def service(request) -> Service:
    """Each of the two services."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def production(default, tmp_path_factory) -> Iterator[Service]:
    """The default service as it ships: compose.yaml alone, with the shipped image and the environment's own secrets."""
    ports = tmp_path_factory.mktemp("production") / "ports.yaml"
    ports.write_text('services: {web: {ports: ["127.0.0.1:${WEB_PORT}:8000"]}}\n')
    token = "correct horse battery staple"  # noqa: S105
    environment = {
        "API_TOKENS": f"tests:{hashlib.sha256(token.encode()).hexdigest()}",
        "DATABASE_URL": f"postgresql://{default.package}:not-development@postgres/{default.package}",
        "POSTGRES_PASSWORD": "not-development",
        "RATE_LIMIT": "1000000 per minute",
        "WEB_CONCURRENCY": "2",
    }
    files = ("compose.yaml", str(ports))
    service = Service(default.path, default.answers, f"{STACK}-production", token, files, environment)
    service.remove()
    try:
        service.compose("up", "--build", "--detach", "--wait")
        yield service
    finally:
        service.remove()


@pytest.fixture
def workspace(service) -> Iterator[Service]:
    """A service whose files a test may change; they are as before afterwards."""
    yield service
    changed = service.git("status", "--porcelain")
    service.git("clean", "--quiet", "--force", "-d")
    if changed:
        # The images too: other stacks run them.
        service.git("reset", "--quiet", "--hard")
        service.make("build")
        # The server sees the change, and starts again.
        time.sleep(3)
    eventually(service.ready)


@pytest.fixture
def copy(default, tmp_path) -> Service:
    """A copy of the default service's repository, on a stack of its own that nothing starts."""
    path = tmp_path / "copy"
    shutil.copytree(default.path, path)
    return Service(path, default.answers, f"{STACK}-copy")
