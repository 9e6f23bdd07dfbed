"""What is to be carried over of the files that an adoption keeps aside."""

from fnmatch import fnmatchcase

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


def carry(path: str) -> str:
    """Return what is to be carried over of a file."""
    return next(
        (said for pattern, said in CARRY.items() if fnmatchcase(path, pattern)), "what is yours in it"
    )
