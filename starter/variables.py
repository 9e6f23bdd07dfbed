"""The variables of the environment that an application reads."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .modules import Modules

# How it is read: from os.environ, or by a library that does (python-decouple, environs, django-environ).
_READS = {"getenv", "config", "env", "get", "str", "int", "bool", "float", "list", "dict", "url", "json"}
_SOURCES = {"environ", "env", "config", "decouple"}
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
# What the image, Flask or the server is told, and no application of its own.
_OTHERS = re.compile(
    r"(?:FLASK|GUNICORN|PYTHON|LC|COMPOSE|DOCKER)_\w+|PATH|HOME|USER|PWD|LANG|TZ|PORT|HOST|HOSTNAME|SHELL|PYTHONPATH"
)
# What a variable may be in development, by its name; {package} is the database's name, user and so on.
_EXAMPLES = [
    (
        r"(?:DATABASE|SQLALCHEMY|POSTGRES|PG|DB)\w*_UR[IL]|DATABASE|DB_UR[IL]",
        "postgresql://{package}:development@postgres:5432/{package}",
    ),
    (
        r"(?:CELERY|BROKER|RESULT|REDIS|CACHE|RATELIMIT)\w*_(?:UR[IL]|BACKEND|BROKER)",
        "redis://{cache}:6379/0",
    ),
    (r"(?:REDIS|CACHE|CELERY)\w*_HOST", "{cache}"),
    (r"(?:REDIS|CACHE)\w*_PORT", "6379"),
    (r"(?:DATABASE|POSTGRES|PG|DB)\w*HOST(?:NAME)?", "postgres"),
    (r"(?:DATABASE|POSTGRES|PG|DB)\w*PORT", "5432"),
    (r"(?:DATABASE|POSTGRES|PG|DB)_?(?:USER(?:NAME)?|NAME|DATABASE|DB)", "{package}"),
    (r"\w*(?:URL|URI|ENDPOINT)", "http://localhost"),
]


@dataclass(frozen=True)
class Variable:
    """A variable that an application reads.

    Attributes:
        name: as the environment has it.
        where: the first place that reads it, file and line.
        required: whether it has no default there.
        number: whether it is read as a number.
    """

    name: str
    where: str
    required: bool
    number: bool = False

    def moved(self, moved: Mapping[str, str]) -> "Variable":
        """Return it with the place that its file has moved to."""
        path, _, line = self.where.rpartition(":")
        return replace(self, where=f"{moved.get(path, path)}:{line}")

    def example(self, package: str, cache: str) -> str:
        """Return a value for development."""
        for pattern, value in _EXAMPLES:
            if re.fullmatch(pattern, self.name):
                return value.format(package=package, cache=cache)
        return "1" if self.number else "development"


def read(modules: Modules) -> list[Variable]:
    """Return the variables that the modules of an application read, by their names; one is required if it is so anywhere."""
    found: dict[str, Variable] = {}
    for path, tree in modules.of_the_application():
        for each in _of_module(path, tree):
            before = found.get(each.name)
            if not before or (each.required and not before.required):
                found[each.name] = each
    return [found[name] for name in sorted(found)]


def _of_module(path: str, tree: ast.Module) -> Iterator[Variable]:
    numbers = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("int", "float")
        for argument in node.args
    }
    # `os.environ.get("A") or "b"` has a default, too.
    either = {
        id(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or)
        for value in node.values[:-1]
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and "BaseSettings" in map(_last, node.bases):
            yield from _of_class(path, node)
        name, required = "", False
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Load)
            and _last(node.value) == "environ"
        ):
            name, required = _text(node.slice), True
        elif (
            isinstance(node, ast.Call) and node.args and _last(node.func) in _READS and _is_source(node.func)
        ):
            name = _text(node.args[0])
            defaults = {keyword.arg for keyword in node.keywords} & {"default"}
            # os.environ.get and os.getenv answer None; the libraries refuse.
            soft = _last(node.func) in ("getenv", "get")
            required = not soft and not defaults and len(node.args) < 2
        if _NAME.fullmatch(name) and not _OTHERS.fullmatch(name):
            number = id(node) in numbers or _last(getattr(node, "func", node)) in ("int", "float")
            missing = required and id(node) not in either
            soft_number = number and isinstance(node, ast.Call) and len(node.args) < 2 and not node.keywords
            yield Variable(
                name, f"{path}:{node.lineno}", missing or (soft_number and id(node) not in either), number
            )


def _of_class(path: str, node: ast.ClassDef) -> Iterator[Variable]:
    """Yield the variables that a class of pydantic-settings reads: its fields, with the prefix that it names."""
    prefixes = [
        _text(each.value)
        for part in node.body
        for each in ast.walk(part)
        if isinstance(each, ast.keyword) and each.arg == "env_prefix"
    ]
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            name = f"{(prefixes or [''])[0]}{field.target.id}".upper()
            number = isinstance(field.annotation, ast.Name) and field.annotation.id in ("int", "float")
            if _NAME.fullmatch(name) and not _OTHERS.fullmatch(name) and field.target.id != "model_config":
                yield Variable(name, f"{path}:{field.lineno}", field.value is None, number)


def _is_source(function: ast.expr) -> bool:
    """Whether a function reads the environment: ``getenv``, ``environ.get``, ``env.str``, ``env``, ``config``."""
    if _last(function) == "getenv":
        return True
    if isinstance(function, ast.Attribute):
        return _last(function.value) in _SOURCES and (
            _last(function.value) != "config" or function.attr != "get"
        )
    return _last(function) in ("env", "config")


def _last(node: ast.AST) -> str:
    return getattr(node, "attr", None) or getattr(node, "id", "")


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
