"""A team's migrations, and those of the template behind them."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress

from .rendering import Tree

FOLDER = "migrations/versions/"


def heads(tree: Tree) -> list[str]:
    """Return the migrations that no other follows, of those in ``migrations/versions/``."""
    made, followed = set(), set()
    for path, content in tree.items():
        if path.startswith(FOLDER) and path.endswith(".py"):
            made |= {*_said("revision", content)}
            followed |= {*_said("down_revision", content)}
    return sorted(made - followed)


def follow(migration: bytes, path: str, before: list[str]) -> tuple[str, bytes]:
    """Return the path and the text of a first migration of the template's, as one that follows others.

    Args:
        migration: its text.
        path: where the template has it.
        before: what it follows.
    """
    name = path.removeprefix(FOLDER).removesuffix(".py").partition("_")[2]
    names = ", ".join(f'"{each}"' for each in before)
    after = names if len(before) == 1 else f"({names})"
    text = re.sub(rb'(?m)^revision = ".*"$', f'revision = "{name}"'.encode(), migration)
    return f"{FOLDER}{name}.py", text.replace(b"down_revision = None", f"down_revision = {after}".encode())


def _said(name: str, content: bytes) -> Iterator[str]:
    """Yield what a migration says of itself: its ``revision``, or those before it, ``down_revision``."""
    with suppress(SyntaxError, ValueError):
        for node in ast.parse(content).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                value = ast.literal_eval(node.value)
                yield from [value] if isinstance(value, str) else value or []
