"""Checkouts of one service, and services of one name, on one machine: each on its own code, images, data and port."""

import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import render
from service import GIT, STACK, first_commit

pytestmark = pytest.mark.service

SLUG = f"{STACK}-shared"
IMAGE = f"ghcr.io/acme/{SLUG}"


@dataclass(frozen=True)
class Checkout:
    """A folder in which a person runs make, with no name or port of its own."""

    path: Path

    def make(self, *words: str, **variables: str) -> subprocess.CompletedProcess:
        """Run make, and return what it did."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "CI"))}
        command = ["make", "--no-print-directory", *words]
        return subprocess.run(
            command,
            cwd=self.path,
            env=kept | GIT | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def edit(self, version: str) -> None:
        """Make the code and the tests of this checkout tell which they are."""
        project = self.path / "src" / "orders" / "project.py"
        project.write_text(project.read_text().replace('VERSION = "1.0.0"', f'VERSION = "{version}"'))
        (self.path / "tests" / "test_version.py").write_text(
            '"""Whose code is tested."""\n\n\ndef test_version(client):\n    """This checkout\'s."""\n'
            f'    assert client.get("/openapi.json").json["info"]["version"] == "{version}"\n'
        )

    def users(self, port: str, body: bytes | None = None) -> list[str]:
        """The names of the users there, after one was created if it is given."""
        headers = {"Authorization": "Bearer development", "Content-Type": "application/json"}
        address = f"http://127.0.0.1:{port}/users"
        if body:
            urllib.request.urlopen(urllib.request.Request(address, body, headers)).close()
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return [user["username"] for user in json.load(answer)["items"]]


def version(port: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json") as answer:
        return json.load(answer)["info"]["version"]


def is_free(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def listed(*command: str) -> list[str]:
    return subprocess.run(["docker", *command], capture_output=True, text=True, check=True).stdout.split()


def remove(*checkouts: Checkout) -> None:
    for checkout in checkouts:
        if checkout.path.exists():
            checkout.make("down")
    for kind, name in (
        ("volume", f"name={SLUG}"),
        ("image", f"reference={IMAGE}"),
        ("image", f"reference={SLUG}*"),
    ):
        what = "{{.Repository}}:{{.Tag}}" if kind == "image" else "{{.Name}}"
        for found in listed(kind, "ls", f"--filter={name}", f"--format={what}"):
            subprocess.run(["docker", kind, "rm", "--force", found], capture_output=True)


@pytest.fixture
def checkouts(snapshot, tmp_path) -> Iterator[list[Checkout]]:
    """A clone, a worktree of it, and another service of the same name."""
    given = {"project_slug": SLUG, "package_name": "orders"}
    origin = render(snapshot, tmp_path / "origin", given).path
    first_commit(origin)
    clone, worktree, other = (Checkout(tmp_path / name) for name in ("clone", "work tree", "other"))
    for words in (
        ["clone", "--quiet", str(origin), str(clone.path)],
        ["-C", str(clone.path), "worktree", "add", "--quiet", "-b", "branch", str(worktree.path)],
    ):
        subprocess.run(["git", *words], env=os.environ | GIT, check=True)
    first_commit(render(snapshot, other.path, given | {"jobs": False}).path)
    remove()
    try:
        yield [clone, worktree, other]
    finally:
        remove(clone, worktree, other)


def test_checkouts_of_one_name_do_not_meet(checkouts):
    free = is_free(8000)
    for number, checkout in enumerate(checkouts, 1):
        checkout.edit(f"{number}.0.0")

    def bring_up(checkout: Checkout) -> tuple[str, str]:
        for word in ("up", "test"):
            done = checkout.make(word)
            assert not done.returncode, done.stdout + done.stderr
            if word == "up":
                port = re.search(r"http://localhost:(\d+)/docs", done.stdout)[1]
        return port, done.stdout

    # The first to ask has the name of the service: a plain clone finds today's.
    assert checkouts[0].make("help").returncode == 0
    assert checkouts[0].make("build").returncode == 0
    with ThreadPoolExecutor() as pool:
        results = [*pool.map(bring_up, checkouts)]
    ports = [port for port, _ in results]
    assert len({*ports}) == 3
    assert not free or ports[0] == "8000"
    for number, (checkout, (port, tested)) in enumerate(zip(checkouts, results, strict=True), 1):
        assert "tests/test_version.py ." in tested
        assert version(port) == f"{number}.0.0"
        assert checkout.users(port, f'{{"username": "user-{number}", "display_name": "x"}}'.encode()) == [
            f"user-{number}"
        ]
    # An edit in one is served there alone, and each goes on at its port.
    checkouts[1].edit("1.0.0")
    assert [re.search(r":(\d+)/docs", each.make("up").stdout)[1] for each in checkouts] == ports

    projects = {
        *listed("ps", "--filter", f"name={SLUG}", "--format", '{{.Label "com.docker.compose.project"}}')
    }
    names = {project.removesuffix("-test") for project in projects}
    assert len(names) == 3 and SLUG in names
    assert len({*listed("image", "ls", "--quiet", "--no-trunc", f"--filter=reference={IMAGE}")}) == 3

    # One goes, the others stay; and what it had is there when it comes back.
    checkouts[1].make("down")
    assert version(ports[0]) == "1.0.0" and version(ports[2]) == "3.0.0"
    back = re.search(r":(\d+)/docs", checkouts[1].make("up").stdout)[1]
    assert checkouts[1].users(back) == ["user-2"]

    # A folder that was moved keeps what it had; the name of one that is gone is free.
    checkouts[0].make("down")
    moved = Checkout(checkouts[0].path.with_name("moved"))
    subprocess.run(["git", "-C", str(checkouts[0].path), "worktree", "list"], check=True, capture_output=True)
    shutil.move(checkouts[0].path, moved.path)
    port = re.search(r":(\d+)/docs", moved.make("up").stdout)[1]
    try:
        assert moved.users(port) == ["user-1"]
    finally:
        moved.make("down")


def test_a_port_that_is_asked_for_is_taken_at_its_word(checkouts):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = str(listener.getsockname()[1])
        refused = checkouts[2].make("up", f"WEB_PORT={taken}")
    assert refused.returncode
    assert "Another program has the port: choose another one, as in make up WEB_PORT=8080." in refused.stderr
    (checkouts[2].path / ".env").write_text(f"WEB_PORT={taken}\n")
    assert f"http://localhost:{taken}/docs" in checkouts[2].make("up").stdout
