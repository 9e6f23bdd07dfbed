"""Where each file of an existing repository stands under the template: moved, kept aside, or where it was."""

import re
from dataclasses import dataclass, field
from posixpath import basename, dirname

from . import compose_files
from .detecting import Found
from .errors import Refused, listed
from .modules import joined, named_paths
from .rendering import Tree

SOURCES = "src"
ASIDE = "adopted"
# What stands beside modules and belongs to them, whoever names it.
_BESIDE = {"templates", "static", "instance", "translations"}
# What tools would read in place of the template's, and what nothing reads any more.
_REPLACED = re.compile(
    r"Pipfile|Pipfile\.lock|poetry\.lock|poetry\.toml|uv\.lock|pdm\.lock|runtime\.txt|\.python-version"
    r"|\.?(?:ruff|mypy)\.(?:toml|ini)|\.?pytest\.ini|makefile|GNUmakefile"
)
# What stands at the top and is nobody's data.
_TOP = re.compile(
    r"\.|README|LICEN[CS]E|CHANGELOG|docs$|tests?$|migrations$|alembic|scripts$|Dockerfile|Makefile|requirements"
)


@dataclass
class Plan:
    """Where files go, each by its path before.

    Attributes:
        moved: the team's files that Python has to find, or its templates, or migrations, or workflows of the same name.
        aside: what is replaced, and kept in full.
        tops: the modules and packages of the team's in src/.
        alembic: the folder of its migrations, empty if it has none.
    """

    moved: dict[str, str] = field(default_factory=dict)
    aside: dict[str, str] = field(default_factory=dict)
    tops: list[str] = field(default_factory=list)
    alembic: str = ""


def move(tree: Tree, found: Found, fresh: Tree) -> Plan:
    """Return where the code and the migrations go.

    Args:
        tree: the repository's files.
        found: what is known of them.
        fresh: the files that the template brings.

    Raises:
        Refused: if a module of the team's has a name that the service needs, or its place is taken.
    """
    made = Plan()
    _move_code(tree, found, made)
    taken = {name.removesuffix(".py") for name in made.tops} & (_top_names(fresh) | _packages(fresh))
    if taken:
        raise Refused(
            f"{listed(sorted(taken))} is the name of a module of yours and of one that the service needs: rename yours first."
        )
    _move_migrations(tree, fresh, made)
    return made


def keep_aside(made: Plan, tree: Tree, found: Found, fresh: Tree, given: set[str], shared: list[str]) -> None:
    """Add to a plan what becomes of the files that both have, or that the template's take the place of.

    Args:
        made: the plan, which has the code and the migrations.
        tree: the repository's files.
        found: what is known of them.
        fresh: the files that the template brings.
        given: those of them that it gives once: the team's, if it has such.
        shared: those that are both's, in which the team's part is written anew.
    """
    for path in tree:
        if path in made.moved or path in made.aside:
            continue
        if path in fresh and fresh[path] != tree[path]:
            if path in shared or not _is_teams(path, given):
                made.aside[path] = joined(ASIDE, path)
            elif path not in given and path.startswith(".github/workflows/"):
                made.moved[path] = _free(path, tree)
        elif path not in fresh and _is_replaced(path, found):
            made.aside[path] = joined(ASIDE, path)


def _is_teams(path: str, given: set[str]) -> bool:
    """Whether a file stays the team's that the template has, too."""
    return path in given or path == "LICENSE" or path.startswith(".github/workflows/")


def _is_replaced(path: str, found: Found) -> bool:
    """Whether nothing reads a file any more, or something would that is not to."""
    if "/" not in path and (_REPLACED.fullmatch(path) or compose_files.NAME.fullmatch(path)):
        return True
    return path in found.dependencies.files


def _free(path: str, tree: Tree) -> str:
    """Return a path beside one, which no file has."""
    stem, _, suffix = path.rpartition(".")
    return next(
        name for name in (f"{stem}-adopted{'-' * number}.{suffix}" for number in range(9)) if name not in tree
    )


def _packages(fresh: Tree) -> set[str]:
    """Return the packages that the template's lock has, as names of modules."""
    lock = fresh.get("requirements.txt", b"").decode()
    return {name.replace("-", "_") for name in re.findall(r"(?m)^([a-z0-9-]+)==", lock)}


def _top_names(fresh: Tree) -> set[str]:
    return {path.split("/")[1].removesuffix(".py") for path in fresh if path.startswith(f"{SOURCES}/")}


def _move_code(tree: Tree, found: Found, made: Plan) -> None:
    """Move what Python has to find into src/, and what it looks for beside it."""
    root = found.application.root
    made.tops = found.modules.together(found.application.path, root)
    if root == SOURCES:
        return
    entries = [*made.tops]
    names = {entry for path in tree for entry in [_entry(path, root)] if entry}
    code = [path for path in found.modules.parsed if _entry(path, root) in made.tops]
    said = {
        part
        for path in code
        for text in named_paths(found.modules.parsed[path])
        for part in [re.sub(r"^(?:\.{1,2}/)+", "", text).split("/")[0]]
    }
    entries += sorted(
        name for name in names - {*entries} if name in _BESIDE or (name in said and not _TOP.match(name))
    )
    for path in tree:
        entry = _entry(path, root)
        if entry in entries:
            made.moved[path] = joined(SOURCES, path[len(root) + 1 :] if root else path)
    taken = sorted(target for target in made.moved.values() if target in tree and target not in made.moved)
    if taken:
        raise Refused(
            f"{listed(taken)} is there already, and {listed(made.tops)} has to stand in src/: move it first."
        )


def _entry(path: str, root: str) -> str:
    """Return the first part of a path in a folder, empty if it is not there."""
    if root and not path.startswith(f"{root}/"):
        return ""
    return (path[len(root) + 1 :] if root else path).split("/")[0]


def _move_migrations(tree: Tree, fresh: Tree, made: Plan) -> None:
    """Move the team's migrations to where the template's are, and keep aside what runs them."""
    if not any(path.startswith("migrations/") for path in fresh):
        return
    folders = {
        dirname(path) or "."
        for path, content in tree.items()
        if basename(path) == "env.py" and b"alembic" in content and not path.startswith((".", ASIDE))
    }
    if not folders:
        return
    folder = min(folders, key=lambda each: (each != "migrations", each.count("/"), each))
    made.alembic = folder
    for path in tree:
        if not path.startswith(f"{folder}/") or folder == "migrations":
            continue
        inside = path[len(folder) + 1 :]
        made.moved.pop(path, None)
        if inside.startswith("versions/"):
            made.moved[path] = joined("migrations", inside)
        else:
            made.aside[path] = joined(ASIDE, path)
    if folder != "migrations" and "alembic.ini" in tree:
        made.aside["alembic.ini"] = joined(ASIDE, "alembic.ini")
