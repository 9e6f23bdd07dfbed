"""What a release must not do to the services that take it: between two states of this repository, each with the remedy."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from conftest import git
from packaging.version import Version

# Where teams have files of their own: a release that claims one of these paths meets them.
TEAMS_OWN = [
    "Procfile",
    "docker-compose*.yml",
    "docker-compose*.yaml",
    "setup.*",
    "tox.ini",
    "*.env",
    "scripts/*",
    "bin/*",
    "docs/index.md",
    "docs/architecture.md",
    "docs/api.md",
    "docs/adr/*",
    "deploy/*",
    ".vscode/*",
    ".github/CODEOWNERS",
    ".github/*.md",
    "src/*/models.py",
    "src/*/routes.py",
    "src/*/views.py",
    "src/*/schemas.py",
    "src/*/tasks.py",
    "src/*/utils.py",
    "src/*/auth.py",
    "src/*/db.py",
    "src/*/services.py",
    "src/*/models/*",
    "src/*/api/*",
    "src/*/services/*",
]


def problems(repository: Path, before: str, after: str) -> list[str]:
    """Return what is wrong with the way from a release to another state, a sentence each with what to do."""
    old, new = (_config(repository, revision) for revision in (before, after))
    crossed = [
        str(each["version"])
        for each in new.get("_migrations", [])
        if Version(each["version"]) > Version(before)
    ]
    was, now = (_files(repository, revision) for revision in (before, after))
    once = _given_once(new)
    found = []
    if not crossed:
        for path in sorted(was.keys() - now.keys()):
            found.append(
                f"{path} is gone or has another name: edits of it are lost by copier update. Write hooks/vX.Y.Z.py, which carries "
                "them over (hooks/README.md)."
            )
        for path in sorted(now.keys() - was.keys()):
            if not _fits(path, once) and any(fnmatchcase(path, pattern) for pattern in TEAMS_OWN):
                found.append(
                    f"{path} is new, and teams have such a file: name it otherwise, or give it once, with a hook."
                )
            if "/versions/" in f"/{path}":
                found.append(
                    f"{path} is new, and an update leaves migrations out: a hook has to put it behind the service's own."
                )
    for path in sorted(was.keys() & now.keys()):
        if was[path][1] == now[path][1] and was[path][0] != now[path][0]:
            found.append(
                f"{path} has another mode and the same content: with core.fileMode=false nobody gets that. Change its content too, "
                "or run it by its interpreter."
            )
        if not crossed and "/versions/" in f"/{path}" and was[path][1] != now[path][1]:
            found.append(
                f"{path} has changed, and services have applied it: write another migration, with a hook."
            )
    for name, question in questions(old).items():
        if name not in new:
            found.append(
                f"The question {name} is gone: its answer is forgotten without a word. Keep it, with when: false."
            )
        elif lost := values(question) - values(new[name]):
            found.append(
                f"The question {name} has lost {', '.join(sorted(map(str, lost)))}: services that answered it silently get the default. "
                "Keep the choice."
            )
    for name in questions(new).keys() - questions(old).keys():
        if "default" not in new[name]:
            found.append(
                f"The question {name} has no default: an update that nobody watches stops at it. Give it one."
            )
    return found


def _config(repository: Path, revision: str) -> dict:
    return yaml.safe_load(git(repository, "show", f"{revision}:copier.yml"))


def questions(config: dict) -> dict[str, dict]:
    """What is recorded in a service's answers."""
    return {
        name: each
        for name, each in config.items()
        if not name.startswith("_") and each.get("when") is not False
    }


def values(question: dict) -> set:
    choices = question.get("choices") or {}
    return {*(choices.values() if isinstance(choices, dict) else choices)}


def _files(repository: Path, revision: str) -> dict[str, tuple[str, str]]:
    """Return the template's files by where they stand in a service, each with its mode and git's name of its content."""
    found = {}
    for line in git(repository, "ls-tree", "-r", "-z", revision, "template/").split("\0"):
        if line:
            facts, path = line.split("\t")
            mode, _, name = facts.split()
            found[path.removeprefix("template/").removesuffix(".jinja")] = (mode, name)
    return found


def _given_once(config: dict) -> list[str]:
    """Return the patterns of what an update leaves out."""
    text = "\n".join(each for each in config["_exclude"] if "_copier_operation == 'update'" in each)
    return [
        line.strip().lstrip("/").replace("{{ package_name }}", "{{package_name}}")
        for line in re.findall(r"(?m)^ */.*$", text)
    ]


def _fits(path: str, patterns: list[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") or fnmatchcase(path, each) for each in patterns)
