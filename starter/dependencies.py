"""Where an application's dependencies stand: pyproject.toml, a Pipfile, requirements files, setup.cfg, setup.py."""

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from posixpath import dirname, normpath
from typing import Any

from .modules import in_folder, joined, parents
from .rendering import Tree
from .requirements import Dependencies, listed_lines, pipenv, poetry

# Files of requirements, those of production first; the sources of compiled ones before these.
_REQUIREMENTS = [
    f"{folder}{name}.{suffix}"
    for folder in ("", "requirements/")
    for name in ("requirements", "prod", "production", "base", "main", "common")
    for suffix in ("in", "txt")
]
_DEVELOPMENT = re.compile(
    r"(?:requirements/)?(?:requirements[-_.])?(?:dev|development|local|test|tests|testing|lint|ci)"
    r"(?:[-_.]requirements)?\.(?:in|txt)"
)
_DEVELOPS = re.compile(r"dev|test|lint|doc|typ|ci\b", re.IGNORECASE)


def near(tree: Tree, folder: str) -> Dependencies:
    """Return what an application depends on that stands in a folder, by what stands at the top, or near it."""
    for place in ("", folder, *parents(folder)[:-1]):
        below = {
            path[len(place) + 1 :] if place else path: tree[path] for path in tree if in_folder(path, place)
        }
        found = collect(below)
        if found.ships:
            found.files = [joined(place, path) for path in found.files]
            return found
    return Dependencies()


def collect(tree: Tree) -> Dependencies:
    """Return what an application depends on, by the first of the places that say something of it."""
    found = Dependencies()
    project = toml(tree, "pyproject.toml")
    for place in (_of_project, _of_pipfile, _of_requirements, _of_setup_cfg, _of_setup_py):
        place(tree, project, found)
        if found.ships:
            break
    if "requirements" not in " ".join(found.files):
        # What is compiled from the others, and what a team may have beside them.
        found.files += [path for path in tree if path in _REQUIREMENTS and path not in found.files]
    _of_development(tree, found)
    return found.settle()


def toml(tree: Tree, path: str) -> dict[str, Any]:
    """Return what a file of TOML says, nothing if there is none or it cannot be read."""
    with suppress(KeyError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return tomllib.loads(tree[path].decode())
    return {}


def _of_project(_: Tree, project: dict[str, Any], found: Dependencies) -> None:
    told = project.get("project", {})
    tables = project.get("tool", {}).get("poetry", {})
    lines = told.get("dependencies", [])
    found.add(lines)
    for line, develops in poetry(tables):
        found.add([line], develops)
    if not found.ships:
        return
    found.files.append("pyproject.toml")
    groups = told.get("optional-dependencies", {}) | project.get("dependency-groups", {})
    for name, group in groups.items():
        # A group may include another, which is a table here and comes by itself.
        packages = [each for each in group if isinstance(each, str)]
        if _DEVELOPS.search(name):
            found.add(packages, develops=True)
        else:
            found.changed[f"the extra {name}"] = f"left out: {', '.join(packages)}"


def _of_pipfile(tree: Tree, _: object, found: Dependencies) -> None:
    told = toml(tree, "Pipfile")
    found.add(pipenv(told.get("packages", {})))
    found.add(pipenv(told.get("dev-packages", {})), develops=True)
    found.files += ["Pipfile"] if told else []


def _of_requirements(tree: Tree, _: object, found: Dependencies) -> None:
    for path in _REQUIREMENTS:
        if path in tree and not (path.endswith(".txt") and f"{path[:-4]}.in" in tree):
            found.add(_read(tree, path, found))
            break


def _read(tree: Tree, path: str, found: Dependencies) -> Iterator[str]:
    """Yield the packages that a requirements file names, those of the files that it includes among them."""
    if path in found.files or path not in tree:
        return
    found.files.append(path)
    # PowerShell's `pip freeze > requirements.txt` writes UTF-16.
    encoding = "utf-16" if tree[path].startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    for kind, line in listed_lines(tree[path].decode(encoding, errors="replace")):
        if kind == "file":
            yield from _read(tree, normpath(joined(dirname(path), line)), found)
        elif kind == "option":
            found.changed[f"{path}: {line}"] = "left out: an option, for [tool.uv] in pyproject.toml"
        else:
            yield line


def _of_development(tree: Tree, found: Dependencies) -> None:
    for path in sorted(tree):
        if _DEVELOPMENT.fullmatch(path) and path not in found.files:
            compiled = path.endswith(".txt") and f"{path[:-4]}.in" in tree
            if compiled:
                found.files.append(path)
            else:
                found.add(_read(tree, path, found), develops=True)


def _of_setup_cfg(tree: Tree, _: object, found: Dependencies) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    with suppress(KeyError, UnicodeDecodeError, configparser.Error):
        parser.read_string(tree["setup.cfg"].decode())
        found.add(filter(None, map(str.strip, parser["options"]["install_requires"].splitlines())))


def _of_setup_py(tree: Tree, _: object, found: Dependencies) -> None:
    with suppress(KeyError, SyntaxError, ValueError):
        for node in ast.walk(ast.parse(tree["setup.py"])):
            if isinstance(node, ast.keyword) and node.arg == "install_requires":
                found.add(ast.literal_eval(node.value))
                found.files.append("setup.py")
