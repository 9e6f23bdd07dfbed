"""What of a team's code meets another world than before: its routes, the paths that it opens, what the checks refuse."""

import ast
import re
from collections.abc import Iterator
from posixpath import dirname, normpath
from typing import TYPE_CHECKING

from .modules import constants, joined

if TYPE_CHECKING:
    from .adoption import Adoption

# What the template's checks refuse in code, and what to do instead.
REFUSED = {
    r"(?i)\bsqlite": "another database than PostgreSQL: read `DATABASE_URL`",
    r"\bcreate_all\b": "tables that no migration makes: write one (`flask db`), and take this out",
    r"\b(?:app|application|create_app\([^)\n]*\))\.run\(": "another server than gunicorn: take it out",
}


def route(adoption: "Adoption") -> str:
    """Return the path of a route of the team's without parameters, ``/`` if none is seen."""
    return next((path for path in routes(adoption) if "<" not in path), "/")


def routes(adoption: "Adoption") -> list[str]:
    """Return the paths that the team's decorators name; what stands in front of a blueprint's is not seen."""
    found = []
    modules = adoption.found.modules
    for _, tree in modules.of_the_application():
        for text, _ in constants(tree):
            if re.fullmatch(r"/(?:[\w<>:.-]+/?)*", text) and text not in found:
                found.append(text)
    return found


def relative(adoption: "Adoption") -> Iterator[str]:
    """Yield the moved files that the team's code opens by a path relative to the folder that it runs in."""
    moved = {path: target for path, target in adoption.plan.moved.items() if not path.endswith(".py")}
    for path, tree in adoption.found.modules.of_the_application():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("open", "Path") and node.args:
                text = getattr(node.args[0], "value", "")
                if (
                    isinstance(text, str)
                    and text
                    and any(each == text or each.startswith(f"{text.rstrip('/')}/") for each in moved)
                ):
                    yield f"`{text}`, opened in `{adoption.plan.moved.get(path, path)}:{node.lineno}`,"


def outside(adoption: "Adoption") -> Iterator[str]:
    """Yield what the team's code looks for above its own folder, and does not find there any more."""
    moved = adoption.plan.moved
    for path, tree in adoption.found.modules.of_the_application():
        for text, line in constants(tree):
            if re.fullmatch(r"(?:\.\./)+[\w./-]+", text):
                before = normpath(joined(dirname(path), text))
                after = normpath(joined(dirname(moved.get(path, path)), text))
                there = [each for each in adoption.teams if each == before or each.startswith(f"{before}/")]
                if any(moved.get(each, each) != after + each[len(before) :] for each in there) or (
                    there and not after.startswith("src/")
                ):
                    yield f"`{before}`, named in `{moved.get(path, path)}:{line}`,"


def refused(adoption: "Adoption") -> Iterator[str]:
    """Yield the lines that the template's checks refuse, the first of each kind in a module, and what to do."""
    for path, _ in adoption.found.modules.of_the_application():
        lines = adoption.found.sources[path].splitlines()
        for pattern, remedy in REFUSED.items():
            at = [number for number, line in enumerate(lines, 1) if re.search(pattern, line)]
            if at:
                yield f"`{adoption.plan.moved.get(path, path)}`, line {at[0]}: {remedy}"
