"""One owner for each file of a generated service, and machinery where no team has to read it."""

import ast
import re
from pathlib import Path

import pytest
from conftest import Project
from house import ALTOGETHER, EXAMPLE, SHARE, TEMPLATES, UNMARKED, YOURS, fits, lines, owner, owners
from questions import template

FILE, MODULE, FACTORY, SERVER, README, TOOLS = 200, 115, 30, 60, 90, 30


def paths(project: Project) -> list[str]:
    return [str(file.relative_to(project.path)) for file in project.files()]


def table(project: Project) -> dict[str, list[str]]:
    return owners((project.path / "README.md").read_text())


def left_out(config: dict, project: Project) -> list[str]:
    """What copier.yml leaves out of an update of a service, each as a path."""
    context = project.answers | {"_copier_operation": "update"}
    rendered = [
        template(entry).render(context) for entry in config["_exclude"] if "_copier_operation" in entry
    ]
    return [line.strip().removeprefix("/") for text in rendered for line in text.splitlines() if line.strip()]


def test_the_readme_tells_the_owner_of_every_file(projects, config):
    """An update leaves out what the table says it leaves alone, and nothing else."""
    problems = []
    for name, project in projects.items():
        rows, alone = table(project), left_out(config, project)
        assert list(rows) == ["yours", "both", "written by a command", "the template's"]
        found = {path: owner(path, rows) for path in paths(project)}
        problems += [
            f"{name}: {path} is {whose}"
            for path, whose in found.items()
            if fits(path, *alone) != (whose in ("yours", "written by a command"))
        ]
        named = [pattern for whose in list(rows)[:-1] for pattern in rows[whose]]
        problems += [
            f"{name}: no file is {pattern}"
            for pattern in named
            if not any(fits(path, pattern) for path in found)
        ]
    assert problems == []


def test_a_file_says_whose_it_is(projects):
    """In its first line, behind what a format wants to stand before it; the example's files are read, not filled in."""
    problems = []
    for name, project in projects.items():
        rows = table(project)
        for path in paths(project):
            whose, text = owner(path, rows), (project.path / path).read_text(encoding="utf-8")
            head = "\n".join(text.splitlines()[:3])
            says = {"the template's": TEMPLATES, "yours": YOURS}.get(whose)
            if fits(path, *UNMARKED, *EXAMPLE) or not says:
                wrong = TEMPLATES in text or YOURS in head
            else:
                wrong = says not in head
            problems += [f"{name}: {path} is {whose}, and begins with {head!r}"] if wrong else []
    assert problems == []


def test_a_wrong_row_is_noticed(projects, config):
    rows = table(projects["default"])
    assert owner("Makefile", rows) == "the template's"
    rows["yours"].append("Makefile")
    assert owner("Makefile", rows) == "yours"
    assert not fits("Makefile", *left_out(config, projects["default"]))
    rows["both"].append("Makefile")
    with pytest.raises(ValueError, match="Makefile is in the rows yours and both"):
        owner("Makefile", rows)


def test_machinery_stands_where_no_team_reads_it(projects):
    """The bounds are those of the default service; `make bench BENCH_ARGS=lines` prints the figures."""
    counted = lines(projects["default"].path)
    assert counted["elsewhere"] / counted["there"] <= SHARE
    assert counted["altogether"] <= ALTOGETHER


def test_no_file_is_too_long_to_read(projects):
    long = []
    for project in projects.values():
        for file in project.files("*.py"):
            path = str(file.relative_to(project.path))
            limit = MODULE if fits(path, "src/parity") else SERVER if path == "gunicorn.conf.py" else FILE
            number = len(file.read_text().splitlines())
            long += [f"{path}: {number} lines, at most {limit}"] if number > limit else []
        for path, limit in (("README.md", README), ("ops/README.md", TOOLS)):
            number = len((project.path / path).read_text().splitlines())
            long += [f"{path}: {number} lines, at most {limit}"] if number > limit else []
    assert long == []


def test_the_factory_reads_like_a_list(projects):
    project = projects["default"]
    tree = ast.parse((project.path / "src/orders/__init__.py").read_text())
    (factory,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    body = factory.body[1:]
    assert body[-1].end_lineno - body[0].lineno < FACTORY
    # Whatever an extension wants to be told is told where it is bound.
    called = [node for node in ast.walk(factory) if isinstance(node, ast.Call)]
    assert max(len(call.args) + len(call.keywords) for call in called) <= 4


def imports(file: Path) -> set[str]:
    """The modules that a file of src/parity imports, those of its own package by their names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names} if node.module is None else {node.module}
            found |= {f"parity.{name}" for name in names} if node.level else names
    return found


def test_the_library_knows_nothing_of_the_service_and_has_no_circle(projects):
    for name, project in projects.items():
        folder, package = project.path / "src/parity", project.answers["package_name"]
        modules = {f"parity.{file.stem}": imports(file) for file in folder.glob("*.py")}
        assert not [
            module
            for module, imported in modules.items()
            for other in imported
            if other.partition(".")[0] == package
        ], name
        below: dict[str, set[str]] = {}
        while waiting := modules.keys() - below.keys():
            ready = {module for module in waiting if modules[module] & modules.keys() <= below.keys()}
            assert ready, f"a circle among {sorted(waiting)}"
            below |= {module: modules[module] for module in ready}


def test_no_shipped_check_knows_a_name(projects):
    """A check in ops/ needs no edit when a team adds a domain, a setting, a service or an extension of PostgreSQL."""
    project = projects["default"]
    names = [project.answers["package_name"], "/users", "user_id", "plpgsql", "worker"]
    told = [
        f"{path}: {name}"
        for path in paths(project)
        if fits(path, "ops/checks/*.py")
        for name in names
        if re.search(rf"{name}\b", (project.path / path).read_text())
    ]
    assert told == []
