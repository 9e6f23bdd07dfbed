"""A repository's Python modules, read and never imported: what they import, and from which folder Python finds them."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from posixpath import dirname

from .rendering import Tree

# What is no part of an application, by its folder or its name.
_APART = re.compile(
    r"(?:^|/)(?:tests?|migrations|alembic|docs|examples|node_modules|site-packages|v?env|build|dist|\.[^/]+)/"
    r"|(?:^|/)(?:conftest|setup|noxfile|fabfile|gunicorn[\w.]*|tests?|test_\w+|\w+_tests?)\.py$"
)
# What is given a path, or a part of one.
_TAKES_PATHS = {"Path", "join", "joinpath", "open", "open_resource", "send_file", "send_from_directory"}


class Modules:
    """The modules of a folder.

    Attributes:
        parsed: each that is Python as it is written today, by its path.
    """

    def __init__(self, tree: Tree):
        self.parsed: dict[str, ast.Module] = {}
        for path in sorted(tree):
            if path.endswith(".py"):
                with suppress(SyntaxError, ValueError):
                    self.parsed[path] = ast.parse(tree[path])
        self.folders = {parent for path in self.parsed for parent in parents(path)}

    def of_the_application(self) -> Iterator[tuple[str, ast.Module]]:
        """Yield what may be a part of the application."""
        yield from ((path, tree) for path, tree in self.parsed.items() if not _APART.search(path))

    def has(self, root: str, name: str) -> bool:
        """Whether Python finds a module or package of a name in a folder."""
        path = joined(root, name.replace(".", "/"))
        return f"{path}.py" in self.parsed or path in self.folders

    def imports(self, path: str) -> set[str]:
        """Return the first part of each name that a module imports, relative ones aside."""
        found = set()
        for node in ast.walk(self.parsed[path]):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
        return found

    def root(self, path: str) -> str:
        """Return the folder from which Python finds a module: of those above its package, the one its imports are found from."""
        package = dirname(path)
        while package and f"{package}/__init__.py" in self.parsed:
            package = dirname(package)
        names = self.imports(path)
        candidates = [package, *parents(package)]
        return max(candidates, key=lambda folder: sum(self.has(folder, name) for name in names))

    def resolve(self, name: str) -> tuple[str, str] | None:
        """Return the file of a module by its dotted name or its path, and the folder that it is found from; None without one."""
        inner = name.removesuffix(".py") if "/" in name else name.replace(".", "/")
        for suffix in (f"{inner}.py", f"{inner}/__init__.py"):
            fitting = [path for path in self.parsed if path == suffix or path.endswith(f"/{suffix}")]
            for path in sorted(fitting, key=lambda each: (each.count("/"), each)):
                root = self.root(path) if "/" in name else path.removesuffix(suffix).rstrip("/")
                return path, root
        return None

    def together(self, path: str, root: str) -> list[str]:
        """Return the modules and packages of a folder that go with one: what it imports, and what imports that."""
        members: dict[str, set[str]] = {}
        for each in self.parsed:
            if not root or each.startswith(f"{root}/"):
                inside = each[len(root) + 1 :] if root else each
                if not _APART.search(each) or each == path:
                    members.setdefault(inside.split("/")[0], set()).update(self.imports(each))
        found = {(path[len(root) + 1 :] if root else path).split("/")[0]}
        while True:
            names = {name.removesuffix(".py") for name in found}
            wanted = set().union(*(members.get(name, set()) for name in found))
            more = {each for each in members if each.removesuffix(".py") in wanted or names & members[each]}
            if more <= found:
                return sorted(found)
            found |= more


def parents(path: str) -> list[str]:
    """Return the folders above a path, the nearest first, the top's being empty."""
    found = []
    while path:
        path = dirname(path)
        found.append(path)
    return found


def in_folder(path: str, folder: str) -> bool:
    """Whether a path is in a folder, of which the empty one is the top."""
    return not folder or path.startswith(f"{folder}/")


def joined(*parts: str) -> str:
    """Return a path of its parts, those left out that are empty."""
    return "/".join(part for part in parts if part)


def dotted(path: str, root: str) -> str:
    """Return the name that a module is imported by."""
    inside = path[len(root) + 1 :] if root else path
    return inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def constants(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each text that stands in a module, and its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno


def named_paths(tree: ast.AST) -> set[str]:
    """Return the texts of a module that may be paths: those that look it, and those that are given as one."""
    found = {text for text, _ in constants(tree) if re.fullmatch(r"[\w.-]+(?:/[\w.-]+)+/?|[\w-]+\.\w+", text)}
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            values = [node.left, node.right]
        elif isinstance(node, ast.Call):
            function = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            values = [*node.args] if function in _TAKES_PATHS else []
            values += [each.value for each in node.keywords if (each.arg or "").endswith("_folder")]
        found |= {
            each.value for each in values if isinstance(each, ast.Constant) and isinstance(each.value, str)
        }
    return found
