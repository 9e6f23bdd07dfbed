"""`make demo` from a clone of this repository, and what the tests do without Docker."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LEFTOVERS, ROOT
from service import GIT, first_commit


@pytest.fixture(scope="session")
def clone(tmp_path_factory) -> Path:
    """The repository as a commit would have it, with the tools that run this test in place of freshly installed ones."""
    path = tmp_path_factory.mktemp("repository") / "copier-flask-parity"
    shutil.copytree(
        ROOT, path, ignore=lambda *found: LEFTOVERS(*found) | ({".git", ".hypothesis"} & set(found[1]))
    )
    first_commit(path)
    (path / ".venv").symlink_to(sys.prefix)
    (path / ".git" / "info" / "exclude").write_text(".venv\n")
    return path


@pytest.fixture
def demo(clone, tmp_path):
    """Runs make demo where no Docker answers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | GIT
    environment["DOCKER_HOST"] = f"unix://{tmp_path}/nothing"

    def run(*arguments: str) -> subprocess.CompletedProcess:
        # The tools are there: what is newer, the lock or the mark of their installation, does not matter.
        command = ["make", "--no-print-directory", "--old-file=.venv/bin/.locked", "demo", *arguments]
        return subprocess.run(
            command, cwd=clone, env=environment, capture_output=True, text=True, timeout=120
        )

    return run


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_destination_with_something_in_it_is_left_alone(demo, tmp_path, kind):
    destination = tmp_path / "orders"
    kept = destination if kind == "file" else destination / "kept"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine\n")
    refused = demo(f"DEST={destination}")
    assert refused.returncode == 2
    assert refused.stdout == ""
    said = [line for line in refused.stderr.splitlines() if not line.startswith("make: ***")]
    assert said == [f"{destination} exists and is not empty: name another folder with make demo DEST=…"]
    assert kept.read_text() == "mine\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted({"orders", kept.name})


@pytest.mark.parametrize("there", [False, True])
def test_without_docker_the_service_is_generated_and_one_sentence_says_what_is_missing(demo, tmp_path, there):
    destination = tmp_path / "it's orders"
    if there:
        destination.mkdir()
    done = demo(f"DEST={destination}")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert said == [
        f"The service is in {destination}, but Docker does not answer: install it or start it, then run make up there."
    ]
    assert (destination / "compose.yaml").is_file()
    assert "_commit" in (destination / ".copier-answers.yml").read_text()


def run_tests(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_service_commands.py"]
    environment = (
        os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/nothing", "REQUIRE_DOCKER": ""} | environment
    )
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_without_docker_the_service_tier_is_skipped_aloud(tmp_path):
    done = run_tests(tmp_path)
    assert done.returncode == 0
    assert done.stdout.count("NO DOCKER: ") == 1
    assert " passed" not in done.stdout


def test_without_docker_the_tests_fail_where_it_is_required(tmp_path):
    done = run_tests(tmp_path, REQUIRE_DOCKER="1")
    assert done.returncode != 0
    assert "REQUIRE_DOCKER=1, but Docker does not answer" in done.stderr + done.stdout
