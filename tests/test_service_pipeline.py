"""The whole pipeline of a generated service on real servers, from a push to what production runs."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import actions
import pytest
from conftest import render
from servers import Registry, Server, docker
from service import STACK, Service, first_commit

pytestmark = pytest.mark.service

ANSWERS = {"project_slug": "pipeline-under-test", "package_name": "orders"}
# Leaves most of what `make test` runs to the push that needs all of it.
FEW = "--env=ARGS=-k username_is_unique"
PASSWORD = "not-development"  # noqa: S105
SECRETS = {
    "DATABASE_URL": f"postgresql://orders:{PASSWORD}@postgres/orders",
    "POSTGRES_PASSWORD": PASSWORD,
    "API_TOKENS": f"tests:{hashlib.sha256(b'token').hexdigest()}",
}


@dataclass(frozen=True)
class Pipeline:
    """A service's repository, its environments staging and production, and what GitHub has beside them."""

    service: Service
    registry: Registry
    servers: dict[str, tuple[Server, ...]]
    artifacts: Path

    @property
    def repository(self) -> str:
        """The image's name in the registry."""
        return f"acme/{self.service.answers['project_slug']}"

    @property
    def image_name(self) -> str:
        """The image's whole name."""
        return f"{self.registry.address}/{self.repository}"

    def head(self) -> str:
        """The commit of the working tree."""
        return self.service.git("rev-parse", "HEAD").strip()

    def commit(self, message: str, name: str, before: str, after: str) -> str:
        """Commit a change of what a file says, and return the commit."""
        file = self.service.path / name
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))
        self.service.git("commit", "--quiet", "--all", "--message", message)
        return self.head()

    def push(self, *more: str) -> tuple[int, str]:
        """Run the workflow for a push of the commit; its exit status and its log."""
        # The key stands in the command's environment, and on no command line.
        options = (
            "--secret=DEPLOY_KEY",
            f"--env=IMAGE_NAME={self.image_name}",
            f"--env=PROJECT={self.service.project}",
        )
        # A runner shows a step's summary, and act throws it away.
        options += (f"--env=BASH_ENV={actions.ARTIFACTS}/bash", *more)
        done = self.service.run(
            *actions.command(self.service.path, self.artifacts, "push", *options), check=False, timeout=600
        )
        return done.returncode, done.stdout + done.stderr

    def summary(self) -> str:
        """What the runs' summaries said, the last one last."""
        file = self.artifacts / "summary"
        return file.read_text() if file.exists() else ""

    def runs(self, environment: str) -> dict[str, str]:
        """Which image each service of the application runs in an environment."""
        stack = f"{self.service.answers['project_slug']}-{environment}"
        return {
            f"{name} {task}": server.docker("inspect", "--format", "{{.Config.Image}} {{.Image}}", task)
            for server in self.servers[environment]
            for name in ("web", "worker")
            for task in server.tasks(f"{stack}_{name}", "--filter=health=healthy")
        }


