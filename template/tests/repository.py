"""Reads the repository's files for the tests of the parity contract: every value with its file and line.

`make test` mounts the working tree at /repository, because the image holds a part of it only.
"""

import ast
import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

MOUNTED, BESIDE = Path("/repository"), Path(__file__).resolve().parents[1]
ROOT = Path(os.environ.get("REPOSITORY", MOUNTED if MOUNTED.is_dir() else BESIDE))
STACK = "compose.yaml"
OVERLAYS = ["compose.*.y*ml", "docker-compose*.y*ml", ".devcontainer/*.y*ml", "deploy/**/*.y*ml"]

# What tools write, what git ignores, and what tells of the past.
NO_FOLDER = re.compile(r"\.git|\.?venv|\.idea|\.vscode|\.\w+_cache|__pycache__|node_modules|.*\.egg-info")
NO_FILE = re.compile(r"requirements.*\.txt|.*[.-]lock(\..*)?|LICENSE.*|CHANGELOG.*|\.env|\.copier-answers.*")
LARGEST = 1024 * 1024


class Said(NamedTuple):
    """What a file says, and where."""

    value: str
    at: str


class Item(NamedTuple):
    """A key of a YAML mapping and its value, as nodes."""

    key: yaml.Node
    value: yaml.Node

    @property
    def at(self) -> str:
        """File and line."""
        return f"{self.key.start_mark.name}:{self.key.start_mark.line + 1}"

    @property
    def shown(self) -> str:
        """The value as it stands in its file."""
        start, end = self.value.start_mark, self.value.end_mark
        return " ".join(text(start.name)[start.index : end.index].split())

    @property
    def words(self) -> list[str]:
        """A command's words, which Compose takes as a list or as one string."""
        if isinstance(self.value, yaml.SequenceNode):
            return [item.value for item in self.value.value]
        return shlex.split(self.value.value)


def report(problems: Iterable[str]) -> None:
    """Fail with every problem, a line each."""
    if found := list(problems):
        pytest.fail("\n".join(found), pytrace=False)


@cache
def text(name: str) -> str:
    """Return what a file says."""
    return (ROOT / name).read_text(encoding="utf-8")


def line(found: re.Match[str], group: str | int = 0) -> int:
    """Return the number of the line on which a group of a match begins."""
    return found.string.count("\n", 0, found.start(group)) + 1


def find(name: str, pattern: str) -> Iterator[Said]:
    """Yield what fits the first group of a pattern, and where the match begins."""
    for found in re.finditer(pattern, text(name), re.MULTILINE):
        yield Said(found[1], f"{name}:{line(found)}")


@cache
def files(folder: Path | None = None) -> dict[str, str]:
    """Return every file that a person writes: its path in the repository, and its text."""
    found: dict[str, str] = {}
    for path in sorted((folder or ROOT).iterdir()):
        if path.is_symlink() or not os.access(path, os.R_OK):
            continue
        if path.is_dir() and not NO_FOLDER.fullmatch(path.name):
            found |= files(path)
        elif path.is_file() and not NO_FILE.fullmatch(path.name) and path.stat().st_size < LARGEST:
            content = path.read_bytes().decode(errors="replace")
            if "\0" not in content:
                found[path.relative_to(ROOT).as_posix()] = content
    return found


def named(*patterns: str) -> list[str]:
    """Return the paths that fit a pattern."""
    return sorted({path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)})


def documents(name: str) -> list[yaml.Node]:
    """Return a YAML file's documents as nodes, which know their file and line."""
    return composed(name, text(name))


@cache
def composed(name: str, content: str) -> list[yaml.Node]:
    """Return the documents of a YAML file with this content."""
    loader, found = yaml.SafeLoader(content), []
    loader.name = name
    while loader.check_node():
        found.append(loader.get_node())
    return found


def entries(node: yaml.Node) -> dict[str, Item]:
    """Return a mapping's items by their keys, with those that it merges (<<)."""
    own, merged = {}, {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if key.value == "<<":
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                merged = entries(part) | merged
        else:
            own[key.value] = Item(key, value)
    return merged | own


def services(document: yaml.Node) -> dict[str, dict[str, Item]]:
    """Return the services of a Compose file, with their keys."""
    return {name: entries(item.value) for name, item in entries(entries(document)["services"].value).items()}


@cache
def stack() -> dict[str, dict[str, Item]]:
    """Return the services of compose.yaml."""
    return services(documents(STACK)[0])


def overlays() -> Iterator[tuple[str, yaml.Node]]:
    """Yield the files that Compose may read on top of compose.yaml; others in those places have no services."""
    for name in named(*OVERLAYS):
        yield from ((name, document) for document in documents(name) if "services" in entries(document))


@cache
def instructions(keyword: str) -> list[Said]:
    """Return what stands after a keyword of the Dockerfile, each time, without what goes on over several lines."""
    whole = re.finditer(r"^([A-Z]+) +((?:.*\\\n)*.*)$", text("Dockerfile"), re.MULTILINE)
    return [Said(found[2], f"Dockerfile:{line(found)}") for found in whole if found[1] == keyword]


def command(service: dict[str, Item]) -> tuple[list[str], str]:
    """Return the words of a service's command, or of the image's, and where they stand."""
    if "command" in service:
        return service["command"].words, service["command"].at
    said = instructions("CMD")[-1]
    return json.loads(said.value), said.at


@cache
def settings() -> dict[str, str]:
    """Return the variables of the class Settings, and where each stands."""
    (config,) = named("src/*/config.py")
    classes = {
        node.name: node.body for node in ast.parse(text(config)).body if isinstance(node, ast.ClassDef)
    }
    fields = [node for node in classes["Settings"] if isinstance(node, ast.AnnAssign)]
    return {field.target.id.upper(): f"{config}:{field.lineno}" for field in fields}


def workflow_commands() -> Iterator[tuple[str, Item]]:
    """Yield the commands of the workflows' steps, each with the name of its job."""
    for name in named(".github/workflows/*.y*ml"):
        for job, item in entries(entries(documents(name)[0])["jobs"].value).items():
            steps = entries(item.value).get("steps")
            for step in steps.value.value if steps else []:
                if "run" in entries(step):
                    yield job, entries(step)["run"]
