"""Which Flask application a repository serves, by what its servers are told and what its modules say."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import Refused
from .modules import Modules, dotted
from .rendering import Tree

FLASK = {"Flask", "APIFlask", "OpenAPI"}
# Where somebody says what is served.
_TOLD = re.compile(
    r"(?:^|/)(?:Procfile|Dockerfile[\w.-]*|(?:docker-)?compose[\w.-]*\.ya?ml|\.flaskenv|\.env\.\w+|uwsgi\.ini|[\w-]+\.sh)$"
)
_CALL = r"(?:(?P<call>\([^)\n]*\)))?"
_SERVER = re.compile(
    r"(?:\b(?:gunicorn|waitress-serve|uwsgi|uvicorn|hypercorn)\b[^\n]*?[\"'\s\[,=]|\bmodule *= *)"
    r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)" + _CALL
)
_FLASK_APP = re.compile(
    r"(?:FLASK_APP[\"']?\s*[=:]|\bflask[\"',\s]+--app[\"',\s=])\s*[\"']?"
    r"(?P<module>[A-Za-z_.][\w./-]*)(?::(?P<name>\w+)" + _CALL + ")?"
)


@dataclass(frozen=True)
class Application:
    """A WSGI application.

    Attributes:
        path: the file that has it.
        root: the folder that its module is found from.
        name: what it is called in there.
        call: how the function of that name is called, empty if it is no function.
        where: what says so.
    """

    path: str
    root: str
    name: str
    call: str
    where: str

    @property
    def module(self) -> str:
        """The name that its module is imported by."""
        return dotted(self.path, self.root)

    def __str__(self) -> str:
        """Return it as a server is told."""
        return f"{self.module}:{self.name}{self.call}"


def find(tree: Tree, modules: Modules, given: str | None) -> Application:
    """Return the application that is served.

    Args:
        tree: the repository's files.
        modules: those of them that are Python.
        given: what somebody says, as ``module:name``, ``path/of/module.py:name``, or with a call at the end.

    Raises:
        Refused: if there is none.
    """
    candidates = [*_Candidates(modules)]
    if given:
        module, _, name = given.partition(":")
        found = re.fullmatch(r"(\w*)(\(.*\))?", name)
        told = _resolved(
            modules, candidates, module, found[1] if found else "", (found and found[2]) or "", "--app"
        )
        if not found or not told:
            raise Refused(f"--app {given}: no module here has that; write it as --app shop.web:create_app.")
        return told
    for where, match in _told(tree):
        told = _resolved(
            modules, candidates, match["module"], match["name"] or "", match["call"] or "", where
        )
        if told:
            return told
    usable = [each for each in candidates if not each.call.startswith("(*")]
    if not usable:
        raise Refused(
            "No Flask application is found here, a Flask(__name__) or a function that returns one without being told "
            "anything: name it, as --app shop.web:create_app."
        )
    return min(usable, key=_rank)


def _rank(each: Application) -> tuple[bool, int, str]:
    """An application stands before a function that makes one, and what is near the top before what is deep inside."""
    return bool(each.call), each.path.count("/"), each.path


def _told(tree: Tree) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield what servers are told to serve, and what the command flask is."""
    texts = {
        path: content.decode(errors="replace").replace("\\\n", " ")
        for path, content in tree.items()
        if _TOLD.search(path)
    }
    for pattern in (_SERVER, _FLASK_APP):
        for path, text in sorted(texts.items(), key=lambda each: (each[0].count("/"), each[0])):
            yield from ((path, found) for found in pattern.finditer(text))


def _resolved(
    modules: Modules, candidates: list[Application], module: str, name: str, call: str, where: str
) -> Application | None:
    """Return an application that something names, None if no module here is it."""
    found = modules.resolve(module)
    if not found:
        return None
    path, root = found
    here = sorted((each for each in candidates if each.path == path), key=_rank)
    if not name:
        usable = [each for each in here if not each.call.startswith("(*")]
        return Application(path, root, usable[0].name, usable[0].call, where) if usable else None
    makes = [each for each in here if each.name == name and each.call]
    if not call and makes:
        call = "()"
    nodes = [*ast.walk(modules.parsed[path])]
    known = {node.id for node in nodes if isinstance(node, ast.Name)}
    known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    known |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    return Application(path, root, name, call, where) if name in known else None


class _Candidates:
    """What modules have that may be the application; a function that has to be told something is called with ``(*…)``."""

    def __init__(self, modules: Modules):
        self.modules = modules
        self.classes = FLASK | {
            node.name
            for _, tree in modules.of_the_application()
            for node in tree.body
            if isinstance(node, ast.ClassDef) and FLASK & {_name(base) for base in node.bases}
        }
        self.factories = {
            node.name: node
            for _, tree in modules.of_the_application()
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and self._makes(node)
        }

    def _makes(self, function: ast.FunctionDef) -> bool:
        nodes = [*ast.walk(function)]
        made = any(isinstance(node, ast.Call) and _name(node.func) in self.classes for node in nodes)
        return made and any(isinstance(node, ast.Return) and node.value for node in nodes)

    def __iter__(self) -> Iterator[Application]:
        for path, tree in self.modules.of_the_application():
            root = self.modules.root(path)
            for node in tree.body:
                where = f"{path}:{node.lineno}"
                if isinstance(node, ast.FunctionDef) and self.factories.get(node.name) is node:
                    asked = len(node.args.args) - len(node.args.defaults)
                    yield Application(path, root, node.name, "(*…)" if asked > 0 else "()", where)
                elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    if _name(node.value.func) in self.classes | self.factories.keys():
                        for target in targets:
                            if isinstance(target, ast.Name):
                                yield Application(path, root, target.id, "", where)


def _name(node: ast.AST) -> str:
    """Return the last part of a name."""
    return getattr(node, "attr", None) or getattr(node, "id", "")
