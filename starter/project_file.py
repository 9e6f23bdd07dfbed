"""The pyproject.toml of an adopted service: the template's, with the team's packages, and with rules for the team's code."""

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .requirements import Dependencies

# Tables of tools that say nothing any more, or that the template has its own of.
_ENDED = {"poetry", "pdm", "hatch", "flit", "setuptools", "ruff", "mypy", "pytest", "uv"}


@dataclass
class Joined:
    """What became of pyproject.toml.

    Attributes:
        text: the file.
        added: the team's packages in it.
        left: the team's packages that the template has a bound for, as both have them.
        missing: what found no place in it.
    """

    text: str
    added: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def behind(self, line: str, new: Iterable[str]) -> None:
        """Put lines behind the first one that fits a pattern."""
        lines = [*new]
        text, count = re.subn(
            rf"(?m)^{line}$", lambda match: "\n".join([match[0], *lines]), self.text, count=1
        )
        self.text = text
        if not count:
            self.missing += lines

    def into_list(self, name: str, entries: Iterable[str]) -> None:
        """Put entries at the end of a list of texts."""
        # Of its two forms the one without a backslash, which stays an entry of a list to a later merge.
        quoted = [
            f"'{each}'" if '"' in each and "'" not in each else json.dumps(each, ensure_ascii=False)
            for each in entries
        ]
        lines = [f"    {each}," for each in quoted]
        pattern = rf"(?ms)^{name} = \[\n.*?(?=^\])"
        text, count = re.subn(
            pattern, lambda match: match[0] + "".join(f"{line}\n" for line in lines), self.text, count=1
        )
        self.text = text
        if not count:
            self.missing += lines

    def at_the_end(self, *lines: str) -> None:
        """Put a table at the end."""
        self.text = self.text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"


def join(
    text: str,
    teams: str,
    dependencies: Dependencies,
    tops: list[str],
    python: list[str],
    applied: str,
    has_tests: bool,
) -> Joined:
    """Return the template's pyproject.toml with what is the team's.

    Args:
        text: the template's.
        teams: the team's, empty if it has none.
        dependencies: the team's packages.
        tops: its modules and packages in src/.
        python: what of the repository is Python of the team's, as folders and files.
        applied: its last migration, which every environment has, empty if there is none.
        has_tests: whether it has tests of its own.
    """
    made = Joined(text)
    told = tomllib.loads(text)
    there = {}
    for line in told.get("project", {}).get("dependencies", []) + told.get("dependency-groups", {}).get(
        "dev", []
    ):
        there[canonicalize_name(Requirement(line).name)] = line
    for table, name in ((dependencies.ships, "dependencies"), (dependencies.develops, "dev")):
        new = [line for package, line in sorted(table.items()) if package not in there]
        made.into_list(name, new)
        made.added += new
        made.left |= {line: there[package] for package, line in table.items() if package in there}
    names = [top.removesuffix(".py") for top in tops]
    _lint(made, tops, names, python)
    warnings = [f'    "default:::{name}",' for name in names]
    made.text = made.text.replace(
        'filterwarnings = ["error"]',
        "\n".join(["filterwarnings = [", '    "error",', "    # Adopted code only warns.", *warnings, "]"]),
    )
    if has_tests:
        made.text = made.text.replace(
            'testpaths = ["tests", "ops/checks"]',
            '# Yours join by "tests", once they pass: make test ARGS=tests\ntestpaths = ["ops/checks"]',
        )
    if applied:
        made.at_the_end(
            "[tool.migrations]",
            "# What every environment has applied already is not asked whether it would stop a running version.",
            f"applied = {json.dumps(applied)}",
        )
    _bring_tables(made, teams, told.get("tool", {}))
    return made


def _lint(made: Joined, tops: list[str], names: list[str], python: list[str]) -> None:
    """Leave the team's code out of what the linters and mypy refuse, until the team takes it in."""
    rows = [f"    {json.dumps(each)}," for each in python]
    made.behind(
        re.escape('extend = "ops/ruff.toml"'),
        [
            "# Adopted: take a line out to have it linted, and formatted by make format.",
            "extend-exclude = [",
            *rows,
            "]",
        ],
    )
    patterns = [
        f"    {json.dumps(f'^src/{re.escape(top)}' + ('$' if top.endswith('.py') else '/'))}," for top in tops
    ]
    made.behind(
        re.escape('mypy_path = "src"'),
        ["# Adopted: take a line out to have it checked.", "exclude = [", *patterns, "]"],
    )
    modules = [
        module for name in names for module in ([name] if f"{name}.py" in tops else [name, f"{name}.*"])
    ]
    made.at_the_end("[[tool.mypy.overrides]]", f"module = {json.dumps(modules)}", 'follow_imports = "skip"')


def _bring_tables(made: Joined, teams: str, known: dict[str, object]) -> None:
    """Bring the tables of tools that the template knows nothing of, as they stand."""
    parts = re.split(r"(?m)^(?=\[)", teams)
    for part in parts:
        found = re.match(r"\[+tool\.\"?([\w-]+)", part)
        if found and found[1] not in _ENDED and found[1] not in known:
            text = made.text.rstrip("\n") + "\n\n" + part.rstrip() + "\n"
            try:
                tomllib.loads(text)
            except tomllib.TOMLDecodeError:
                made.missing.append(f"[tool.{found[1]}]")
            else:
                made.text = text