@pytest.fixture(scope="module")
def pipeline(snapshot, registry: Registry, server1, server2, server3, tmp_path_factory) -> Iterator[Pipeline]:
    """The default service, pushed by nobody yet; both environments are prepared and run nothing."""
    folder = tmp_path_factory.mktemp("pipeline")
    project = render(snapshot, folder / "service", ANSWERS)
    environment = {
        "IMAGE_NAME": f"{registry.address}/acme/{ANSWERS['project_slug']}",
        "DEPLOY_KEY": server1.key.read_text(),
    }
    service = Service(project.path, project.answers, f"{STACK}-pipeline", environment=environment)
    pipeline = Pipeline(
        service, registry, {"staging": (server3,), "production": (server1, server2)}, folder / "artifacts"
    )
    pipeline.artifacts.mkdir()
    (pipeline.artifacts / "bash").write_text(f"GITHUB_STEP_SUMMARY={actions.ARTIFACTS}/summary\n")
    for name, (manager, *_) in pipeline.servers.items():
        settings = {
            "DOCKER_HOST": manager.host,
            "DOMAIN": f"{name}.orders.test",
            "TLS": "internal",
            "REPLICAS": "2" if name == "production" else "1",
            "BACKING_SERVICES": "stack",
            "WEB_CONCURRENCY": "1",
        }
        lines = (f"{key}={value}\n" for key, value in settings.items())
        (project.path / "deploy" / f"{name}.env").write_text("".join(lines))
        with (project.path / "deploy" / "known_hosts").open("a") as known_hosts:
            known_hosts.write(manager.known_hosts)
    first_commit(project.path)
    # act names its containers after the workflow: on this machine another copy of it may run.
    pipeline.commit(
        "Rename the workflow", str(actions.WORKFLOW), "name: CI/CD\n", f"name: {service.project}\n"
    )

    def prepare(name: str) -> None:
        for server in pipeline.servers[name]:
            server.empty()
        lines = (f"{key}={value}\n" for key, value in SECRETS.items())
        service.make("secrets", f"ENV={name}", input="".join(lines))

    # DNS leads to one server of the two.
    server1.docker("node", "update", "--label-rm=edge", "server2")
    try:
        registry.mirror("postgres:18", "redis:8", "caddy:2")
        with ThreadPoolExecutor() as pool:
            list(pool.map(prepare, pipeline.servers))
        yield pipeline
    finally:
        server1.docker("node", "update", "--label-add=edge=true", "server2")
        for server in itertools.chain(*pipeline.servers.values()):
            server.empty()
        images = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", pipeline.image_name).split()
        named = [name for name in images if not name.endswith("<none>")]
        docker("image", "rm", "--force", service.shipped, service.tested, *named)


@dataclass(frozen=True)
class Delivered:
    """What a push brought to production."""

    older: str
    commit: str
    digest: str
    log: str


@pytest.fixture(scope="module")
def delivered(pipeline) -> Delivered:
    """A push of one line that went all the way; the commit before it was never pushed by itself."""
    older = pipeline.head()
    commit = pipeline.commit("Number the next version", "src/orders/project.py", '"1.0.0"', '"1.0.1"')
    status, log = pipeline.push()
    print(log)
    assert status == 0, log[-6000:]
    digest = re.findall(rf"{re.escape(pipeline.image_name)}@(sha256:\w{{64}})", log)[-1]
    return Delivered(older, commit, digest, log)


def test_production_runs_the_image_that_was_tested(pipeline, delivered):
    image = f"{pipeline.image_name}@{delivered.digest}"
    built, tested = (
        json.loads(docker("image", "inspect", name))[0]
        for name in (pipeline.service.shipped, pipeline.service.tested)
    )
    assert built["Config"]["Labels"]["org.opencontainers.image.revision"] == delivered.commit
    assert re.search(r"=+ \d\d+ passed.* in ", delivered.log)
    # One image has one id on every machine: the bytes whose layers the tests' image begins with.
    for name, containers in {"staging": 2, "production": 3}.items():
        assert list(pipeline.runs(name).values()) == [f"{image} {built['Id']}"] * containers
        (arrived,) = json.loads(pipeline.servers[name][0].docker("image", "inspect", image))
        layers = arrived["RootFS"]["Layers"]
        assert layers == built["RootFS"]["Layers"] == tested["RootFS"]["Layers"][: len(layers)]


def test_what_was_tested_is_published_and_signed(pipeline, delivered):
    steps = actions.ran(delivered.log)
    assert steps["Build, lint and test"] == [
        "Check out the commit",
        "Log in to the registry",
        "Build the image",
        "Lint",
        "Test the image that was built",
        "Run the checks that project.mk adds",
        "Save the image that was tested",
        "Hand it to the next jobs",
    ]
    assert "Scan for vulnerabilities" in steps
    # The next build takes from there what it would make the same.
    assert pipeline.registry.tags(pipeline.repository) == sorted([delivered.commit, "latest", "packages"])
    image = f"{pipeline.image_name}@{delivered.digest}"
    assert (pipeline.artifacts / "attested").read_text().splitlines() == [f"{image} ", f"{image} sbom"]


