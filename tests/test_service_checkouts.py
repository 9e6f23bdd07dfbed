"""A generated service in checkouts as they occur: odd folders, other masks and modes, a worktree, no commit."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import git, render
from service import STACK, Service, first_commit

pytestmark = pytest.mark.service

ANSWERS = {"project_slug": "odd-under-test", "package_name": "odd", "jobs": False}
ODD = """it's "A" & B, $x `y` #1 ünï 注文"""
LIST = "import os; print([(p, oct(os.lstat(p).st_mode), os.lstat(p).st_uid) for p in sorted(os.path.join(f, n) for f, d, s in os.walk('/app') for n in d + s)])"


@pytest.fixture
def origin(snapshot, tmp_path) -> Service:
    """A service's repository."""
    project = render(snapshot, tmp_path / "origin", ANSWERS)
    first_commit(project.path)
    return Service(project.path, project.answers, f"{STACK}-odd")


@pytest.fixture
def odd(origin, tmp_path) -> Iterator[Service]:
    """A worktree of a shallow clone in a folder with an odd name, reached through a symbolic link, without a right to run a file."""
    clone, odd = tmp_path / "clone", tmp_path / ODD / "service"
    git(tmp_path, "clone", "--quiet", "--depth=1", origin.path.as_uri(), str(clone))
    odd.parent.mkdir()
    git(clone, "worktree", "add", "--quiet", "--detach", str(odd))
    for path in odd.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    link = tmp_path / "link"
    link.symlink_to(odd)
    found = replace(origin, path=link, environment={"PWD": str(link)})
    both = (found, replace(found, project=f"{found.project}-private"))
    for each in both:
        each.remove()
    yield found
    for each in both:
        each.remove()
        each.run("docker", "image", "rm", "--force", each.shipped, each.tested, check=False)


def modes(service: Service) -> list[str]:
    """What stands where in the image of production, and in that of the tests, with its mode and owner."""
    run = ("docker", "run", "--rm", "--network=none", "--entrypoint=python")
    return [service.run(*run, image, "-c", LIST).stdout for image in (service.shipped, service.tested)]


def test_a_service_works_in_an_odd_checkout(odd, origin, tmp_path):
    odd.make("up", timeout=600)
    assert odd.ready()
    assert " passed" in odd.make("test", "ARGS=-k username_is_unique", timeout=600).stdout
    odd.make("lint")
    odd.make("accept", "KEY=database.timezone", "BECAUSE=We are in Oslo.")
    assert "Oslo" in (odd.path / "parity.toml").read_text()
    # What is free where Docker keeps its data is this machine's affair: beside other tests it may be little.
    rows = [row for row in odd.make("doctor").stdout.splitlines() if row.split()[1] != "disk"]
    assert [row for row in rows if not row.startswith("ok ")] == []
    assert f"ok    port        {odd.port} is this stack's" in rows

    # A copy without a commit, of which nobody else may read anything: the image is the same, and a mount is refused.
    plain = modes(odd)
    private = replace(origin, path=tmp_path / "private", project=f"{odd.project}-private")
    shutil.copytree(origin.path, private.path, ignore=shutil.ignore_patterns(".git"))
    git(private.path, "init", "--quiet")
    subprocess.run(["chmod", "-R", "u=rwX,go=", "."], cwd=private.path, check=True)
    private.make("build", timeout=600)
    assert modes(private) == plain
    for command in ("up", "test"):
        refused = private.make(command, check=False)
        remedy = re.match(r"The containers' user may not read \S+: (.*) and, for files", refused.stderr)
        assert remedy, refused.stderr
        assert refused.returncode == 2
    subprocess.run(remedy[1], shell=True, cwd=private.path, check=True)  # noqa: S602
    assert private.make("test", "ARGS=-k username_is_unique", timeout=600).stdout.count(" passed")

    # What `make demo` makes is no repository: there is nowhere to keep what the stack was made of.
    shutil.rmtree(private.path / ".git")
    assert private.make("test", "ARGS=-k username_is_unique", timeout=600).stdout.count(" passed")
    assert Path(os.devnull).is_char_device()
