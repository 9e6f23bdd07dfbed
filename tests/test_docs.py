"""The documents say what is so: this repository's, and those of every rendered service."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import module_from_spec, spec_from_file_location
from itertools import chain
from pathlib import Path

import pytest
import questions
from conftest import ROOT, Project

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("hooks/*.md")]
RENDERED = ("README.md", "AGENTS.md", "docs/*.md", "ops/README.md")

# Paths that a document names and nobody ships: examples, and what a team or a command writes.
EXAMPLES = {
    "../orders-demo",
    ".env",
    "ADOPTION.md",
    "UPDATE-v0.3.0.md",
    "refs/starter/undone",
    "starter.toml",
    "compose.project.override.yaml",
    "compose.project.test.yaml",
    "deploy/compose.project.yaml",
    "migrations/versions",
    "models.py",
    "routes.py",
    "schemas.py",
    "services/orders",
    "tasks.py",
    "src/*/mail.py",
}
# The commands of Flask and Flask-Migrate that the documents name.
FLASK = {"shell", "db upgrade", "db migrate"}

NO_FOLDER = re.compile(r"\.git|\.venv|\.hypothesis|\..*_cache|__pycache__")
SUFFIXES = r"py|md|ya?ml|toml|txt|mk|env|example|json|jinja|mako|ini|css|html|cfg|sh"
# A registry's name is no folder.
PATH = re.compile(
    rf"(?!/|ghcr\.io/)(?:[\w.*-]+/)*(?:[\w.*-]+/|[\w*-][\w.*-]*\.(?:{SUFFIXES})|(?<=/)[\w.*-]+|\.env[\w.]*)"
)
MAKE = re.compile(r"""\bmake((?: +(?:--?[\w-]+|[A-Z_]+=(?:"[^"]*"|\S+)|[a-z][a-z-]*))+)""")
COMMAND = re.compile(r"(?<!from )\bflask ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")
PROMISE = re.compile(r"\b(?:yet|so far|for now)\b", re.IGNORECASE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]  # fmt: skip
# How a document says that it speaks of another repository, as it was at a date.
ELSEWHERE = re.compile(r"\b[Rr]ead in (?:[A-Z][a-z]+ \d{4}|the(?:ir)? repositories)\b")
COUNT = re.compile(rf"\b({'|'.join(NUMBERS)}|\d+) (questions|sections|laws|dimensions)\b", re.IGNORECASE)


@dataclass(frozen=True)
class World:
    """What a document may speak of: paths and their ends, make targets, flask commands."""

    paths: frozenset[str]
    targets: frozenset[str]
    commands: frozenset[str]

    def __or__(self, other: "World") -> "World":
        """Both together."""
        return World(self.paths | other.paths, self.targets | other.targets, self.commands | other.commands)

    def has(self, path: str) -> bool:
        """Whether a path is there, or is an example."""
        path = path.rstrip("/")
        return (
            path in self.paths
            or any(fnmatch(path, example) for example in EXAMPLES)
            or ("*" in path and any(fnmatch(known, path) for known in self.paths))
        )


def world(folder: Path) -> World:
    """What there is in a folder."""
    paths, targets, commands = set(), set(), set()
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not NO_FOLDER.fullmatch(name)]
        for name in [*folders, *files]:
            parts = (Path(parent) / name).relative_to(folder).parts
            paths |= {"/".join(parts[start:]) for start in range(len(parts))}
        for file in (Path(parent) / name for name in files):
            if file.name == "Makefile" or file.suffix == ".mk":
                targets |= set(re.findall(r"^([a-z][a-z-]*):", file.read_text(), re.MULTILINE))
            if file.suffix == ".py" and "src" in file.parts:
                text = file.read_text()
                group = re.search(r'AppGroup\("([a-z-]+)"', text)
                for owner, name in re.findall(r'@(\w+)\.command\("([a-z-]+)"', text):
                    commands.add(name if owner == "click" else f"{group[1]} {name}")
    return World(frozenset(paths), frozenset(targets), frozenset(commands | FLASK))


def sections(text: str) -> list[str]:
    """A document's parts, each with its heading; what looks like a heading in a block of code is none."""
    found, fenced = [""], False
    for line in text.splitlines(keepends=True):
        fenced ^= line.lstrip().startswith("```")
        if line.startswith("#") and not fenced:
            found.append("")
        found[-1] += line
    return found


def claims(path: Path) -> str:
    """What a document says of this repository and its services, today.

    What was read in other repositories at a date is left out, and in the changelog the past.
    """
    text = path.read_text()
    if path.name == "CHANGELOG.md":
        text = without_column("was", text.partition("\n## Unreleased\n")[2].partition("\n## ")[0])
    return "".join(part for part in sections(text) if not ELSEWHERE.search(part))


def without_column(head: str, text: str) -> str:
    """A text whose tables lack the column with a head, if it is their first."""
    kept, drop = [], False
    for line in text.splitlines():
        drop = line.startswith("|") and (drop or line.startswith(f"| {head} |"))
        kept.append(f"|{line.split(' | ', 1)[1]}" if drop and " | " in line else line)
    return "\n".join(kept)


def parts(text: str) -> tuple[str, list[str], list[str]]:
    """A document's prose without code, its spans of code, and its blocks of code."""
    blocks = [
        block for _, block in re.findall(r"^ *(```+)[^\n]*\n(.*?)^ *\1$", text, re.MULTILINE | re.DOTALL)
    ]
    text = re.sub(r"^ *(```+)[^\n]*\n.*?^ *\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"^(?: {4,}.*\n?)+", text, re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]
    return re.sub(r"`[^`]+`", "", text), spans, blocks


def problems(text: str, known: World) -> Iterator[str]:
    """What a text says that is not so."""
    prose, spans, blocks = parts(text)
    cells = [cell.strip() for line in prose.splitlines() if line.startswith("|") for cell in line.split("|")]
    for path in [*spans, *cells]:
        if PATH.fullmatch(path) and not known.has(path):
            yield f"{path}: no such file or folder"
    for code in [*spans, *blocks]:
        for words in MAKE.findall(code):
            for target in re.findall(r"(?<!\S)[a-z][a-z-]*(?!\S)", re.sub(r'"[^"]*"', "", words)):
                if target not in known.targets:
                    yield f"make {target}: no such target"
        for group, name in COMMAND.findall(code):
            groups = {command.partition(" ")[0] for command in known.commands if " " in command}
            command = f"{group} {name}".strip() if group in groups else group
            if command not in known.commands | groups:
                yield f"flask {command}: no such command"
    for word in PROMISE.findall(prose):
        yield f"{word}: say what is so, or put it under Not tried"


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Relative links that lead nowhere, or to no heading."""
    for target in LINK.findall(parts(text)[0]):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = path.parent / file if file else path
        if not there.exists():
            yield f"{target}: leads nowhere"
        elif anchor and anchor not in anchors(there.read_text()):
            yield f"{target}: no such heading"


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to a document's headings."""
    heads = [part.partition("\n")[0].lstrip("# ") for part in sections(text)[1:]]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def laws(text: str) -> list[str]:
    """The laws that a table lists."""
    return re.findall(r"^\| (?:[a-z, ]+ \| \*\*)?(One [^.|]*?)(?:\.\*\*| \|)", text, re.MULTILINE)


def wrong_counts(text: str, counts: dict[str, int]) -> Iterator[str]:
    """Numbers of things that are not as many."""
    for number, what in COUNT.findall(text):
        said = NUMBERS.index(number.lower()) if number.lower() in NUMBERS else int(number)
        if said != counts[what.lower()]:
            yield f"{number} {what}: there are {counts[what.lower()]}"
    for total in re.findall(r"\[\d+/(\d+) ", text):
        if int(total) != counts["sections"]:
            yield f"[…/{total} …]: there are {counts['sections']} sections"


@pytest.fixture(scope="session")
def worlds(projects: dict[str, Project]) -> dict[str, World]:
    """What there is in each rendered service."""
    return {name: world(project.path) for name, project in projects.items()}


@pytest.fixture(scope="session")
def everything(worlds: dict[str, World]) -> World:
    """What there is in this repository, or in a service of any answers."""
    whole = world(ROOT)
    for service in worlds.values():
        whole |= service
    return whole


@pytest.fixture(scope="session")
def counts() -> dict[str, int]:
    """How many there are of what the documents count."""
    asked = questions.asked().values()
    headings = {question["help"].partition("]")[0] for question in asked}
    scorecard = (ROOT / "docs" / "parity.md").read_text().partition("| dimension |")[2].partition("\n\n")[0]
    return {
        "questions": len(asked),
        "sections": len(headings),
        "laws": len(laws((ROOT / "README.md").read_text())),
        "dimensions": len(scorecard.splitlines()) - 2,
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_says_what_is_so(document, everything, counts):
    text = claims(document)
    links = broken_links(document, document.read_text())
    said = (problems(text, everything), wrong_counts(text, counts), links)
    assert [*chain(*said)] == []


def test_a_service_says_what_is_so(projects, worlds):
    """Of itself: with other answers there are other files and commands."""
    found = []
    for name, project in projects.items():
        documents = project.files(*RENDERED)
        assert len(documents) > 2
        for document in documents:
            text = document.read_text()
            for problem in (*problems(text, worlds[name]), *broken_links(document, text)):
                found.append(f"{name}: {document.relative_to(project.path)}: {problem}")
    assert found == [], "\n".join(found)


def test_an_assistant_is_told_in_a_page(projects):
    for project in projects.values():
        assert len((project.path / "AGENTS.md").read_text().splitlines()) <= 30


def test_raw_requests_are_answered_as_their_test_has_it():
    specification = spec_from_file_location("raw_http", ROOT / "tests/inside/test_raw_http.py")
    raw = module_from_spec(specification)
    specification.loader.exec_module(raw)
    rows = [f"| {name} | {', '.join(map(str, statuses))} |" for name, (_, statuses) in raw.BATTERY.items()]
    assert "\n".join(["| --- | --- |", *rows, ""]) in (ROOT / "docs/faults.md").read_text()


def test_both_tables_have_the_same_laws():
    readme, parity = (laws((ROOT / name).read_text()) for name in ("README.md", "docs/parity.md"))
    assert readme == parity
    assert len(readme) > 6


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("`bin/swarm` deploys.", "bin/swarm: no such file or folder"),
        ("| `parity.py` | the contract |", "parity.py: no such file or folder"),
        ("| deploy/README.md | the guide |", "deploy/README.md: no such file or folder"),
        ("`deploy/*.toml`", "deploy/*.toml: no such file or folder"),
        ("`make lock\nsetings`", "make setings: no such target"),
        ('```console\nmake accept KEY=a BECAUSE="It is so" agian\n```\n', "make agian: no such target"),
        ("Then:\n\n    make --silent tokn NAME=alice\n", "make tokn: no such target"),
        ("`flask parity look`", "flask parity look: no such command"),
        ("`flask tokens alice`", "flask tokens: no such command"),
        ("```console\nflask db upgrad\n```", "flask db upgrad: no such command"),
        ("It is not deployed yet.", "yet: say what is so, or put it under Not tried"),
        ("`hooks/` is empty so far.", "so far: say what is so, or put it under Not tried"),
    ],
)
def test_what_is_not_so_is_found(everything, text, problem):
    assert [*problems(text, everything)] == [problem]


def test_what_is_so_is_not(everything, counts):
    text = '`ops/swarm`, `users/routes.py`, `docs/*.md`; `make test ARGS="-k a"`, `flask parity check`; `/readyz`, `a/…`.'
    assert [*problems(text, everything)] == []
    assert [*wrong_counts("Twelve questions, [1/4 Identity], eight laws.", counts)] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[The guide](deploy/README.md)", "deploy/README.md: leads nowhere"),
        ("[What you get](README.md#what-you-lose)", "README.md#what-you-lose: no such heading"),
        ("[Above](#above)", "#above: no such heading"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(text, problem):
    assert [*broken_links(ROOT / "CONTRIBUTING.md", text)] == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Seven laws keep them closed.", "Seven laws: there are 8"),
        ("It asks 11 questions.", "11 questions: there are 12"),
        ("A help begins with `[2/3 Runtime]`.", "[…/3 …]: there are 4 sections"),
    ],
)
def test_a_wrong_number_is_found(counts, text, problem):
    assert [*wrong_counts(text, counts)] == [problem]


def test_the_past_and_other_repositories_are_left_out(tmp_path):
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(
        "# Changelog\n\n## Unreleased\n\n| was | is |\n| --- | --- |\n| `bin/a` | `ops/a` |\n\nNew.\n\n## v0.1.0\n\nOld.\n"
    )
    said = claims(changelog)
    assert "ops/a" in said
    assert "New." in said
    assert "bin/a" not in said
    assert "Old." not in said
    page = tmp_path / "page.md"
    page.write_text(
        "# Ours\n\nOne.\n\n## Theirs\n\nRead in May 2026.\n\n```sh\n# Two\n```\n\n## Ours again\n\nThree.\n"
    )
    assert re.findall("One|Two|Three", claims(page)) == ["One", "Three"]
