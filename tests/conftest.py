"""Renders the template once for all tests that only look at the result."""

import json
import os
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import answers
import copier
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
# They run inside a generated service (test_service_inside.py), or are parts of repositories that are adopted.
collect_ignore = ["inside", "shapes"]
LEFTOVERS = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache", ".venv")


@dataclass(frozen=True)
class Project:
    """One rendered service, and every answer it was rendered with, the computed ones too."""

    path: Path
    answers: dict

    def files(self, *patterns: str) -> list[Path]:
        """The files whose path in the project fits one of the patterns, or all of them."""
        found = sorted(path for path in self.path.rglob("*") if path.is_file())
        return [
            path
            for path in found
            if not patterns or any(path.relative_to(self.path).match(p) for p in patterns)
        ]


@pytest.fixture(scope="session", autouse=True)
def own_settings_are_ignored(tmp_path_factory) -> None:
    """Copier reads defaults and trust from its user's settings, and git its author and hooks."""
    settings = tmp_path_factory.mktemp("settings") / "settings.yml"
    settings.write_text("{}\n")
    os.environ["COPIER_SETTINGS_PATH"] = str(settings)
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    os.environ |= {
        f"GIT_{role}_{key}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """The template as it stands in the working tree, without git: Copier clones a repository for every rendering."""
    return copy_template(tmp_path_factory.mktemp("template"))


def copy_template(folder: Path) -> Path:
    shutil.copy(ROOT / "copier.yml", folder)
    for name in ("hooks", "includes", "template"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFTOVERS)
    return folder


def git(folder: Path, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, text=True).stdout


def render(source: Path, folder: Path, given: dict, **options) -> Project:
    """Render without trust."""
    worker = copier.run_copy(
        str(source), folder, data=given, defaults=True, quiet=True, unsafe=False, **options
    )
    return Project(folder, dict(worker.answers.combined))


@pytest.fixture(scope="module")
def renderings(template, tmp_path_factory):
    """Renders a release with answers, once."""
    folder, known = tmp_path_factory.mktemp("renderings"), {}

    def rendering(version: str, **given) -> Project:
        key = f"{version} {sorted(given.items())}"
        if key not in known:
            known[key] = render(template, folder / str(len(known)), given, vcs_ref=version)
        return known[key]

    return rendering


@pytest.fixture(scope="session")
def projects(template, tmp_path_factory) -> dict[str, Project]:
    """The rendered matrix by name."""
    folder = tmp_path_factory.mktemp("projects")
    return {name: render(template, folder / name, given) for name, given in answers.matrix().items()}


@pytest.fixture(scope="session")
def config() -> dict:
    """copier.yml."""
    return yaml.safe_load((ROOT / "copier.yml").read_text())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest, as .test_durations has it: the processes end together."""
    if hasattr(config, "workerinput"):
        seconds = json.loads((ROOT / ".test_durations").read_text())
        files = Counter()
        for item in items:
            files[item.path] += seconds.get(item.nodeid, 0)
        items.sort(key=lambda item: -files[item.path])


# The fixtures of the service tier.
pytest_plugins = ["service", "servers"]
