"""What every measurement needs: a rendered service, commands, containers, and a table to report to."""

import hashlib
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Names the images, containers, networks and volumes, so that they meet nobody else's and are all found again.
SLUG = "parity-bench-svc"
PACKAGE = "parity_bench"
LOAD_PROJECT = "parity-bench-load"

TOKEN = "bench"  # noqa: S105
WORKERS = 2
THREADS = 4


class Unmeasurable(Exception):
    """A sentence that says what is missing."""


def say(text: str) -> None:
    """Report progress on standard error."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def run(
    *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: str = ""
) -> str:
    """Run a command and return its output.

    Raises:
        Unmeasurable: with the end of its output, if it fails.
    """
    # A make that runs this must not lend its own options to the makes that are measured.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "COMPOSE", "MFLAGS"))
    }
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=inherited | (env or {}),
        input=stdin,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        end = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
        raise Unmeasurable(f"`{' '.join(str(part) for part in command)[:200]}` failed:\n{end}")
    return result.stdout.strip()


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes, in seconds."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


@dataclass
class Row:
    """One comparison; a value that does not apply is None.

    Args:
        name: what was measured.
        this: the measured value.
        unit: its unit, which is the baseline's too.
        baseline: what it is compared with.
        goal: the bound, as printed.
        met: whether the goal is met.
        digits: decimals to print of the values.
        ratio: of the two, where it is not that of the printed values.
    """

    name: str
    this: float | None
    unit: str = ""
    baseline: float | None = None
    goal: str = ""
    met: bool | None = None
    digits: int = 2
    ratio: float | None = None

    def cells(self) -> list[str]:
        """Return the row as it is printed."""
        unit = f" {self.unit}" if self.unit else ""
        this, baseline = (
            "" if value is None else f"{value:,.{self.digits}f}{unit}" for value in (self.this, self.baseline)
        )
        ratio = self.ratio or (self.this / self.baseline if self.this is not None and self.baseline else None)
        shown = "" if ratio is None else f"{ratio:.2f}"
        met = {True: "yes", False: "no", None: ""}[self.met]
        return [self.name, this, baseline, shown, self.goal, met]


def table(rows: list[Row]) -> str:
    """Return all rows as one table."""
    cells = [["name", "this", "baseline", "ratio", "goal", "met"], *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    align = [str.ljust, str.rjust, str.rjust, str.rjust, str.ljust, str.ljust]
    lines = [
        "  ".join(just(cell, width) for just, cell, width in zip(align, line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


@dataclass
class Workbench:
    """A temporary folder with a rendered service, and everything that was started from it.

    Args:
        quick: fewer and shorter rounds, to see that it works.
    """

    quick: bool
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="parity-bench-")))
    images: list[str] = field(default_factory=list)

    @property
    def template(self) -> Path:
        """The template as a repository with one commit, like the one a user names."""
        path = self.folder / "template"
        if not path.exists():
            path.mkdir()
            for name in ("copier.yml", "hooks", "includes", "template"):
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(
                        source, path / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
                    )
                elif source.exists():
                    shutil.copy(source, path)
            commit(path)
        return path

    @property
    def service(self) -> Path:
        """The service with the default answers, under a name of its own."""
        path = self.folder / "service"
        if not path.exists():
            copy(self.template, path, project_name="Bench", project_slug=SLUG, package_name=PACKAGE)
        return path

    @property
    def shipped(self) -> str:
        """The image that ships, built once."""
        if SLUG not in self.images:
            say("building the shipped image")
            self.build(SLUG)
        return SLUG

    def build(self, tag: str, *options: str, context: Path | None = None, dockerfile: str = "") -> None:
        """Build an image, which `clean` removes."""
        self.images.append(tag)
        source: tuple[str | Path, ...] = ("-",) if dockerfile else (context or self.service,)
        run("docker", "build", "--quiet", "--tag", tag, *options, *source, stdin=dockerfile)

    def make(self, target: str, port: int) -> None:
        """Run one of the service's own make targets, the web server on a port of 127.0.0.1."""
        run("make", target, f"WEB_PORT={port}", cwd=self.service)

    def compose(self, *arguments: str, image: str = SLUG) -> str:
        """Run docker compose with the stack as it is deployed: compose.yaml and no overlay."""
        env = {
            "IMAGE": image,
            "POSTGRES_PASSWORD": "bench",
            "DATABASE_URL": f"postgresql://{PACKAGE}:bench@postgres:5432/{PACKAGE}",
            "API_TOKENS": f"bench:{hashlib.sha256(TOKEN.encode()).hexdigest()}",
            # Counts every request and refuses none.
            "RATE_LIMIT": "1000000000 per minute",
            "LOG_LEVEL": "INFO",
            "LOG_FORMAT": "json",
            "WEB_CONCURRENCY": str(WORKERS),
            "WEB_THREADS": str(THREADS),
            # An image with more packages than the lock names would not start.
            "PARITY": "enforce" if image == SLUG else "warn",
        }
        compose = (
            "docker",
            "compose",
            "--progress",
            "quiet",
            "--project-name",
            LOAD_PROJECT,
            "--file",
            "compose.yaml",
        )
        return run(*compose, *arguments, cwd=self.service, env=env)

    def clean(self) -> None:
        """Remove the containers, networks, volumes and images that were made, and the folder."""
        say("cleaning up")
        if (self.folder / "service").exists() and shutil.which("docker"):
            for project in (LOAD_PROJECT, SLUG, f"{SLUG}-test"):
                remove = ("down", "--remove-orphans", "--volumes", "--timeout", "1")
                quietly("docker", "compose", "--project-name", project, *remove, cwd=self.service)
            quietly("docker", "image", "rm", "--force", *self.images, SLUG, f"{SLUG}-development")
            label = f"label=org.opencontainers.image.title={SLUG}"
            quietly("docker", "image", "prune", "--force", "--filter", label)
        shutil.rmtree(self.folder, ignore_errors=True)