def test_caddy_is_where_dns_leads_and_web_on_every_server(pipeline, delivered):
    running = [
        {name: len(server.tasks(f"pipeline-under-test-production_{name}")) for name in ("web", "caddy")}
        for server in pipeline.servers["production"]
    ]
    assert running == [{"web": 1, "caddy": 1}, {"web": 1, "caddy": 0}]


def test_the_summary_tells_a_person_what_happened(pipeline, delivered):
    image = f"{pipeline.image_name}@{delivered.digest}"
    summary = pipeline.summary()
    print(summary)
    assert f"- **Published** commit `{delivered.commit}` as `{image}`" in summary
    tables = re.findall(r"^\| (\w+) \| \|\n\| --- \| --- \|\n((?:\|.*\n)+)", summary, re.MULTILINE)
    assert [name for name, _ in tables] == ["staging", "production"]
    for name, rows in tables:
        told = dict(re.findall(r"^\| ([^|]+?) \| (.+) \|$", rows, re.MULTILINE))
        assert told["commit"] == f"`{delivered.commit[:7]}` Number the next version"
        assert told["image"] == f"`{image}`"
        assert told["address"] == f"<https://{name}.orders.test>"
        assert told["parity"] == "kept"
        lead, deployment = map(
            int, re.fullmatch(r"(\d+) s, of which (\d+) s this .*", told["from commit to here"]).groups()
        )
        assert lead > deployment


def test_an_older_commit_overtakes_no_newer_one(pipeline, delivered):
    # As the run of an old push that somebody starts again: it is complete, and its clone knows the newer commit.
    pipeline.service.git("branch", "newer")
    pipeline.service.git("reset", "--quiet", "--hard", delivered.older)
    before, told = [pipeline.runs(name) for name in pipeline.servers], pipeline.summary().count("---")
    status, log = pipeline.push(FEW)
    pipeline.service.git("reset", "--quiet", "--hard", "newer")
    assert status != 0
    assert actions.failed(log) == ["Deploy, and hold what runs against the repository"]
    sentence = (
        f"staging runs {delivered.commit[:7]}, which is newer than {delivered.older[:7]}: deploy a newer commit, "
        f"or go back with make rollback ENV=staging TO={delivered.older[:7]}."
    )
    assert sentence in log, log[-4000:]
    assert "Deploy to production" not in actions.ran(log)
    assert before == [pipeline.runs(name) for name in pipeline.servers]
    assert pipeline.summary().count("---") == told


def test_whoever_wrote_it_promotes_it_by_hand(pipeline, delivered):
    """From a laptop, by the same command: what staging runs, and not what lies in the working tree."""
    done = pipeline.service.make("deploy", "ENV=production")
    assert re.search(
        rf"^production +\d+s  https://production.orders.test serves {delivered.commit[:7]}, .* Parity: kept.$",
        done.stderr,
        re.MULTILINE,
    )
    shown = pipeline.service.make("status", "ENV=production").stdout
    assert len(re.findall(rf"  deploy    {delivered.commit[:7]}  {delivered.digest}  ", shown)) == 2


def test_what_fails_a_test_reaches_no_server(pipeline, delivered):
    before = [pipeline.runs(name) for name in pipeline.servers]
    broken = pipeline.commit("Break", "tests/test_users.py", "status_code == 409", "status_code == 200")
    status, log = pipeline.push(FEW)
    pipeline.service.git("reset", "--quiet", "--hard", delivered.commit)
    assert status != 0
    assert actions.failed(log) == ["Test the image that was built"], log[-4000:]
    assert broken not in pipeline.summary()
    assert broken not in pipeline.registry.tags(pipeline.repository)
    assert [pipeline.runs(name) for name in pipeline.servers] == before
