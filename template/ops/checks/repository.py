# The template's: copier update merges it.
"""Reads the repository's files for the checks beside it: every value with its file and line.

`make test` mounts the working tree at /repository, because the image holds a part of it only.
"""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = next(path for path in (Path("/repository"), Path(__file__).resolve().parents[2]) if path.is_dir())
STACK = "compose.yaml"
OVERLAYS = ["compose.*.y*ml", "docker-compose*.y*ml", ".devcontainer/*.y*ml", "deploy/**/*.y*ml"]
# What stands beside compose.yaml in every environment, and what `make settings` writes.
NO_OVERLAY = re.compile(r"compose\.project\.yaml|(?:deploy/)?compose\.settings\.yaml")

# What tools write, what git ignores, and what tells of the past.
NO_FOLDER = re.compile(
    r"\.git|\.?venv|\.idea|\.vscode|\.\w+_cache|__pycache__|node_modules|adopted|.*\.egg-info"
)
NO_FILE = re.compile(
    r"requirements.*\.txt|.*[.-]lock(\..*)?|LICENSE.*|CHANGELOG.*|ADOPTION\.md|\.env|\.copier-answers.*"
)


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


def reports(problems: Callable[..., Iterator[str]]) -> Callable[..., None]:
    """Make a test of what yields problems: it fails with all of them, a line each."""

    @wraps(problems)
    def test(**fixtures: Any) -> None:
        if found := list(problems(**fixtures)):
            pytest.fail("\n".join(found), pytrace=False)

    return test


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
def files() -> dict[str, str]:
    """Return every file that a person writes: its path in the repository, and its text."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not NO_FOLDER.fullmatch(name))
        for path in (Path(folder, name) for name in sorted(names) if not NO_FILE.fullmatch(name)):
            readable = path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)
            if readable and path.stat().st_size < 1024 * 1024:
                found[path.relative_to(ROOT).as_posix()] = path.read_bytes().decode(errors="replace")
    return {name: content for name, content in found.items() if "\0" not in content}


def named(*patterns: str) -> list[str]:
    """Return the paths that fit a pattern."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@cache
def documents(name: str) -> list[yaml.Node]:
    """Return a YAML file's documents as nodes, which know their file and line."""
    loader, found = yaml.SafeLoader(text(name)), []
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


def below(node: yaml.Node, key: str) -> dict[str, dict[str, Item]]:
    """Return what stands under a key, such as a Compose file's services or a workflow's jobs, with the keys of each."""
    found = entries(node).get(key)
    return {name: entries(item.value) for name, item in entries(found.value).items()} if found else {}


def stack() -> dict[str, dict[str, Item]]:
    """Return the services of compose.yaml."""
    return below(documents(STACK)[0], "services")


def overlays() -> Iterator[tuple[str, Item, dict[str, Item], dict[str, Item]]]:
    """Yield what Compose may read on top of compose.yaml: the file, a service, its keys there and in compose.yaml."""
    for name in named(*OVERLAYS):
        for document in documents(name) if not NO_OVERLAY.fullmatch(name) else []:
            if found := entries(document).get("services"):
                for service, item in entries(found.value).items():
                    yield name, item, entries(item.value), stack().get(service, {})


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
