"""The static contract test of a generated service: green as generated, red when the repository leaves the contract."""

import importlib.util
import inspect
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from conftest import Project

TEST = Path("tests") / "test_parity_static.py"


@pytest.fixture(scope="session")
def rules(projects) -> dict[str, ModuleType]:
    """The static tests, imported, and what they read the files with."""
    names = ("repository", TEST.stem, "test_delivery")
    for name in names:
        spec = importlib.util.spec_from_file_location(name, projects["default"].path / "tests" / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture
def problems(rules, monkeypatch) -> Callable[[Path], list[str]]:
    """What the static test finds in a folder; what needs the image is for the service tier."""
    reader, *tests = rules.values()

    def look(path: Path) -> list[str]:
        monkeypatch.setattr(reader, "ROOT", path)
        for function in (reader.text, reader.files, reader.stack, reader.instructions, reader.settings):
            function.cache_clear()
        found = []
        for name, function in (
            pair for test in tests for pair in inspect.getmembers(test, inspect.isfunction)
        ):
            if name.startswith("test_"):
                try:
                    function()
                except (AssertionError, pytest.fail.Exception) as failure:
                    found += str(failure).splitlines()
        return found

    return look


@pytest.fixture
def broken(projects, tmp_path) -> Path:
    """A copy of the default service, to break."""
    return shutil.copytree(projects["default"].path, tmp_path / "service")


def change(file: Path, before: str, after: str) -> None:
    """Replace what a file says, its last line if nothing is named; a file that is not there is written."""
    if not before:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + after)
        return
    text = file.read_text()
    assert before in text, f"{file} does not say {before!r}"
    file.write_text(text.replace(before, after, 1))


def test_every_generated_service_keeps_its_contract(projects: dict[str, Project], problems):
    assert {name: problems(project.path) for name, project in projects.items()} == {
        name: [] for name in projects
    }


