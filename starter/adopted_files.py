"""What an adoption writes for the team: its own files of the service, with what the repository had in them."""

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from . import adopted_compose, project_file, revisions, writing
from .detecting import Found, dockerfile
from .moving import Plan
from .project_file import Joined
from .rendering import Tree
from .variables import Variable

INSTANCE = "src/instance/.gitkeep"
OVERLAYS = {"compose.project.override.yaml": "override", "compose.project.test.yaml": "test"}


@dataclass
class Written:
    """What was written.

    Attributes:
        texts: the files, by their paths.
        project: what became of pyproject.toml.
        settings: the variables that are settings now.
        odd: those that cannot be.
        shared: those that the template has, too.
        heads: the team's last migrations.
        jobs: where the template's first migration stands now, empty if there is none.
        workers: the team's services that run Celery.
        debian: the Debian packages of the team's image.
        sqlite: where the team's code names SQLite, file and line.
        needs_instance: whether it may write files into Flask's instance folder.
        gone: the template's files that stand elsewhere now.
    """

    texts: dict[str, str] = field(default_factory=dict)
    project: Joined = field(default_factory=lambda: Joined(""))
    settings: list[Variable] = field(default_factory=list)
    odd: list[Variable] = field(default_factory=list)
    shared: list[Variable] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    jobs: str = ""
    workers: dict[str, list[str]] = field(default_factory=dict)
    debian: list[str] = field(default_factory=list)
    sqlite: list[str] = field(default_factory=list)
    needs_instance: bool = False
    gone: list[str] = field(default_factory=list)


def write(
    tree: Tree,
    after: Tree,
    fresh: Tree,
    found: Found,
    plan: Plan,
    answers: dict[str, Any],
    author: str,
    today: date,
) -> Written:
    """Return the files that name what the repository had.

    Args:
        tree: the repository's files.
        after: the same, where they go.
        fresh: the template's files.
        found: what is known of the repository.
        plan: where its files go.
        answers: the service's.
        author: who adopts it, as git writes it.
        today: the day of the adoption.
    """
    made = Written()
    texts = {
        path: content.decode() for path, content in fresh.items() if path not in after and _is_text(content)
    }
    _migrations(made, texts, after, plan)
    _python(made, texts, tree, found, plan, answers)
    applied = made.heads[0] if len(made.heads) == 1 else ""
    tests = any(path.startswith("tests/") and path.endswith(".py") for path in tree)
    if "pyproject.toml" in fresh:
        teams = tree.get("pyproject.toml", b"").decode(errors="replace")
        made.project = project_file.join(
            fresh["pyproject.toml"].decode(),
            teams,
            found.dependencies,
            plan.tops,
            _python_of(after),
            applied,
            tests,
        )
        made.texts["pyproject.toml"] = made.project.text
    if "parity.toml" in texts:
        made.texts["parity.toml"] = writing.parity(texts["parity.toml"], author, today)
    if "apt.txt" in texts:
        image = tree.get(dockerfile(tree, found.application.root), b"")
        made.debian = writing.debian_packages(image.decode(errors="replace"))
        made.texts["apt.txt"] = writing.apt(texts["apt.txt"], made.debian, found.dependencies.ships)
    if (
        "LICENSE" in fresh
        and after.get("LICENSE", fresh["LICENSE"]) != fresh["LICENSE"]
        and "starter.toml" not in after
    ):
        made.texts["starter.toml"] = '[opt-outs]\n"LICENSE" = "It was here before the template."\n'
    # What is as the template gives it is the template's.
    made.texts = {path: text for path, text in made.texts.items() if texts.get(path) != text}
    return made


def _python_of(after: Tree) -> list[str]:
    """Return what is Python of the team's: the modules and packages in src/, and other files and folders of the top."""
    depths = {"src": 2, "migrations": 2}
    parts = [path.split("/") for path in after if path.endswith(".py")]
    return sorted({"/".join(each[: depths.get(each[0], 1)]) for each in parts})


def _is_text(content: bytes) -> bool:
    return b"\0" not in content


def _migrations(made: Written, texts: dict[str, str], after: Tree, plan: Plan) -> None:
    """Put the template's first migration behind the team's last."""
    if not plan.alembic:
        return
    made.heads = revisions.heads(after)
    firsts = [
        path for path in texts if path.startswith(revisions.FOLDER) and "down_revision = None" in texts[path]
    ]
    for path in firsts if made.heads else []:
        made.jobs, text = revisions.follow(texts[path].encode(), path, made.heads)
        made.texts[made.jobs] = text.decode()
        made.gone.append(path)


def _python(
    made: Written,
    texts: dict[str, str],
    tree: Tree,
    found: Found,
    plan: Plan,
    answers: dict[str, Any],
) -> None:
    """Write the service's own modules, and the Compose files that belong to them."""
    package, has_jobs = answers.get("package_name", ""), bool(answers.get("jobs"))
    project, settings = f"src/{package}/project.py", f"src/{package}/settings.py"
    if project in texts:
        hides = "migrations/env.py" in texts or "migrations/env.py" in tree
        made.texts[project] = writing.project(texts[project], found, package, has_jobs, hides)
    taken = writing.own_settings({path: text.encode() for path, text in texts.items()})
    variables = [each.moved(plan.moved) for each in found.variables]
    made.settings, made.odd = writing.usable(variables, taken)
    made.shared = [each for each in variables if each.name in taken]
    if settings in texts:
        cache = str(answers.get("cache_server", "redis"))
        made.texts[settings] = writing.settings(texts[settings], made.settings, package, cache, found.values)
    code = {path: found.sources[path] for path, _ in found.modules.of_the_application()}
    made.sqlite = [
        f"{plan.moved.get(path, path)}:{number}"
        for path, text in code.items()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(r"sqlite", line, re.IGNORECASE)
    ]
    made.needs_instance = bool(made.sqlite) or any("instance_path" in text for text in code.values())
    made.workers = adopted_compose.workers(found.services)
    if "compose.project.yaml" in texts and made.workers:
        base = "worker" if has_jobs else "web"
        made.texts["compose.project.yaml"] = adopted_compose.compose(
            texts["compose.project.yaml"], made.workers, base
        )
    for path, environment in OVERLAYS.items():
        if text := adopted_compose.overlay(made.workers, environment, made.needs_instance, has_jobs):
            made.texts[path] = text
    if made.needs_instance:
        made.texts[INSTANCE] = ""
