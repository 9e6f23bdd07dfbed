"""What an adoption leaves to a team, in the order in which it is done."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .modules import constants

if TYPE_CHECKING:
    from .adopting import Adoption

# What is to be carried over of a file that is kept aside, by its path there.
CARRY = {
    "Dockerfile": "its Debian packages are in `apt.txt`. What else it sets (`ENV`, an entrypoint, files that it copies) has to "
    "find a place: a setting, a file in `src/`, or the service's own command in `compose.project.yaml`",
    "*compose*.y*ml": "services of your own go into `compose.project.yaml`, differences of one environment into "
    "`compose.project.override.yaml`; PostgreSQL, the cache server and the web server are in `compose.yaml`",
    ".dockerignore": "what enters the image is named in the template's",
    "Makefile": "targets of yours go into `project.mk`, and `CHECKS += name` has CI run one",
    "pyproject.toml": "its packages are in the new one, as the table below has them; a `[project.scripts]`, an index or a "
    "source of packages (`[tool.uv]`) is not",
    "gunicorn.conf.py": "numbers of processes and threads are the settings `WEB_CONCURRENCY` and `WEB_THREADS`",
    "conftest.py": "fixtures of yours go into `tests/conftest.py`",
    "*env.py": "schemas, filters and types that it tells Alembic of; the template's asks the models of "
    "`extensions.py` alone",
    "*alembic.ini": "nothing, unless you have changed how files are named",
    "*script.py.mako": "nothing, unless you have changed what a new migration looks like",
    ".env.example": "`make settings` writes the new one, from the fields in `settings.py`",
    "requirements*": "its packages are in `pyproject.toml`, and `make lock` writes the lock",
    "Pipfile*": "its packages are in `pyproject.toml`, and `make lock` writes the lock",
    "*.lock": "the lock is `requirements.txt` now, which `make lock` writes",
    ".python-version": "Python's version stands in the `Dockerfile`",
    "runtime.txt": "Python's version stands in the `Dockerfile`",
    "*ruff.toml": "rules of yours go into `[tool.ruff.lint]` in `pyproject.toml`",
    "*mypy.ini": "options of yours go into `[tool.mypy]` in `pyproject.toml`",
    "*pytest.ini": "options of yours go into `[tool.pytest.ini_options]` in `pyproject.toml`",
    "setup.*": "its packages are in `pyproject.toml`; nothing installs the service as a package",
    "docs/*": "what is yours in it, under a name of your own",
}
# What the template's checks refuse in code, and what to do instead.
REFUSED = {
    r"(?i)\bsqlite": "another database than PostgreSQL: read `DATABASE_URL`",
    r"\bcreate_all\b": "tables that no migration makes: write one (`flask db`), and take this out",
    r"\b(?:app|application|create_app\([^)\n]*\))\.run\(": "another server than gunicorn: take it out",
}


@dataclass
class Step:
    """A thing that is left to a person: what, and what is to be known for it, a line each."""

    title: str
    details: list[str] = field(default_factory=list)


def carry(path: str) -> str:
    """Return what is to be carried over of a file."""
    return next(
        (said for pattern, said in CARRY.items() if fnmatchcase(path, pattern)), "what is yours in it"
    )


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


def steps(adoption: "Adoption") -> Iterator[Step]:
    """Yield what is left, in order."""
    files, found = adoption.files, adoption.found
    told = [
        "It compiles the lock of your packages and the template's. Where they cannot be together, it says which: move a bound."
    ]
    told += [
        f"`{mine}` was yours, and the template has `{its}`: read what has changed between."
        for mine, its in files.project.left.items()
    ]
    yield Step("Run `make lock`, and commit `requirements.txt` and `requirements-dev.txt`.", told)
    yield from _settings(adoption)
    told = [f"`{found.application}` answers whatever the new application has no route for."]
    if any(".cli" in text for text in found.sources.values()):
        told.append(f"Its commands: `docker compose exec web flask --app {found.application.module} …`.")
    told += [
        f"`{place}` is read from the folder that the server runs in, `/app`, and not from `src`."
        for place in _relative(adoption)
    ]
    told += [
        f"`{path}` is a route of the template's, which is served in place of yours: give yours another path."
        for path in routes(adoption)
        if path in ("/docs", "/livez", "/metrics", "/openapi.json", "/parity", "/readyz")
    ]
    yield Step(
        f"Run `make up`, and open your own routes at the address that it prints, such as `{route(adoption)}`.",
        told,
    )
    yield from _database(adoption)
    if files.workers:
        names = ", ".join(f"`{name}`" for name in files.workers)
        yield Step(f"See that your jobs run: {names} in `compose.project.yaml` do what your worker did.")
    if others := _other_services(adoption):
        told = [f"`{name}`: `{image}`" for name, image in others.items()]
        yield Step("Bring the other services that you had into `compose.project.yaml`.", told)
    for path in adoption.plan.aside:
        yield Step(
            f"Read `{adoption.plan.aside[path]}`, carry over what is yours, and delete it: {carry(path)}."
        )
    yield from _checks(adoption)
    yield from _pipeline(adoption)
    yield Step(
        f"Decide what `parity.toml` accepts of your servers, before its entries end on {adoption.until}.",
        [
            "`make parity` says what differs; in an environment that was there before, run `flask parity check`."
        ],
    )
    if adoption.ignored:
        told = [f"`{path}`" for path in adoption.ignored]
        yield Step(
            "Take out of `.gitignore` what hides these: they are committed, and a change of them is not seen by `git add`.",
            told,
        )
    yield Step("Delete `ADOPTION.md` and the folder `adopted`, and merge this branch.")


def _settings(adoption: "Adoption") -> Iterator[Step]:
    files = adoption.files
    told = [
        f"`{each.name}`, read in {each.where}, has no default there: its example in `settings.py` is for development, and `.env` "
        "may have another."
        for each in files.settings
        if each.required
    ]
    told += [
        f"`{each.name}`, read in {each.where}, is a setting of the template's too: both get the same value."
        for each in files.shared
    ]
    told += [
        f"`{each.name}`, read in {each.where}, cannot be a field: give it in `compose.project.override.yaml`."
        for each in files.odd
    ]
    if files.settings:
        yield Step(
            "Run `make settings`, which has the containers get your variables, and commit what it writes.",
            told,
        )
    elif told:
        yield Step("Look at the variables that your code reads.", told)


def _relative(adoption: "Adoption") -> Iterator[str]:
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
                    yield f"{text}` in `{adoption.plan.moved.get(path, path)}:{node.lineno}"


def _database(adoption: "Adoption") -> Iterator[Step]:
    files = adoption.files
    if files.sqlite:
        told = [
            f"Named in {', '.join(files.sqlite[:5])}.",
            "Where it is used, it stays what it is: a file, in a container that is read-only but for `/tmp` and Flask's instance "
            "folder, which begins empty at each start (`compose.project.override.yaml`). A file elsewhere cannot be written.",
            "`DATABASE_URL` names PostgreSQL in every environment, so code that reads it uses PostgreSQL from now on.",
        ]
        yield Step("Decide when PostgreSQL takes SQLite's place.", told)
    if len(files.heads) > 1:
        yield Step(
            f"Your migrations have {len(files.heads)} heads, {', '.join(files.heads)}: run `make merge`."
        )
    told = [
        "Until then, `make migration` leaves your tables alone, and so do its checks (`project.py`, `is_ours`)."
    ]
    yield Step(
        "Let your models be the service's: `db` of `extensions.py` in place of your own, a module at a time.",
        told,
    )


def _other_services(adoption: "Adoption") -> dict[str, str]:
    return {
        name: str(service["image"])
        for name, service in adoption.found.services.items()
        if service.get("image") and not re.search(r"postgres|postgis|redis|valkey", str(service["image"]))
    }


def _checks(adoption: "Adoption") -> Iterator[Step]:
    told = []
    moved = {**adoption.plan.moved}
    for path, _ in adoption.found.modules.of_the_application():
        lines = adoption.found.sources[path].splitlines()
        for pattern, remedy in REFUSED.items():
            at = [number for number, line in enumerate(lines, 1) if re.search(pattern, line)]
            told += [f"`{moved.get(path, path)}`, line {at[0]}: {remedy}."] if at else []
    yield Step("Run `make test`, and change what its checks refuse in your code.", told)
    if any(path.startswith("tests/") for path in moved.keys() | {*adoption.teams}):
        yield Step(
            "Run your own tests by `make test ARGS=tests`, and let `make test` have them: `testpaths` in `pyproject.toml`.",
            [
                "They run in the image, on PostgreSQL, and warnings are errors. Files outside of `tests` are not in the image."
            ],
        )
    yield Step(
        "Have your code linted and type-checked, a module at a time: take it out of `extend-exclude` and `exclude` in `pyproject.toml`.",
    )
    yield Step("Run `make check`: it is green when CI is.")


def _pipeline(adoption: "Adoption") -> Iterator[Step]:
    own = [
        path
        for path in adoption.teams
        if re.match(
            r"\.github/workflows/|\.gitlab-ci|\.circleci/|Procfile|fly\.toml|app\.ya?ml|render\.yaml", path
        )
    ]
    if own:
        told = [
            f"`{adoption.plan.moved.get(path, path)}` stays as it was: paths in it may have moved."
            for path in own
        ]
        yield Step("See what your own pipeline and your host still do.", told)
    if adoption.prefix:
        yield Step("Run `make workflows`: GitHub reads workflows in the repository's root alone.")
    if adoption.answers.get("deployment") == "none":
        yield Step(
            "Decide where it is deployed.",
            [
                "Nothing is by the template: `starter update -d deployment=swarm`, or `kubernetes`, brings that when you want it."
            ],
        )
