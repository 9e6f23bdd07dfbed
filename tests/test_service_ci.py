"""The workflow of a generated service, run by act."""

import os
import re

import pytest

pytestmark = pytest.mark.service

RUNNER = os.environ.get("ACT_RUNNER_IMAGE", "ghcr.io/catthehacker/ubuntu:act-latest")


def push(service):
    command = [
        "act",
        "push",
        "--rm",
        f"--platform=ubuntu-latest={RUNNER}",
        "--env",
        f"PROJECT={service.project}",
    ]
    # An image that is here already needs no network, and one that has no registry has only itself.
    local = service.run("docker", "image", "inspect", RUNNER, check=False).returncode == 0
    done = service.run(*command, *(["--pull=false"] if local else []), check=False, timeout=600)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def pushed(copy):
    """A repository whose stacks are gone afterwards."""
    copy.remove()
    # act names its containers after the workflow: on this machine another copy of it may run.
    workflow = copy.path / ".github" / "workflows" / "ci-cd.yml"
    workflow.write_text(workflow.read_text().replace("name: CI/CD\n", f"name: CI/CD of {copy.project}\n"))
    copy.git("commit", "--quiet", "--all", "--message=Rename the workflow")
    yield copy
    copy.remove()


def test_the_workflow_is_green(pushed):
    status, log = push(pushed)
    assert status == 0, log[-4000:]
    steps = re.findall(r"✅ +Success - Main (.+?) \[", log)
    assert steps == ["Check out the commit", "Build the image", "Lint", "Test the image that was built"]
    assert re.search(r"=+ \d+ passed in ", log)


def test_the_workflow_is_red_when_a_test_fails(pushed):
    tests = pushed.path / "tests" / "test_users.py"
    tests.write_text(
        tests.read_text().replace("assert response.status_code == 409", "assert response.status_code == 200")
    )
    pushed.git("commit", "--quiet", "--all", "--message=Break a test")
    status, log = push(pushed)
    assert status != 0
    assert re.findall(r"❌ +Failure - Main (.+?) \[", log) == ["Test the image that was built"], log[-4000:]
    assert "FAILED tests/test_users.py::test_username_is_unique" in log
