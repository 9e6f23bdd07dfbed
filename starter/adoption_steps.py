"""What an adoption leaves to a team, in the order in which it is done."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .adoption_code import outside, refused, relative, route, routes
from .kept_aside import carry

if TYPE_CHECKING:
    from .adoption import Adoption

# What runs or builds the application elsewhere.
_RUNS = re.compile(
    r"\.github/workflows/|\.gitlab-ci|\.circleci/|\.ebextensions/|(?:.+/)?Dockerfile[^/]*$|Procfile|fly\.toml|app\.ya?ml"
    r"|render\.yaml|[\w-]+\.sh$"
)


@dataclass
class Step:
    """A thing that is left to a person: what, and what is to be known for it, a line each."""

    title: str
    details: list[str] = field(default_factory=list)


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
        f"{place} is not where your code looks, or not in the image: move it." for place in outside(adoption)
    ]
    told += [
        f"{place} is looked for in the folder that the server runs in, `/app`, and not in `src`."
        for place in relative(adoption)
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
    yield from _aside(adoption)
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
    packages = {*adoption.found.dependencies.ships}
    if adoption.plan.alembic or {"sqlalchemy", "flask-sqlalchemy", "flask-migrate", "alembic"} & packages:
        yield Step(
            "Let your models be the service's: `db` of `extensions.py` in place of your own, a module at a time.",
            [
                "Until then, `make migration` leaves your tables alone, as its checks do (`is_ours` in `project.py`)."
            ],
        )


def _other_services(adoption: "Adoption") -> dict[str, str]:
    return {
        name: str(service["image"])
        for name, service in adoption.found.services.items()
        if service.get("image") and not re.search(r"postgres|postgis|redis|valkey", str(service["image"]))
    }


def _aside(adoption: "Adoption") -> Iterator[Step]:
    said: dict[str, list[str]] = {}
    for path, target in sorted(adoption.plan.aside.items()):
        said.setdefault(carry(path), []).append(f"`{target}`")
    for what, targets in said.items():
        them = "it" if len(targets) == 1 else "them"
        yield Step(f"Read {', '.join(targets)}, carry over what is yours, and delete {them}: {what}.")


def _checks(adoption: "Adoption") -> Iterator[Step]:
    told = [f"{place}." for place in refused(adoption)]
    yield Step("Run `make test`, and change what its checks refuse in your code.", told)
    if any(
        re.search(r"(?:^|/)(?:tests?|test_\w+|\w+_tests?)(?:\.py$|/.*\.py$)", path) for path in adoption.teams
    ):
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
    own = [path for path in adoption.teams if _RUNS.match(path) and path not in adoption.plan.aside]
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