def quietly(*command: str, cwd: Path | None = None) -> None:
    """Run a command whatever comes of it."""
    subprocess.run(command, cwd=cwd, capture_output=True, check=False)


def commit(path: Path) -> None:
    """Make a folder a git repository with everything in one commit."""
    git = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")
    run("git", "init", "--quiet", cwd=path)
    run("git", "add", "--all", "--force", cwd=path)
    run(*git, "commit", "--quiet", "--message", "Measure", cwd=path)


def copy(template: Path, destination: Path, **answers: str) -> None:
    """Generate from a template, as its user would, without questions."""
    data = [part for name, value in answers.items() for part in ("--data", f"{name}={value}")]
    command = (sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", "--vcs-ref", "HEAD")
    run(*command, *data, template, destination)


def get(host: str, port: int, path: str, timeout: float = 2) -> tuple[int, bytes]:
    """Return status and body of a request with the token; 0 if nobody answers within the timeout (seconds)."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def wait_for(host: str, port: int, path: str, limit: float = 60) -> None:
    """Wait until a path answers 200.

    Raises:
        Unmeasurable: if it does not within the limit (seconds).
    """
    deadline = time.monotonic() + limit
    while get(host, port, path)[0] != 200:
        if time.monotonic() > deadline:
            raise Unmeasurable(f"{path} did not answer 200 within {limit:.0f} seconds.")
        time.sleep(0.01)


@dataclass
class Load:
    """What the load generator saw: requests a second, the 99th percentile (milliseconds) and how many requests."""

    rate: float
    p99: float
    requests: int


def load(host: str, path: str, duration: int, connections: int = 16) -> Load:
    """Send requests with the token for a number of seconds.

    Raises:
        Unmeasurable: if one is not answered with 2xx.
    """
    header = ("--header", f"Authorization: Bearer {TOKEN}")
    output = run(
        "wrk", "--threads=1", f"--connections={connections}", f"--duration={duration}s", "--latency", *header,
        f"http://{host}:8000{path}",
    )  # fmt: skip
    if "Non-2xx" in output or "Socket errors" in output:
        raise Unmeasurable(f"Not every request was answered:\n{output}")
    number, unit = re.search(r"\s99%\s+([\d.]+)(us|ms|s)", output).groups()
    return Load(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),
        p99=float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
        requests=int(re.search(r"(\d+) requests in", output)[1]),
    )


def inspect(kind: str, name: str) -> dict:
    """Return what Docker knows of an image or a container."""
    return json.loads(run("docker", kind, "inspect", name))[0]
