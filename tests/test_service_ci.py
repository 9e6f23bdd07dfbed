"""The workflow of a generated service, run by act, with a real registry."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import actions
import pytest
from actions import failed, ran
from servers import Registry, docker
from service import Service

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
class Published:
    """What a test's own repository in the registry has."""

    registry: Registry
    path: str

    @property
    def name(self) -> str:
        """What IMAGE_NAME is set to."""
        return f"{self.registry.address}/{self.path}"

    def tags(self) -> list[str]:
        """The image's tags; none when it was never pushed."""
        return self.registry.tags(self.path)


@pytest.fixture
def published(registry: Registry) -> Iterator[Published]:
    found = Published(registry, f"acme/orders-{uuid.uuid4().hex[:8]}")
    yield found
    # What was pushed there has its name here as well.
    listed = ["image", "ls", "--digests", f"--filter=reference={found.name}", "--format"]
    listed += ['{{.Repository}}{{if eq .Tag "<none>"}}@{{.Digest}}{{else}}:{{.Tag}}{{end}}']
    if names := set(docker(*listed).split()):
        docker("image", "rm", *names)


@dataclass(frozen=True)
class Repository:
    """A service's repository, and what GitHub has beside it."""

    service: Service
    published: Published
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
        options = (*(f"--env={option}" for option in options), f"--env=IMAGE_NAME={self.published.name}")
        options += (f"--env=PROJECT={self.service.project}",)
        command = actions.command(self.service.path, self.artifacts, event, *options, **payload)
        done = self.service.run(*command, check=False, timeout=600)
        (self.artifacts / "log").write_text(done.stdout + done.stderr)
        return done.returncode, done.stdout + done.stderr


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def repository(copy, published, tmp_path) -> Iterator[Repository]:
    """A repository whose stacks are gone afterwards."""
    copy.remove()
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    # The answers of `make up` do not matter here, and what runs is not to see another run's image.
    found = Repository(replace(copy, environment={"IMAGE_NAME": published.name}), published, artifacts)
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


def test_a_pull_request_publishes_nothing(repository):
    """Whatever it says, and whether or not the scan finds something."""
    deployable(repository)
    (repository.artifacts / "finding").touch()
    status, log = repository.happens("pull_request", FEW, pull_request={"number": 7})
    assert status != 0
    assert failed(log) == ["Refuse critical vulnerabilities that have a fix"], log[-4000:]
    assert sorted(ran(log)) == ["Build, lint and test", "Scan for vulnerabilities"]
    assert (repository.published.tags(), lines(repository.artifacts / "deployed")) == ([], [])


def test_a_push_to_another_branch_waits_for_its_pull_request(repository):
    """What the default branch is called, GitHub says with the event: a push to it runs in test_service_growth_packages.py."""
    repository.service.git("checkout", "--quiet", "-b", "main-feature")
    for ref, default in (("main-feature", "main"), ("main", "trunk")):
        status, log = repository.happens(
            "push", FEW, ref=f"refs/heads/{ref}", repository={"default_branch": default}
        )
        assert (status, ran(log), failed(log)) == (0, {}, []), log[-4000:]
    assert repository.published.tags() == []


def test_publish_says_why_it_does_not(repository):
    service = repository.service

    def refused() -> str:
        done = service.make("publish", check=False)
        assert (done.returncode, done.stdout, repository.published.tags()) == (2, "", [])
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
