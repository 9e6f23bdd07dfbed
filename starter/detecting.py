"""What an existing repository says of itself, as answers to a template's questions; nothing of it is run."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from . import applications, compose_files, dependencies, variables
from .applications import Application
from .dependencies import toml
from .git import Git, GitError
from .modules import Modules, joined
from .rendering import Tree
from .requirements import Dependencies
from .variables import Variable

_PYTHON = r"(3\.\d+)"
_LICENSES = {
    "MIT": r"MIT License|Permission is hereby granted, free of charge",
    "Apache-2.0": r"Apache License\s+Version 2\.0",
}


@dataclass
class Found:
    """What an existing repository has.

    Attributes:
        application: what it serves.
        modules: its modules.
        dependencies: its packages.
        variables: what it reads from the environment.
        services: the services of its Compose files, by name.
        answers: what it says of a template's questions, each with the place that says so.
        notes: what a question has no such answer for.
        sources: the texts of its modules, by their paths.
        values: what variables have in development, but for what names another service.
    """

    application: Application
    modules: Modules
    dependencies: Dependencies
    variables: list[Variable]
    services: dict[str, dict[str, Any]]
    answers: dict[str, tuple[Any, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    @property
    def celery(self) -> str:
        """The place that says that jobs are done by Celery, empty if they are not."""
        return "its dependencies" if "celery" in self.dependencies.ships else ""


def detect(tree: Tree, git: Git, folder: str, given: str | None, questions: dict[str, Any]) -> Found:
    """Return what a repository has.

    Args:
        tree: its committed files, of the folder that is to be a service.
        git: in that folder.
        folder: its name; of a monorepo's, what says most of the service's.
        given: its application, if somebody says.
        questions: the template's, as its copier.yml has them.

    Raises:
        Refused: if there is no Flask application.
    """
    modules = Modules(tree)
    application = applications.find(tree, modules, given)
    found = Found(
        application,
        modules,
        dependencies.near(tree, application.root),
        variables.read(modules),
        {
            name: service
            for path in sorted(tree)
            if compose_files.NAME.fullmatch(path)
            for name, service in compose_files.services(tree[path])
        },
    )
    found.sources = {path: tree[path].decode(errors="replace") for path in modules.parsed}
    found.values = dict(compose_files.values(found.services))
    project = toml(tree, "pyproject.toml")
    told = {**project.get("tool", {}).get("poetry", {}), **project.get("project", {})}
    owner, repository = _remote(git)
    alone = not git("rev-parse", "--show-prefix")
    name = (told.get("name"), "pyproject.toml") if told.get("name") else None
    name = name or (
        (repository, "the remote origin") if repository and alone else (folder, "the folder's name")
    )
    facts = {
        "project_name": (_title(name[0]), name[1]),
        "description": (" ".join(str(told.get("description") or "").split())[:200].strip(), "pyproject.toml"),
        "repository_owner": (owner, "the remote origin"),
        "python_version": next(_pythons(tree, told, application.root), ("", "")),
        "postgres_version": next(
            compose_files.images(
                found.services, r"(?:postgres|postgis|pgvector|timescaledb)\S*?:(?:pg)?(\d+)"
            ),
            ("", ""),
        ),
        "cache_server": next(compose_files.images(found.services, r"\b(valkey|redis)\b"), ("", "")),
        "jobs": (bool(found.celery), found.celery or "no Celery among its dependencies"),
        "license": _license(tree),
        "deployment": ("none", "nothing is deployed that was not deployed before"),
    }
    for question, (value, where) in facts.items():
        asked = questions.get(question)
        if isinstance(asked, dict) and value != "":
            fitting = _fitting(value, asked)
            if fitting != value:
                found.notes.append(f"{question}: {value} is found in {where}, and the template has {fitting}")
            if fitting is not None:
                found.answers[question] = (fitting, where)
    return found


def _fitting(value: Any, question: dict[str, Any]) -> Any:
    """Return the answer that comes nearest to what was found: of versions the lowest that is not older; None without one."""
    choices = question.get("choices")
    if not choices:
        return value
    values = [*choices.values()] if isinstance(choices, dict) else [*choices]
    if value in values or not re.match(r"\d", str(value)):
        return value if value in values else None
    newer = [each for each in values if _numbers(each) >= _numbers(value)]
    return min(newer, key=_numbers) if newer else max(values, key=_numbers)


def _numbers(version: object) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(version))]


def _title(name: str) -> str:
    """Return a name for people of one for addresses."""
    words = re.split(r"[-_.\s]+", name.strip())
    return " ".join(word if word[1:].lower() != word[1:] else word.capitalize() for word in words if word)[
        :60
    ]


def _remote(git: Git) -> tuple[str, str]:
    """Return the owner and the name of the repository at its remote, both empty if there is none."""
    with suppress(GitError):
        address = git("remote", "get-url", "origin")
        if found := re.search(r"[:/]([A-Za-z0-9](?:-?[A-Za-z0-9]){0,38})/([\w.-]+?)(?:\.git)?/?$", address):
            is_path = address.startswith(("/", ".", "file:"))
            return ("" if is_path else found[1]), found[2]
    return "", ""


def dockerfile(tree: Tree, root: str) -> str:
    """Return the path of the Dockerfile at the top, or else where the application is."""
    return next((path for path in ("Dockerfile", joined(root, "Dockerfile")) if path in tree), "Dockerfile")


def _pythons(tree: Tree, told: dict[str, Any], root: str) -> Iterator[tuple[str, str]]:
    """Yield the versions of Python that files name, what a build uses first."""
    poetry = told.get("dependencies")
    texts = [
        (path, tree.get(path, b"").decode(errors="replace"), pattern)
        for path, pattern in (
            (".python-version", rf"^{_PYTHON}"),
            ("runtime.txt", rf"python-{_PYTHON}"),
            (dockerfile(tree, root), rf"(?m)^FROM\s+(?:\S+/)?python:{_PYTHON}"),
        )
    ]
    texts.append(("pyproject.toml", str(told.get("requires-python", "")), _PYTHON))
    texts.append(
        ("pyproject.toml", str(poetry.get("python", "")) if isinstance(poetry, dict) else "", _PYTHON)
    )
    texts.append(
        ("Pipfile", str(toml(tree, "Pipfile").get("requires", {}).get("python_version", "")), _PYTHON)
    )
    for path, text, pattern in texts:
        if found := re.search(pattern, text):
            yield found[1], path


def _license(tree: Tree) -> tuple[str, str]:
    for path in sorted(tree):
        if re.fullmatch(r"(?i)(?:licen[sc]e|copying)(?:\.\w+)?", path):
            text = tree[path].decode(errors="replace")
            known = next((name for name, pattern in _LICENSES.items() if re.search(pattern, text)), "")
            return known or "proprietary", path
    return "proprietary", "no file of a license"
