"""The template's own files: its code, its scripts, its workflows. Its documents are test_docs.py's."""

import subprocess

import pytest
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
