"""The workflow of a generated service, run by act, with a registry of its own."""

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import actions
import pytest
from actions import failed, ran
from service import STACK, Service, eventually, free_port

pytestmark = pytest.mark.service

# Leaves most of what `make test` runs to the test that needs all of it.
FEW = "ARGS=-k username_is_unique"
# Takes the place of the command that deploys, where a test is about the order of the jobs.
DEPLOY = f"""
.PHONY: deploy
deploy:
\t@echo "$(ENV) $(IMAGE)" >>{actions.ARTIFACTS}/deployed
"""


@dataclass(frozen=True)
class Registry:
    """A registry, and the name of the image there."""

    port: int

    @property
    def name(self) -> str:
        """What IMAGE_NAME is set to."""
        return f"127.0.0.1:{self.port}/acme/orders"

    def get(self, path: str, accept: str = "*/*") -> dict:
        """What the registry answers about the image."""
        address = f"http://127.0.0.1:{self.port}/v2/{path}"
        with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": accept})) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return self.get("") == {}
        except OSError:
            return False

    def tags(self) -> list[str]:
        """The image's tags; none when it was never pushed."""
        try:
            return sorted(self.get("acme/orders/tags/list")["tags"])
        except urllib.error.HTTPError:
            return []

    def image(self, reference: str) -> tuple[str, list[str]]:
        """The id and the layers of a tag or a digest."""
        kinds = (
            "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
        )
        config = self.get(f"acme/orders/manifests/{reference}", kinds)["config"]["digest"]
        return config, self.get(f"acme/orders/blobs/{config}")["rootfs"]["diff_ids"]


@pytest.fixture
def registry() -> Iterator[Registry]:
    found = Registry(free_port())
    name = f"{STACK}-registry"
    subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=True)
    run = [
        "docker",
        "run",
        "--detach",
        f"--name={name}",
        f"--publish=127.0.0.1:{found.port}:5000",
        "registry:3",
    ]
    subprocess.run(run, capture_output=True, check=True)
    try:
        eventually(found.answers)
        yield found
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=True)
        # What was pushed there has its name here as well.
        listed = ["docker", "images", "--digests", f"--filter=reference={found.name}", "--format"]
        listed += ['{{.Repository}}{{if eq .Tag "<none>"}}@{{.Digest}}{{else}}:{{.Tag}}{{end}}']
        names = set(subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split())
        if names:
            subprocess.run(["docker", "rmi", *names], capture_output=True, check=True)


@dataclass(frozen=True)
class Repository:
    """A service's repository, and what GitHub has beside it."""

    service: Service
    registry: Registry
    artifacts: Path

    def commit(self, message: str) -> str:
        """Commit everything, and return the commit."""
        self.service.git("add", "--all")
        self.service.git("commit", "--quiet", f"--message={message}")
        return self.service.git("rev-parse", "HEAD").strip()

    def change(self, name: str, before: str, after: str) -> None:
        """Change what a file says."""
        file = self.service.path / name
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))

    def happens(self, event: str, *options: str, **payload: object) -> tuple[int, str]:
        """Run the workflow for an event; its exit status and its log."""
        options = (*(f"--env={option}" for option in options), f"--env=IMAGE_NAME={self.registry.name}")
        options += (f"--env=PROJECT={self.service.project}",)
        command = actions.command(self.service.path, self.artifacts, event, *options, **payload)
        done = self.service.run(*command, check=False, timeout=600)
        (self.artifacts / "log").write_text(done.stdout + done.stderr)
        return done.returncode, done.stdout + done.stderr


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def repository(copy, registry, tmp_path) -> Iterator[Repository]:
    """A repository whose stacks are gone afterwards."""
    copy.remove()
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    # The answers of `make up` do not matter here, and what runs is not to see another run's image.
    found = Repository(replace(copy, environment={"IMAGE_NAME": registry.name}), registry, artifacts)
    # act names its containers after the workflow: on this machine another copy of it may run.
    found.change(str(actions.WORKFLOW), "name: CI/CD\n", f"name: CI/CD of {copy.project}\n")
    found.commit("Rename the workflow")
    yield found
    copy.remove()


