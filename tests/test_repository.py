"""The template's own files: its code, its scripts, its workflows. Its documents are test_docs.py's."""

import json
import subprocess

import pytest
import yaml
from conftest import ROOT

SCRIPTS = [ROOT / ".ci" / "run", ROOT / "scripts" / "demo", ROOT / "tests" / "server" / "entrypoint.sh"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache", "--quiet", ROOT],
        ["ruff", "format", "--no-cache", "--check", "--quiet", ROOT],
        ["shellcheck", *SCRIPTS],
        ["hadolint", ROOT / "tests" / "server" / "Dockerfile"],
        ["actionlint", *WORKFLOWS],
        ["zizmor", "--offline", "--persona=pedantic", "--no-progress", "--quiet", ROOT / ".github"],
        [
            "yamllint",
            "--strict",
            "--config-file",
            ROOT / "tests" / "yamllint.yaml",
            ROOT / ".github",
            ROOT / "copier.yml",
        ],
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_linters_find_nothing(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_copying_needs_no_trust(config):
    """Tasks and Jinja extensions make every copy ask for --trust."""
    assert not {"_tasks", "_jinja_extensions"} & set(config)
    assert all("version" in migration for migration in config.get("_migrations", []))


def test_four_shards_are_the_whole():
    """This repository's workflow runs each of them, and make hands it to pytest-split."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    shards = [job["shard"] for job in jobs["test"]["strategy"]["matrix"]["include"] if job["require-docker"]]
    assert shards == ["1/4", "2/4", "3/4", "4/4"]
    command = ["make", "--dry-run", "--old-file=.venv/bin/.locked", "test", "SHARD=2/4"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.count("--splits 4 --group 2") == 2
    recorded = json.loads((ROOT / ".test_durations").read_text())
    assert {"tests/test_rendering.py", "tests/test_service_commands.py"} <= {
        name.split("::")[0] for name in recorded
    }
