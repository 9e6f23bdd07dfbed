"""What an existing application depends on, as requirements of the form that pyproject.toml has (PEP 508)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

# What `pip freeze` writes on Debian, and no index has.
_NOBODY = {"pkg-resources", "pkg_resources"}


@dataclass
class Dependencies:
    """The packages that an application needs.

    Attributes:
        ships: what it needs to run.
        develops: what its developers need.
        files: where it stands; nothing reads these files any more.
        changed: what became of a line that is not taken as it stands, by that line.
    """

    ships: dict[str, str] = field(default_factory=dict)
    develops: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)

    def add(self, lines: Iterable[str], develops: bool = False) -> None:
        """Add requirements, each as one line."""
        for line in lines:
            told = _from_git(line)
            try:
                requirement = Requirement(told)
            except InvalidRequirement:
                self.changed[line] = "left out: it is no requirement that pyproject.toml can have"
                continue
            name = canonicalize_name(requirement.name)
            if requirement.name in _NOBODY:
                self.changed[line] = "left out: no index has it"
                continue
            written = bounded(requirement)
            if "==" in str(requirement.specifier) and written != line:
                self.changed[line] = written
            (self.develops if develops else self.ships).setdefault(name, written)

    def settle(self) -> "Dependencies":
        """Leave out of what developers need what ships."""
        self.develops = {name: each for name, each in self.develops.items() if name not in self.ships}
        return self


def _from_git(line: str) -> str:
    """Return an address that names its package behind ``#egg=`` as a requirement."""
    found = re.fullmatch(
        r"(?:-e +)?((?:git|hg)\+[^#\s]+|https?://[^#\s]+)#egg=([\w.-]+)(\[.*\])?.*", line.strip()
    )
    return f"{found[2]}{found[3] or ''} @ {found[1]}" if found else line


def bounded(requirement: Requirement) -> str:
    """Return a requirement with a lower bound in place of a pin: the lock pins, and each update of it may move on."""
    parts = []
    for each in requirement.specifier:
        operator, version = each.operator, each.version.removesuffix(".*")
        parts.append(f">={version}" if operator in ("==", "===") else str(each))
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f"; {requirement.marker}" if requirement.marker else ""
    if requirement.url:
        return f"{requirement.name}{extras} @ {requirement.url}{' ' + marker if marker else ''}"
    return f"{requirement.name}{extras}{','.join(sorted(parts, key=lambda part: part[0] != '>'))}{marker}"


def listed_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a requirements file: ``file``, another that it includes; ``option``; or ``package``."""
    joined = re.sub(r"\\\r?\n", " ", text.lstrip("\ufeff"))
    for line in joined.splitlines():
        line = re.sub(r"(?:^|\s)#.*$", "", line).strip()
        line = re.sub(r"\s+--hash[= ]\S+", "", line).strip()
        if include := re.fullmatch(r"(?:-r|--requirement)[ =]*(\S+)", line):
            yield "file", include[1]
        elif re.match(r"-(?!e +(?:git|hg)\+)|\.{0,2}/|\.$", line):
            yield "option", line
        elif line:
            yield "package", line


def poetry(tables: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the requirements of Poetry's own tables, each with whether it is one of development."""
    yield from ((each, False) for each in _table(tables.get("dependencies", {})))
    groups = [group.get("dependencies", {}) for group in tables.get("group", {}).values()]
    for table in (tables.get("dev-dependencies", {}), *groups):
        yield from ((each, True) for each in _table(table))


def _table(table: dict[str, Any]) -> Iterator[str]:
    """Yield the requirements of a table of Poetry's or Pipenv's."""
    for name, value in table.items():
        if name.lower() == "python":
            continue
        # Several, each for another Python or platform.
        for each in value if isinstance(value, list) else [value]:
            told = {"version": each} if isinstance(each, str) else each
            extras = f"[{','.join(told['extras'])}]" if told.get("extras") else ""
            if "git" in told:
                commit = told.get("rev") or told.get("tag") or told.get("ref") or told.get("branch")
                address = f"git+{told['git'].removeprefix('git+')}{'@' + commit if commit else ''}"
                yield f"{name}{extras} @ {address}"
            elif "path" in told or "url" in told:
                yield f"{name}{extras} @ {told.get('url') or told['path']}"
            else:
                marker = f"; {told['markers']}" if told.get("markers") else ""
                yield f"{name}{extras}{specifier(told.get('version', '*'))}{marker}"


pipenv = _table


def specifier(text: str) -> str:
    """Return a version as Poetry and Pipenv write it, as PEP 440 does.

    Of several ranges, with ``||`` between them, it is the last.
    """
    parts = []
    for part in filter(None, re.split(r"[,\s]+(?![\d.])", text.split("||")[-1].strip())):
        part = re.sub(r"\s+", "", part)
        if part == "*":
            continue
        if part[0] == "^":
            parts += [f">={part[1:]}", f"<{_next(part[1:], caret=True)}"]
        elif re.match(r"~[^=]", part):
            parts += [f">={part[1:]}", f"<{_next(part[1:], caret=False)}"]
        else:
            parts.append(part if part[0] in "<>=!~" else f"=={part}")
    return str(SpecifierSet(",".join(parts)))


def _next(version: str, caret: bool) -> str:
    """Return the first version that a caret or a tilde shuts out."""
    numbers = [int(number) for number in re.findall(r"\d+", re.split(r"[a-z+-]", version)[0])]
    if caret:
        kept = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        kept = min(1, len(numbers) - 1)
    return ".".join(map(str, [*numbers[:kept], numbers[kept] + 1]))
