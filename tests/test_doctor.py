"""`make doctor`, and what other commands ask it, on checkouts and machines as they occur; needs no Docker."""

import os
import re
import shutil
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest
from conftest import git

# What it says without Docker; with Docker, each row is seen in the service tier.
NO_DOCKER = {"docker": "FAIL", "compose": "FAIL", "buildx": "FAIL", "disk": "warn"}
IDENTITY = {f"GIT_{role}_{key}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
OLD = """#!/bin/sh
case "$*" in
    "version "*) echo 24.0.9 ;;
    "compose version "*) echo v2.32.4 ;;
    "buildx version") echo "github.com/docker/buildx v0.14.1 59582a8" ;;
    *) exit 1 ;;
esac
"""


@pytest.fixture
def checkout(projects, tmp_path) -> Path:
    """The default service's repository, in its first commit."""
    path = shutil.copytree(projects["default"].path, tmp_path / "service")
    git(path, "init", "--quiet")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message=First")
    return path


@pytest.fixture
def tools(tmp_path) -> Path:
    """A folder for PATH, with all programs of this machine but Docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            if "docker" not in program.name and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return folder


def make(path: Path, tools: Path, target: str = "doctor", **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", target]
    return subprocess.run(
        command,
        cwd=path,
        env=kept | IDENTITY | {"PATH": str(tools)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def rows(done: subprocess.CompletedProcess) -> dict[str, tuple[str, str]]:
    """Each row's state and what it says; of several, the last."""
    found = [re.fullmatch(r"(ok|warn|FAIL) +(\w+) +(.*)", line) for line in done.stdout.splitlines()]
    assert all(found), done.stdout
    return {row[2]: (row[1], row[3]) for row in found}


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def test_without_docker_every_row_is_there(checkout, tools):
    done = make(checkout, tools, WEB_PORT=free_port())
    states = {row: state for row, (state, _) in rows(done).items()}
    others = dict.fromkeys(("checkout", "port", "clock", "git", "deployment"), "ok")
    assert states == NO_DOCKER | others
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_what_is_too_old_is_told_with_what_is_needed(checkout, tools):
    (tools / "docker").write_text(OLD)
    (tools / "docker").chmod(0o755)
    found = rows(make(checkout, tools))
    assert found["docker"][1].startswith("24.0.9 is too old: install 25.0 or newer")
    assert found["compose"][1].startswith("v2.32.4 is too old: install 2.33 or newer")
    assert found["buildx"][1].startswith("v0.14.1 is too old: install 0.15 or newer")
    (tools / "docker").write_text(OLD.replace("24.0.9", "25.0").replace("v2.32.4", "5.0.1"))
    found = rows(make(checkout, tools))
    assert (found["docker"], found["compose"]) == (
        ("ok", "25.0, at least 25.0"),
        ("ok", "5.0.1, at least 2.33"),
    )


def test_a_port_in_use_is_told(checkout, tools):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        found = rows(make(checkout, tools, WEB_PORT=port))
    assert found["port"] == ("FAIL", f"{port} is in use: name another: make up WEB_PORT=8080")


def test_a_clock_that_is_late_is_told(checkout, tools):
    tomorrow = {"GIT_COMMITTER_DATE": f"@{int(time.time()) + 86400} +0000"}
    amend = ["git", "commit", "--quiet", "--amend", "--no-edit"]
    subprocess.run(amend, cwd=checkout, env=os.environ | tomorrow, check=True)
    state, told = rows(make(checkout, tools))["clock"]
    assert (state, re.sub(r"\d+", "N", told)) == (
        "FAIL",
        "N seconds behind the last commit: set this machine's clock",
    )


def test_what_git_lacks_is_told(checkout, tools):
    nobody = {"GIT_AUTHOR_EMAIL": "", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    assert rows(make(checkout, tools, **nobody))["git"] == (
        "FAIL",
        "does not know you: git config --global user.name and user.email",
    )
    # As if the checkout belonged to another user.
    state, told = rows(make(checkout, tools, GIT_TEST_ASSUME_DIFFERENT_OWNER="1"))["git"]
    assert state == "FAIL"
    assert "safe.directory" in told
    shutil.rmtree(checkout / ".git")
    assert rows(make(checkout, tools))["git"][0] == "FAIL"
    git(checkout, "init", "--quiet")
    assert rows(make(checkout, tools))["git"] == (
        "warn",
        "no commit, so nothing to publish: git add --all && git commit",
    )


def test_a_server_out_of_reach_is_told(checkout, tools, projects):
    (checkout / "deploy" / "staging.env").write_text("DOCKER_HOST=ssh://deploy@127.0.0.1:1\n")
    state, told = rows(make(checkout, tools))["deployment"]
    assert state == "warn"
    assert told.startswith("deploy/staging.env: ssh://deploy@127.0.0.1:1 does not answer (ssh: connect to ")
    assert told.endswith(": its line in deploy/known_hosts, and your key; without them you cannot deploy")
    kubernetes = shutil.copytree(projects["extreme"].path, checkout.parent / "kubernetes")
    (kubernetes / "deploy" / "staging.env").write_text("KUBE_CONTEXT=nowhere\n")
    state, told = rows(make(kubernetes, tools))["deployment"]
    assert (state, told.partition(" (")[0]) == ("warn", "deploy/staging.env: nowhere does not answer")


def test_line_endings_are_those_of_linux(checkout, tools, tmp_path):
    """On a machine that writes others; and where they are there all the same, the sentence brings them."""
    clone = ["clone", "--quiet", "--config=core.autocrlf=true", str(checkout)]
    git(tmp_path, *clone, "windows")
    assert make(tmp_path / "windows", tools, "buildable").stderr == ""
    assert git(tmp_path / "windows", "ls-files", "--eol").count("w/lf") == len(
        git(checkout, "ls-files").splitlines()
    )

    git(checkout, "rm", "--quiet", ".gitattributes")
    git(checkout, "commit", "--quiet", "--message=Without")
    git(tmp_path, *clone, "before")
    before = tmp_path / "before"
    assert b"\r\n" in (before / "Makefile").read_bytes()
    refused = make(before, tools, "buildable")
    told = re.match(r"\S+ has Windows line endings, .*: with '(.*)' in (\S+), .*: (.*)\.\n", refused.stderr)
    assert told, refused.stderr
    assert refused.returncode == 2
    (before / told[2]).write_text(f"{told[1]}\n")
    git(before, "add", "--all")
    git(before, "commit", "--quiet", "--message=With")
    subprocess.run(told[3], shell=True, cwd=before, check=True, capture_output=True)  # noqa: S602
    assert make(before, tools, "buildable").stderr == ""
    assert git(before, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["a:b", "100%c"])
def test_a_path_that_compose_cannot_mount_is_refused(checkout, tools, tmp_path, name):
    odd = tmp_path / name
    checkout.rename(odd)
    refused = make(odd, tools, "buildable")
    assert refused.stderr.splitlines()[0] == (
        f"Docker Compose cannot mount a folder with : or % in its path: move {odd}."
    )
    assert refused.returncode == 2


def test_what_the_containers_may_not_read_is_refused(checkout, tools):
    """Of what git has or may have: a secret beside it may be a person's own."""
    (checkout / ".env").write_text("A=1\n")
    (checkout / ".env").chmod(0o600)
    assert make(checkout, tools, "mountable").stderr == ""
    module = checkout / "src" / "orders" / "new.py"
    module.touch()
    module.chmod(0o640)
    refused = make(checkout, tools, "mountable")
    assert refused.stderr.splitlines()[0] == (
        "The containers' user may not read src/orders/new.py: chmod -R go+rX . and, for files to come, umask 022."
    )
    assert make(checkout, tools, "buildable").stderr == ""


def test_it_passes_shellcheck(projects):
    folder = Path(sysconfig.get_path("scripts"))
    scripts = {(project.path / "ops" / "doctor").read_text() for project in projects.values()}
    for script in scripts:
        command = [folder / "shellcheck", "--shell=bash", "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_no_command_needs_the_right_to_run_a_file(projects):
    for project in projects.values():
        text = (project.path / "Makefile").read_text()
        called = re.findall(
            r"^.*?(\S+) ops/(?:image|swarm|kubernetes|upgrade-postgres)\b", text, re.MULTILINE
        )
        assert {word.strip("@$(,").split(",")[-1] for word in called} == {"bash"}, called
