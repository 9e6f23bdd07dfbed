"""What `ops/quietly` says to what an engine or a registry answers and the service tier cannot have them answer."""

import subprocess

import pytest

ANSWERS = {
    "failed to create network orders_default: Error response from daemon: all predefined address pools have been fully subnetted": "docker network prune",
    "failed to copy files: userspace copy failed: write /app/uv: no space left on device": "docker system prune",
    "HINT:  Must be superuser to create this extension.": "docs/postgres.md",
    "toomanyrequests: You have reached your pull rate limit.": "docker login",
    "Error response from daemon: Ports are not available: listen tcp 0.0.0.0:8000: bind: address already in use": "WEB_PORT=8080",
}


@pytest.mark.parametrize(("answer", "remedy"), ANSWERS.items())
def test_the_remedy_follows_the_cause(projects, answer, remedy):
    quietly = projects["default"].path / "ops" / "quietly"
    said = subprocess.run(
        [quietly, "sh", "-c", 'echo "$0" >&2; exit 17', answer], capture_output=True, text=True, check=False
    )
    assert said.returncode == 17
    assert not said.stdout
    cause, advice = said.stderr.split("\n\n")
    assert cause == answer
    assert remedy in advice


def test_what_goes_well_is_quiet(projects):
    quietly = projects["default"].path / "ops" / "quietly"
    said = subprocess.run(
        [quietly, "echo", "no space left on device"], capture_output=True, text=True, check=True
    )
    assert (said.stdout, said.stderr) == ("", "")
