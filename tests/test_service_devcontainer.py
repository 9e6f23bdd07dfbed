"""The dev container, brought up by its reference tool as an editor brings it up."""

import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import render
from service import DEFAULT, DIFFERENT, STACK, Service, eventually, first_commit

pytestmark = pytest.mark.service

TOOL = "@devcontainers/cli@0.89.0"
SOCKET = Path("/var/run/docker.sock")
MIGRATE = 'flask db migrate --message "add nickname" && flask db upgrade'
COMMIT = "git config user.name Ann && git config user.email a@b.c && git add --all && git commit --quiet --message=Nickname"


@dataclass(frozen=True)
class Person:
    """Who works in the dev container; the tool gives nothing to root."""

    home: Path
    user: int
    group: int

    @property
    def options(self) -> dict:
        """What makes a process this person's, with the right to use Docker."""
        if os.getuid():
            return {}
        groups = [SOCKET.stat().st_gid] if SOCKET.exists() else []
        return {"user": self.user, "group": self.group, "extra_groups": groups}


@pytest.fixture(scope="module")
def person(alone) -> Iterator[Person]:
    """Whoever runs the tests, or, if that is root, a user made for it."""
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        user = pwd.getpwuid(os.getuid())
        if not user.pw_uid:
            # What a killed run left.
            subprocess.run(["userdel", STACK], capture_output=True, check=False)
            subprocess.run(["useradd", "--no-create-home", STACK], check=True)
            stack.callback(subprocess.run, ["userdel", STACK], check=True)
            user = pwd.getpwnam(STACK)
            os.chown(home, user.pw_uid, user.pw_gid)
        yield Person(Path(home), user.pw_uid, user.pw_gid)


@pytest.fixture(scope="module")
def tool(person) -> list[str]:
    """The words that run the reference tool."""
    if not shutil.which("npm"):
        sentence = f"npm is not installed: the dev container's reference tool ({TOOL}) cannot run"
        pytest.fail(sentence) if os.environ.get("REQUIRE_DOCKER") == "1" else pytest.skip(sentence)
    folder = person.home / "tool"
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), TOOL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [str(folder / "node_modules" / ".bin" / "devcontainer")]


@dataclass(frozen=True)
class Container:
    """A service's dev container."""

    service: Service
    person: Person
    tool: list[str]

    def use(self, command: str, *arguments: str) -> str:
        """Run a command of the tool, and return what it says on standard output."""
        words = [*self.tool, command, "--workspace-folder", str(self.service.path), *arguments]
        return self.service.run(*words, timeout=600, **self.person.options).stdout

    def terminal(self, command: str) -> str:
        """Run a command as in an editor's terminal."""
        return self.use("exec", "bash", "-c", command)


@pytest.fixture(params=[DEFAULT, DIFFERENT], ids=["default", "different"])
def container(request, snapshot, person, tool) -> Iterator[Container]:
    """The dev container of a checkout that belongs to a person."""
    project = render(snapshot, person.home / request.node.callspec.id, request.param)
    first_commit(project.path)
    for path in [project.path, *project.path.rglob("*")]:
        os.chown(path, person.user, person.group)
    environment = {"HOME": str(person.home), "TMPDIR": str(person.home), "WEB_CONCURRENCY": "1"}
    service = Service(project.path, project.answers, f"{STACK}-editor", environment=environment)
    files = ("compose.yaml", "compose.override.yaml", ".devcontainer/compose.yaml")
    service = replace(service, files=files)
    service.remove()
    images = {f"{service.answers['project_slug']}-editor"}
    try:
        found = Container(service, person, tool)
        started = json.loads(found.use("up"))
        assert (started["outcome"], started["remoteUser"]) == ("success", "app")
        images.add(service.inspect("web")["Config"]["Image"])
        yield found
    finally:
        service.remove()
        service.run("docker", "image", "rm", "--force", *images)


def serves(service: Service, version: str) -> bool:
    """Whether the server has started with a change."""
    with contextlib.suppress(OSError):
        return service.call("/openapi.json").json["info"]["version"] == version
    return False


def test_in_it_a_change_is_served_tested_migrated_and_committed(container):
    service, terminal = container.service, container.terminal
    eventually(service.ready)
    # Nothing is fetched for it: what it has is in the Dockerfile.
    assert "features" not in json.loads((service.path / ".devcontainer" / "devcontainer.json").read_text())
    ada = service.create("ada").json

    terminal(f"sed -i 's/^VERSION = .*/VERSION = \"1.0.1\"/' src/{service.package}/project.py")
    eventually(lambda: serves(service, "1.0.1"))

    for _ in range(2):
        assert re.search(r"\d+ passed", terminal("pytest"))
    assert service.call(f"/users/{ada['id']}").json["username"] == "ada"

    column = "    nickname: Mapped[str | None] = mapped_column(String(40))"
    terminal(f"sed -i '/^    display_name: /a \\{column}' src/{service.package}/users/models.py")
    terminal(MIGRATE)
    terminal("pytest && ruff check && ruff format --check && mypy")
    assert service.psql("SELECT count(*) FROM users WHERE nickname IS NULL") == "1"
    terminal(COMMIT)

    # On the other side, all of it is the person's.
    assert {path.stat().st_uid for path in service.path.rglob("*")} == {container.person.user}
    git = ("-c", "safe.directory=*")
    assert service.git(*git, "status", "--porcelain") == ""
    author, *changed = service.git(*git, "show", "--format=%an", "--name-only").split()
    assert author == "Ann"
    assert any(name.startswith("migrations/versions/") for name in changed), changed