def test_pytest_runs_it_in_three_seconds_and_says_what_it_left_out(projects):
    # The packages of a service are not here, which conftest.py imports.
    command = [sys.executable, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider"]
    command += ["tests/test_parity_static.py", "tests/test_parity_image.py"]
    environment = os.environ | {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=projects["default"].path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = re.search(r"\d+ passed, 3 skipped in ([\d.]+)s", done.stdout)
    assert "only in the container of `make test`" in done.stdout
    assert float(summary[1]) < 3


OVERRIDE, TESTS, EDITOR = "compose.override.yaml", "compose.test.yaml", ".devcontainer/compose.yaml"
CI, ENV, ACCEPTED = ".github/workflows/ci-cd.yml", ".env.example", ".grype.yaml"
JOB = "    runs-on: ubuntu-latest\n"
SERVICE = JOB + "    services:\n      db:\n        image: {}\n"
SETUP_UV = "      - name: Set up uv\n        uses: astral-sh/setup-uv@5fda3b95 # v7.0.0\n        with:\n          version: '0.12'\n"
POSTGRES, CACHE = (
    r"but compose.yaml:\d+ has postgres 18: write that",
    r"but compose.yaml:\d+ has redis 8: write that",
)
PYTHON, UV = (
    r"but Dockerfile:\d+ has python 3.14-slim: write that",
    r"but Dockerfile:\d+ has uv 0.13: write that",
)
WHY = "to another value than compose.yaml, without a reason: say why in a comment directly above it"
SAME = "this is the same in every environment, so take it out"
BESIDE = "services:\n  # {0}\n  {0}:\n    # Why not.\n    {1}\n"

# The file, what it says, what it says instead (at its end, if there was nothing), and the message about that line.
BREAKAGES = [
    # a. Versions
    (CI, JOB, SERVICE.format("postgres:17"), f"names postgres 17, {POSTGRES}"),
    (CI, JOB, SERVICE.format("postgres:18-alpine"), f"names postgres 18-alpine, {POSTGRES}"),
    (CI, JOB, SERVICE.format("postgres:latest"), f"names postgres latest, {POSTGRES}"),
    (CI, JOB, SERVICE.format("postgres"), f"names postgres without a version, {POSTGRES}"),
    (CI, JOB, SERVICE.format("'mirror.example:5000/library/redis:7.4'"), f"names redis 7.4, {CACHE}"),
    (CI, JOB, f"{JOB}    env:\n      UV_VERSION: 0.12.1\n", f"names UV 0.12.1, {UV}"),
    (CI, "      - name: Lint\n", SETUP_UV + "      - name: Lint\n", f"names uv 0.12, {UV}"),
    (
        CI,
        JOB,
        f"{JOB}    strategy:\n      matrix: {{python-version: ['3.14', '3.13']}}\n",
        rf"names python \['3.14', '3.13'\], {PYTHON}",
    ),
    (CI, JOB, f"{JOB}    env:\n      POSTGRES_VERSION: '17'\n", f"names POSTGRES 17, {POSTGRES}"),
    (
        ".devcontainer/Dockerfile",
        "",
        "FROM mcr.example/devcontainers/python:3.12\n",
        f"names python 3.12, {PYTHON}",
    ),
    (
        ".devcontainer/devcontainer.json",
        '"features": {',
        '"features": {\n    "ghcr.io/devcontainers/features/python:1": {},',
        f"names python 1, {PYTHON}",
    ),
    (
        "deploy/compose.yaml",
        "",
        "services:\n  # Elsewhere.\n  queue:\n    image: redis:7\n",
        f"names redis 7, {CACHE}",
    ),
    ("deploy/install.sh", "", "curl https://astral.sh/uv/0.12.1/install.sh | sh\n", f"names uv 0.12.1, {UV}"),
    (".python-version", "", "3.13\n", f"names python 3.13, {PYTHON}"),
    (".tool-versions", "", "python 3.13.2\n", f"names python 3.13.2, {PYTHON}"),
    ("pyproject.toml", ">=3.14", ">=3.13", f"names python 3.13, {PYTHON}"),
    (
        "pyproject.toml",
        "line-length = 110\n",
        'line-length = 110\ntarget-version = "py313"\n',
        f"names py 313, {PYTHON}",
    ),
    (
        "pyproject.toml",
        "[tool.mypy]\n",
        '[tool.mypy]\npython_version = "3.13"\n',
        f"names python 3.13, {PYTHON}",
    ),
    ("Dockerfile", "lib/python3.14/", "lib/python3.13/", f"names python 3.13, {PYTHON}"),
    ("README.md", "", "It needs PostgreSQL 16.\n", f"names PostgreSQL 16, {POSTGRES}"),
    ("docs/cache.md", "", "The queue is in Redis 7.2.\n", f"names Redis 7.2, {CACHE}"),
    (
        "Makefile",
        "",
        "\ntools:\n\tapt-get install postgresql-client-16\n",
        f"names postgresql 16, {POSTGRES}",
    ),
    # b. Overlays
    (
        OVERRIDE,
        "    # The server, started again when a file in src/ changes.\n",
        "",
        f"sets command of the service web {WHY}",
    ),
    (OVERRIDE, "      # The one in DATABASE_URL.\n", "", f"sets environment of the service postgres {WHY}"),
    (
        OVERRIDE,
        "  # The shipped image with the development packages on top: the reloader, the tests, the linters.\n",
        "",
        f"sets << of the service web {WHY}",
    ),
    (
        TESTS,
        "    # Thrown away with the tests: not worth a disk's wait.\n",
        "",
        f"sets volumes of the service postgres {WHY}",
    ),
    (
        TESTS,
        "\n  migrate:\n",
        "\n  mail:\n    image: mailpit\n\n  migrate:\n",
        f"sets image of the service mail {WHY}",
    ),
    (
        EDITOR,
        "    # An editor installs its own server in the container.\n",
        "",
        f"sets read_only of the service web {WHY}",
    ),
    ("deploy/compose.yaml", "", "services:\n  web:\n    init: true\n", f"sets init of the service web {WHY}"),
    (
        OVERRIDE,
        "",
        "  redis:\n    # Smaller.\n    image: redis:8\n",
        f"sets image of the service redis to redis:8, compose.yaml has redis:8: {SAME}",
    ),
    (
        "compose.staging.yaml",
        "",
        BESIDE.format("web", "user: root"),
        f"sets user of the service web to root, compose.yaml has nothing of its own: {SAME}",
    ),
    (
        "compose.staging.yaml",
        "",
        BESIDE.format("web", "read_only: false"),
        f"sets read_only of the service web to false, compose.yaml has true: {SAME}",
    ),
    (
        "compose.staging.yaml",
        "",
        BESIDE.format("worker", "cap_add: [NET_RAW]"),
        rf"sets cap_add of the service worker to \[NET_RAW\], compose.yaml has nothing of its own: {SAME}",
    ),
    (
        "compose.staging.yaml",
        "",
        BESIDE.format("worker", "cap_drop: []"),
        rf"sets cap_drop of the service worker to \[\], compose.yaml has \[ALL\]: {SAME}",
    ),
    (
        "deploy/compose.yaml",
        "",
        BESIDE.format("postgres", "privileged: true"),
        f"sets privileged of the service postgres to true, compose.yaml has nothing of its own: {SAME}",
    ),
    (
        EDITOR,
        "",
        "    # Why not.\n    security_opt: []\n",
        r"sets security_opt of the service web to \[\], compose.yaml has \[\"no-new-privileges:true\"\]: "
        + SAME,
    ),
    (
        TESTS,
        '    restart: "no"\n',
        '    user: root\n    restart: "no"\n',
        f"sets user of the service test to root, compose.yaml has nothing of its own: {SAME}",
    ),
    (
        OVERRIDE,
        "worker --without-gossip --without-mingle",
        "worker --without-gossip",
        "has the service worker run `celery .*--without-gossip`, compose.yaml:\\d+ `celery .*--without-gossip --without-mingle`: write the same words",
    ),
    (
        OVERRIDE,
        "python, gunicorn, src",
        "python, gunicorn --workers 1, src",
        r"has the service web run `gunicorn --workers 1`, Dockerfile:\d+ `gunicorn`: write the same words",
    ),
    (
        "deploy/compose.yaml",
        "",
        BESIDE.format("migrate", "command: flask db stamp"),
        r"has the service migrate run `flask db stamp`, compose.yaml:\d+ `flask db upgrade`: write the same words",
    ),
    # c. Stand-ins
    (
        "Makefile",
        "",
        "\nserve:\n\tflask --app orders run --debug\n",
        r"has 'flask --app orders run', a server other than .*: start the image's own command",
    ),
    (
        OVERRIDE,
        "[watchfiles, --filter, python, gunicorn, src]",
        "[flask, run]",
        r"has 'flask, run', a server other than .*: start the image's own command",
    ),
    (
        "deploy/compose.yaml",
        "",
        BESIDE.format("debug", "command:\n      - flask\n      - run"),
        r"has 'flask\\n +- run', a server other than",
    ),
    (
        "src/orders/wsgi.py",
        "",
        'if __name__ == "__main__":\n    app.run(debug=True)\n',
        r"has 'app.run\(', a server other than",
    ),
    (
        "pyproject.toml",
        '    "structlog',
        '    "waitress>=3",\n    "structlog',
        "has 'waitress', a server other than",
    ),
    (CI, "run: make build", "run: uvicorn orders.wsgi:app", "has 'uvicorn', a server other than"),
    (
        "tests/conftest.py",
        "    app = create_app()\n",
        "    app = create_app()\n    db.create_all()\n",
        "has 'create_all', a schema other than .*: let `flask db upgrade` make it",
    ),
    ("migrations/env.py", "", "metadata.create_all()\n", "has 'create_all', a schema other than"),
    (
        "tests/conftest.py",
        "",
        'URL = "sqlite://"\n',
        "has 'sqlite', a database other than .*: use the DATABASE_URL",
    ),
    ("bin/seed", "", "#!/usr/bin/env python\nimport sqlite3\n", "has 'sqlite', a database other than"),
    (
        "tests/conftest.py",
        "",
        "import fakeredis\n",
        "has 'fakeredis', a stand-in for the cache server .*: use the REDIS_URL",
    ),
    (
        TESTS,
        "  API_TOKENS: test:",
        "  REDIS_URL: memory://\n  API_TOKENS: test:",
        "has 'memory://', a stand-in for the cache server",
    ),
    (
        "src/orders/__init__.py",
        '"RedisCache"',
        '"SimpleCache"',
        "has 'SimpleCache', a stand-in for the cache server",
    ),
    (
        "tests/conftest.py",
        "",
        "app.conf.task_always_eager = True\n",
        "has 'always_eager', a stand-in for the cache server",
    ),
    # d. Variables
    (
        "src/orders/config.py",
        "    log_level: ",
        '    sentry_dsn: str = ""\n    log_level: ',
        r"has the setting SENTRY_DSN, .env.example has none of that name: add it there",
    ),
    (
        "src/orders/config.py",
        "    log_level: ",
        '    sentry_dsn: str = ""\n    log_level: ',
        r"has the setting SENTRY_DSN, compose.yaml \(x-service\) has none of that name: add it there",
    ),
    (
        ENV,
        "",
        "#SENTRY_DSN=\n",
        "names SENTRY_DSN, src/orders/config.py has no setting of that name: add it to the class Settings, or take it out",
    ),
    (
        "compose.yaml",
        "    RATE_LIMIT:\n",
        "    RATE_LIMIT:\n    SENTRY_DSN:\n",
        "names SENTRY_DSN, src/orders/config.py has no setting of that name",
    ),
    (
        "deploy/production.env",
        "",
        "RATE_LIMITS=10 per minute\n",
        "names RATE_LIMITS, src/orders/config.py has no setting of that name",
    ),
    (
        "deploy/compose.yaml",
        "",
        "services:\n  web:\n    environment:\n      # Less.\n      RATE_LIMITS: 10 per minute\n",
        "names RATE_LIMITS, src/orders/config.py has no setting of that name",
    ),
    # g. What the Dockerfile alone shows
    (
        "Dockerfile",
        "FROM production AS development\n",
        "FROM production AS development\nUSER root\n",
        r"sets USER root, Dockerfile:\d+ has USER 10001:10001: take it out",
    ),
    # h. The workflow
    (
        CI,
        "run: make lint",
        "run: pip install ruff && ruff check",
        r"runs 'pip install ruff && ruff check', Makefile:\d+ has the targets: make it one `make TARGET`",
    ),
    (
        CI,
        "run: make build",
        "run: make lint",
        r"runs make lint, make lint, make test, Makefile:\d+ \(`make check`\) make build, make lint, make test: write the same steps",
    ),
    (
        CI,
        "        run: make build\n",
        "        run: make build lint\n",
        r"runs 'make build lint', Makefile:\d+ has the targets",
    ),
    # i. The way to production
    (
        CI,
        "      packages: read  # the layers",
        "      packages: write  # the layers",
        "gives the job test a permission to write, and a pull request reaches it: take it out",
    ),
    (
        CI,
        "        run: make lint\n",
        "        run: make lint\n        env:\n          TOKEN: ${{ secrets.TOKEN }}\n",
        "gives the job test a secret, and a pull request reaches it: take it out",
    ),
    (
        CI,
        "        run: make publish\n",
        "        run: make publish\n      - name: Build\n        run: make build\n",
        "has the job publish run `make build`, which builds another image than the one that was tested",
    ),
    (
        CI,
        "    name: Deploy to staging\n    needs: [publish, scan]\n",
        "    name: Deploy to staging\n    needs: publish\n",
        "has the job staging deploy an image that the job scan may still refuse: let it need scan",
    ),
    (
        CI,
        "  pull_request:\n",
        "  pull_request_target:\n",
        "runs for pull_request_target, which gives the repository's secrets to anybody's code: use pull_request",
    ),
    (
        ACCEPTED,
        "ignore: []",
        'ignore:\n  - vulnerability: CVE-2026-1\n    reason: "until 2026-01-31: not reached"',
        "accepts CVE-2026-1 until 2026-01-31, which is over: update what has it, or say until when and why again",
    ),
    (
        ACCEPTED,
        "ignore: []",
        "ignore:\n  - vulnerability: CVE-2026-1\n    reason: not reached",
        'accepts CVE-2026-1 without a day and a reason: write reason: "until',
    ),
    (
        ACCEPTED,
        "ignore: []",
        "ignore:\n  - vulnerability: CVE-2026-1",
        'accepts CVE-2026-1 without a day and a reason: write reason: "until',
    ),
    (
        ACCEPTED,
        "ignore: []",
        'ignore:\n  - fix-state: fixed\n    reason: "until 2999-12-31: all"',
        "accepts findings without a name: name each with vulnerability: CVE-…",
    ),
    (
        "compose.yaml",
        "\nvolumes:\n",
        "\n  beat:\n    image: debian:13\n\nvolumes:\n",
        "has the service beat, which is not deployed: name it in bin/swarm, in services if it runs the application's image",
    ),
    (
        "deploy/compose.swarm.yaml",
        "    deploy: *kept\n",
        "",
        r"does not say how Swarm replaces postgres, compose.yaml:\d+ has it: give it deploy",
    ),
    (CI, JOB, f"{JOB}    container: debian\n", "has 'container', compose.yaml the services: take it out"),
]


@pytest.mark.parametrize(
    ("name", "before", "after", "message"),
    BREAKAGES,
    ids=[f"{name}: {message.split(',')[0]}" for name, _, _, message in BREAKAGES],
)
def test_a_break_is_told_with_its_line(broken, problems, name, before, after, message):
    change(broken / name, before, after)
    told = [found for found in problems(broken) if re.match(rf"{re.escape(name)}:\d+ {message}", found)]
    assert len(told) == 1, problems(broken)
    for file, number in re.findall(r"([\w./-]+):(\d+)", told[0]):
        if (broken / file).is_file():
            assert int(number) <= len((broken / file).read_text().splitlines())


@pytest.mark.parametrize(
    ("name", "before", "after", "message"),
    [
        (
            ENV,
            "#RATE_LIMIT=600 per minute\n",
            "",
            rf"src/orders/config.py:\d+ has the setting RATE_LIMIT, {ENV} has none",
        ),
        (
            "compose.yaml",
            "    RATE_LIMIT:\n",
            "",
            r"src/orders/config.py:\d+ has the setting RATE_LIMIT, compose.yaml \(x-service\) has none",
        ),
        (
            "compose.yaml",
            "    command: [flask, db, upgrade]\n",
            "    command: [flask, db, upgrade]\n    environment:\n      PGOPTIONS: -c statement_timeout=0\n",
            r"src/orders/config.py:\d+ has the setting RATE_LIMIT, compose.yaml \(migrate\) has none",
        ),
        (
            "Makefile",
            "CHECKS := build lint test",
            "CHECKS := build test",
            rf"{CI}:\d+ runs make build, make lint, make test, Makefile:\d+ \(`make check`\) make build, make test: ",
        ),
        (
            "Makefile",
            "CHECKS := build lint test",
            "CHECKED := build",
            "Makefile: CHECKS names the steps of `make check`, and is missing",
        ),
        (
            "compose.yaml",
            "image: redis:8",
            "image: redis:7\n    # Not Redis 8 yet.",
            r"compose.yaml:\d+ names Redis 8, but compose.yaml:\d+ has redis 7",
        ),
        (
            "compose.yaml",
            "image: postgres:18",
            "image: postgres",
            "compose.yaml and Dockerfile name no version of PostgreSQL",
        ),
        ("Dockerfile", "USER 10001:10001\n", "", "Dockerfile has no USER, and so would run as root"),
        ("Dockerfile", "USER 10001:10001\n", "USER root\n", "Dockerfile:\\d+ sets USER root"),
    ],
)
def test_a_break_elsewhere_is_told_as_well(broken, problems, name, before, after, message):
    change(broken / name, before, after)
    assert any(re.match(message, found) for found in problems(broken)), problems(broken)


@pytest.mark.parametrize(
    "text",
    [
        "python3 -m venv, Python 3, Python 3.14, python3.14, PostgreSQL 18's path, /var/lib/postgresql/18/docker",
        "uv.lock, uv pip sync, uses: astral-sh/setup-uv@v7, uses: actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97",
        "redis>=8.1, redis==5.2.0, redis://redis:6379/0, postgresql://a:b@postgres:1/c, redis://redis:1/0, python[1]",
        "docker logs orders-postgres-1, orders-redis-1; REDIS_DB=0; Python 3.11 or newer; test.py:12: error; within Redis 5s",
        "POSTGRES_PORT=5432, redis: 6379, hiredis 3, pytest-postgresql 7",
        "subprocess.run(), flask db upgrade, then run it; the SQLite of another project; created_all_day",
    ],
)
def test_what_only_looks_like_a_break_is_none(broken, problems, text):
    change(broken / "docs" / "notes.txt", "", text + "\n")
    assert problems(broken) == []


# An image of its own in place of the shipped one, with a layer that the shipped one does not have.
APART = """FROM python AS development
RUN echo apart > /etc/apart
ENV FLASK_APP=orders PYTHONPATH=/app/src PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY --from=application /app /app
USER 10001:10001
"""
PACKAGES = """COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \\
    uv venv --quiet /opt/venv \\
    && VIRTUAL_ENV=/opt/venv uv pip sync --quiet --require-hashes requirements.txt
"""
IMAGE_BREAKAGES = [
    (
        "FROM production AS development\n",
        APART,
        [
            r"Dockerfile:\d+ has sha256:\w+ as layer \d+ of the development image, the shipped image sha256:\w+: begin the stage with FROM production"
        ],
    ),
    (
        PACKAGES,
        PACKAGES.replace("requirements.txt", "requirements.txt requirements-dev.txt"),
        [
            r"Dockerfile:\d+ leaves pytest==[\d.]+ in the shipped image, requirements.txt does not name it: install there what requirements.txt names"
        ],
    ),
    (
        "COPY tests tests\n",
        "COPY tests tests\nUSER root\n",
        [
            r"Dockerfile:\d+ has 10001 as user id, the container of the tests 0: take out",
            r"Dockerfile:\d+ sets USER root, Dockerfile:\d+ has USER 10001:10001: take it out",
        ],
    ),
]


@pytest.mark.service
def test_make_test_refuses_an_image_that_is_not_the_shipped_one(copy):
    dockerfile = copy.path / "Dockerfile"
    sound = dockerfile.read_text()
    broken = sound
    for before, after, _ in IMAGE_BREAKAGES:
        assert before in broken
        broken = broken.replace(before, after)
    try:
        dockerfile.write_text(broken)
        done = copy.make("test", "ARGS=-k parity", check=False)
        assert done.returncode == 2, done.stdout + done.stderr
        for message in itertools.chain(*(messages for _, _, messages in IMAGE_BREAKAGES)):
            assert re.search(message, done.stdout), done.stdout + done.stderr
        dockerfile.write_text(sound.replace("FROM python AS builder", "FROM nowhere AS builder"))
        done = copy.make("check", check=False)
        assert (done.returncode, done.stderr.splitlines()[-2:][0]) == (2, "make check stopped at: build")
    finally:
        dockerfile.write_text(sound)
        copy.make("build")
        copy.remove()