def deployable(repository: Repository) -> None:
    """Set up staging and production, with a command that only writes down what it is asked for."""
    for environment in ("staging", "production"):
        file = repository.service.path / "deploy" / f"{environment}.env"
        file.parent.mkdir(exist_ok=True)
        file.write_text("DOCKER_HOST=ssh://deploy@192.0.2.1\n")
    makefile = repository.service.path / "Makefile"
    makefile.write_text(makefile.read_text() + DEPLOY)
    repository.commit("Set up staging and production")


def test_a_push_publishes_the_very_image_that_was_tested(repository):
    commit = repository.service.git("rev-parse", "HEAD").strip()
    status, log = repository.happens("push")
    assert status == 0, log[-6000:]
    assert re.search(r"=+ \d+ passed.* in ", log)
    steps = ran(log)
    assert steps["Build, lint and test"] == [
        "Check out the commit",
        "Log in to the registry",
        "Build the image",
        "Lint",
        "Test the image that was built",
        "Save the image that was tested",
        "Hand it to the next jobs",
    ]
    assert {"Scan for vulnerabilities", "Publish the image"} <= steps.keys()

    # What was tested is what has the commit's name in the registry, and what the signatures are about.
    built = json.loads(
        repository.service.run("docker", "image", "inspect", repository.service.shipped).stdout
    )[0]
    tested = json.loads(
        repository.service.run("docker", "image", "inspect", repository.service.tested).stdout
    )[0]
    published = re.findall(rf"{re.escape(repository.registry.name)}@(sha256:\w{{64}})", log)[-1]
    assert built["Config"]["Labels"]["org.opencontainers.image.revision"] == commit
    config, layers = repository.registry.image(published)
    assert built["Id"] in (config, published)
    assert layers == built["RootFS"]["Layers"] == tested["RootFS"]["Layers"][: len(layers)]
    assert repository.registry.image(commit) == (config, layers)
    subject = f"{repository.registry.name}@{published}"
    assert lines(repository.artifacts / "attested") == [f"{subject} ", f"{subject} sbom"]
    # The next build takes from there what it would make the same.
    assert repository.registry.tags() == sorted([commit, "latest", "packages"])
    # Nobody said yet where it runs.
    for environment in ("staging", "production"):
        assert f"The environment {environment} is not set up, and nothing was deployed there" in log


def test_a_failing_test_publishes_nothing(repository):
    repository.change("tests/test_users.py", "status_code == 409", "status_code == 200")
    deployable(repository)
    status, log = repository.happens("push", FEW)
    assert status != 0
    assert failed(log) == ["Test the image that was built"], log[-4000:]
    assert "FAILED tests/test_users.py::test_username_is_unique" in log
    assert list(ran(log)) == ["Build, lint and test"]
    assert (repository.registry.tags(), lines(repository.artifacts / "deployed")) == ([], [])


def test_a_pull_request_publishes_nothing(repository):
    deployable(repository)
    status, log = repository.happens("pull_request", FEW, pull_request={"number": 7})
    assert status == 0, log[-4000:]
    assert sorted(ran(log)) == ["Build, lint and test", "Scan for vulnerabilities"]
    assert (repository.registry.tags(), lines(repository.artifacts / "deployed")) == ([], [])


def test_a_finding_of_the_scan_stops_before_any_server(repository):
    deployable(repository)
    (repository.artifacts / "finding").touch()
    status, log = repository.happens("push", FEW)
    assert status != 0
    assert failed(log) == ["Refuse critical vulnerabilities that have a fix"], log[-4000:]
    assert lines(repository.artifacts / "deployed") == []


def test_publish_says_why_it_does_not(repository):
    service = repository.service

    def refused() -> str:
        done = service.make("publish", check=False)
        assert (done.returncode, done.stdout, repository.registry.tags()) == (2, "", [])
        return done.stderr.splitlines()[0]

    service.make("build")
    built = service.git("rev-parse", "HEAD").strip()
    (service.path / "src" / "note.txt").touch()
    assert refused().startswith("The working tree has changes that no commit has")
    commit = repository.commit("Add a note")
    assert refused() == f"The image was built from {built}, and this is {commit}: run make build test first."
    assert service.make("login", check=False).stderr.startswith(
        "Set REGISTRY_USER and REGISTRY_TOKEN, to log in"
    )
