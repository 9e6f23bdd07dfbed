"""The checks of a generated service, as far as files can break them: green as generated, red when it leaves the contract."""

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
import yaml
from conftest import Project

CHECKS = Path("ops") / "checks"
# Those that read files alone; the others need an application.
STATIC = ["image", "overlays", "settings", "stand_ins", "versions", "workflows"]


def load(name: str, folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"checks_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def rules(projects) -> tuple[ModuleType, list[ModuleType]]:
    """What the checks read the files with, and the checks that need no more than files."""
    folder = projects["default"].path / CHECKS
    reader = load("repository", folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "repository", reader)
        return reader, [load(f"test_{name}", folder) for name in STATIC]


@pytest.fixture
def problems(rules, monkeypatch) -> Callable[[Path], list[str]]:
    """What the checks find in a folder; what needs the image is for the service tier."""
    reader, modules = rules

    def look(path: Path) -> list[str]:
        monkeypatch.setattr(reader, "ROOT", path)
        for function in (reader.text, reader.files, reader.documents, reader.instructions):
            function.cache_clear()
        found = []
        for name, function in (pair for module in modules for pair in inspect.getmembers(module)):
            if name.startswith("test_") and not hasattr(function, "pytestmark"):
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


def run_checks(path: Path, *names: str, beside: str = "") -> str:
    """Run checks with pytest; the packages of a service are not here, which conftest.py imports."""
    command = [sys.executable, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider"]
    command += [beside] if beside else []
    command += [str(CHECKS / f"test_{name}.py") for name in names]
    environment = os.environ | {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_pytest_runs_them_in_three_seconds_and_says_what_it_left_out(projects):
    output = run_checks(projects["default"].path, *STATIC)
    summary = re.search(r"\d+ passed, 3 skipped in ([\d.]+)s", output)
    assert summary, output
    assert "only under `make test`" in output
    assert float(summary[1]) < 3


def test_a_test_of_the_team_may_have_the_name_of_a_check(broken):
    change(broken / "tests" / "test_versions.py", "", "def test_one():\n    pass\n")
    assert "2 passed" in run_checks(broken, "versions", beside="tests/test_versions.py")


def test_the_whole_stack_is_deployed(projects):
    """What compose.yaml has is known to ops/swarm, and to Swarm."""
    for project in projects.values():
        if not project.answers["has_swarm"]:
            continue
        stack, differences, secrets = (
            yaml.load((project.path / name).read_text(), Loader=yaml.BaseLoader)["services"]  # noqa: S506
            for name in ("compose.yaml", "deploy/compose.swarm.yaml", "deploy/compose.settings.yaml")
        )
        # It ends when it has looked at the volume, which no deployment waits for.
        stack.pop("postgres-guard")
        assert [name for name in stack if "deploy" not in differences.get(name, {})] == [], project.path
        backing = re.search(r"^servers=\((.*)\)$", (project.path / "ops" / "swarm").read_text(), re.MULTILINE)
        assert stack.keys() == secrets.keys() | set(backing[1].split()), project.path


OVERRIDE, TESTS, EDITOR = "compose.override.yaml", "compose.test.yaml", ".devcontainer/compose.yaml"
TEAMS_STACK, TEAMS_OVERRIDE = "compose.project.yaml", "compose.project.override.yaml"
TEAMS_OVERLAY, TEAMS_WORKFLOW = "deploy/compose.project.yaml", ".github/workflows/nightly.yml"
CI, ACCEPTED = ".github/workflows/ci-cd.yml", ".grype.yaml"
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
# A workflow of the team's: what it runs is its own.
NIGHTLY = """on:
  schedule: {cron: '0 3 * * *'}
jobs:
  measure:
    runs-on: ubuntu-latest
    services: {proxy: {image: nginx}}
    steps:
      - run: ./measure --token "${{ secrets.TOKEN }}"
"""
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
        '  "customizations": {',
        '  "features": {"ghcr.io/devcontainers/features/python:1": {}},\n  "customizations": {',
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
        "[tool.ruff]\n",
        '[tool.ruff]\ntarget-version = "py313"\n',
        f"names py 313, {PYTHON}",
    ),
    (
        "pyproject.toml",
        "[tool.mypy]\n",
        '[tool.mypy]\npython_version = "3.13"\n',
        f"names python 3.13, {PYTHON}",
    ),
    ("Dockerfile", "lib/python*/", "lib/python3.13/", f"names python 3.13, {PYTHON}"),
    ("README.md", "", "It needs PostgreSQL 16.\n", f"names PostgreSQL 16, {POSTGRES}"),
    ("docs/cache.md", "", "The queue is in Redis 7.2.\n", f"names Redis 7.2, {CACHE}"),
    (
        TEAMS_STACK,
        "services: {}\n",
        "services:\n  reports:\n    image: postgres:17\n",
        f"names postgres 17, {POSTGRES}",
    ),
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
        "\n  postgres:\n",
        "\n  mail:\n    image: mailpit\n\n  postgres:\n",
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
        "    user: app\n",
        "    user: app\n    # Why not.\n    security_opt: []\n",
        r"sets security_opt of the service web to \[\], compose.yaml has \[\"no-new-privileges:true\"\]: "
        + SAME,
    ),
    (
        TEAMS_OVERLAY,
        "",
        "services:\n  web:\n    user: root\n",
        f"sets user of the service web to root, compose.yaml has nothing of its own: {SAME}",
    ),
    (
        TEAMS_OVERRIDE,
        "",
        "services:\n  postgres:\n    image: postgres:18-alpine\n",
        f"sets image of the service postgres to postgres:18-alpine, compose.yaml has postgres:18: {SAME}",
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
        r"has the service worker run `.*'celery .*--without-gossip' src`, compose.yaml:\d+ `celery .*--without-gossip --without-mingle`: write the same words",
    ),
    (
        OVERRIDE,
        "python, gunicorn, src",
        "python, gunicorn --workers 1, src",
        r"has the service web run `.*'gunicorn --workers 1' src`, Dockerfile:\d+ `gunicorn`: write the same words",
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
        "conftest.py",
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
    ("ops/seed", "", "#!/usr/bin/env python\nimport sqlite3\n", "has 'sqlite', a database other than"),
    (
        "tests/conftest.py",
        "",
        "import fakeredis\n",
        "has 'fakeredis', a stand-in for the cache server: use the REDIS_URL",
    ),
    (
        TESTS,
        "  API_TOKENS: test:",
        "  REDIS_URL: memory://\n  API_TOKENS: test:",
        "has 'memory://', a stand-in for the cache server",
    ),
    (
        "src/orders/extensions.py",
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
        "deploy/production.env",
        "",
        "RATE_LIMITS=10 per minute\n",
        "names RATE_LIMITS, which is no setting, and nothing reads it: add it to ProjectSettings",
    ),
    (
        TEAMS_OVERLAY,
        "",
        "services:\n  web:\n    environment:\n      RATE_LIMITS: 10 per minute\n",
        "names RATE_LIMITS, which is no setting, and nothing reads it",
    ),
    (
        OVERRIDE,
        "      # For a person to read.\n",
        "      # Less.\n      RATE_LIMITS: ${RATE_LIMITS:-10 per minute}\n      # For a person to read.\n",
        "names RATE_LIMITS, which is no setting, and nothing reads it",
    ),
    # g. What the Dockerfile alone shows
    (
        "Dockerfile",
        "FROM production AS development\n",
        "FROM production AS development\nUSER root\n",
        r"sets USER root, Dockerfile:\d+ has USER 10001:10001: let the stage end with that",
    ),
    (
        "Dockerfile",
        "    && usermod --home /home/app --shell /bin/bash app\nUSER 10001:10001\n",
        "    && usermod --home /home/app --shell /bin/bash app\n",
        r"sets USER 0, Dockerfile:\d+ has USER 10001:10001: let the stage end with that",
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
        r"runs make lint, make lint, make test, make extra-checks, Makefile:\d+ \(`make check`\) make build, make lint, make test, make extra-checks: write the same steps",
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
        "has the job publish run `make build`, which builds another image than the tested one",
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
        "runs for pull_request_target, which gives secrets to anybody's code: use pull_request",
    ),
    (
        TEAMS_WORKFLOW,
        "",
        NIGHTLY.replace("schedule: {cron: '0 3 * * *'}", "pull_request:"),
        "gives the job measure a secret, and a pull request reaches it: take it out",
    ),
    (
        TEAMS_WORKFLOW,
        "",
        NIGHTLY.replace("on:\n  schedule: {cron: '0 3 * * *'}", "on: [push, pull_request]"),
        "gives the job measure a secret, and a pull request reaches it",
    ),
    (
        TEAMS_WORKFLOW,
        "",
        "on: pull_request\npermissions: write-all\njobs:\n  measure: {}\n",
        "gives the job any a permission to write, and a pull request reaches it",
    ),
    (
        TEAMS_WORKFLOW,
        "",
        "on: pull_request\njobs:\n  measure:\n    uses: ./a.yml\n    secrets: inherit\n",
        "gives the job measure a secret, and a pull request reaches it",
    ),
    (
        TEAMS_WORKFLOW,
        "",
        "on: pull_request\njobs:\n  sign:\n    permissions: {pull-requests: write, id-token: write}\n",
        "gives the job sign a permission to write, and a pull request reaches it",
    ),
    (
        TEAMS_WORKFLOW,
        "",
        NIGHTLY.replace("schedule: {cron: '0 3 * * *'}", "pull_request:\n  push:").replace(
            "    runs-on", "    if: always() || github.event_name == 'push'\n    runs-on"
        ),
        "gives the job measure a secret, and a pull request reaches it",
    ),
    (
        CI,
        "${{ secrets.PACKAGES_NETRC }}",
        "${{ secrets.PACKAGES_NETRC || secrets.TOKEN }}",
        "gives the job test a secret, and a pull request reaches it",
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
            "Makefile",
            "CHECKS := build lint test",
            "CHECKS := build test",
            rf"{CI}:\d+ runs make build, make lint, make test, make extra-checks, Makefile:\d+ \(`make check`\) make build, make test, make extra-checks: ",
        ),
        (
            "Makefile",
            "CHECKS := build lint test",
            "CHECKED := build",
            "Makefile: CHECKS is missing, the steps of `make check`",
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
        (
            "Dockerfile",
            "USER 10001:10001\n",
            "",
            "Dockerfile has no USER in the stage production, and would run as root",
        ),
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


def test_the_team_may_do_what_it_likes_with_its_own(broken, problems):
    """Services, differences, checks, variables and workflows of the team's need no reasons."""
    beat = "  beat:\n    extends: {file: compose.yaml, service: worker}\n    command: [celery, beat]\n"
    change(broken / TEAMS_STACK, "services: {}\n", f"services:\n{beat}  mail:\n    image: axllent/mailpit\n")
    change(
        broken / TEAMS_OVERRIDE,
        "",
        "services:\n  beat:\n    build: {target: development}\n  mail:\n    user: root\n    ports: ['8025']\n  web:\n    init: true\n",
    )
    change(broken / "compose.project.test.yaml", "", "services:\n  mail:\n    command: [--quiet]\n")
    change(
        broken / TEAMS_OVERLAY,
        "",
        "services:\n  web:\n    deploy: {replicas: 3}\n  mail:\n    environment: {MAIL: x}\n",
    )
    change(broken / "deploy" / "production.env", "", "RATE_LIMIT=10 per minute\nPAGER=x\n")
    change(broken / "project.mk", "", "CHECKS += audit\n\naudit:\n\t@echo $(PAGER)\n")
    change(broken / TEAMS_WORKFLOW, "", NIGHTLY)
    change(
        broken / ".github" / "workflows" / "release.yml",
        "",
        NIGHTLY.replace("schedule: {cron: '0 3 * * *'}", "pull_request:\n  push:").replace(
            "    runs-on", "    if: github.event_name != 'pull_request'\n    runs-on"
        ),
    )
    assert problems(broken) == []


# What teams have beside the pipeline, each in a file of its own.
ORDINARY = {
    "on a schedule, by hand and for a release": NIGHTLY.replace(
        "schedule: {cron: '0 3 * * *'}",
        "schedule: [{cron: '0 3 * * *'}]\n  workflow_dispatch:\n  release: {types: [published]}",
    ),
    "for others to call": NIGHTLY.replace(
        "schedule: {cron: '0 3 * * *'}", "workflow_call: {secrets: {TOKEN: {required: true}}}"
    ),
    "the documents, published": """on: {push: {branches: [trunk]}}
permissions: {contents: read, pages: write, id-token: write}
jobs:
  pages:
    runs-on: ubuntu-latest
    environment: github-pages
    steps:
      - uses: actions/deploy-pages@d6db90164ac5ed86f2b6aed7e0febac5b3c0c03e # v4.0.5
""",
    "labels and comments of a pull request": """on: pull_request
permissions:
  contents: read
  pull-requests: write
  checks: write
jobs:
  label:
    runs-on: ubuntu-latest
    strategy: {matrix: {part: [one, two]}}
    steps:
      - run: ./label ${{ matrix.part }}
""",
    "a job for one branch": NIGHTLY.replace(
        "schedule: {cron: '0 3 * * *'}", "pull_request:\n  push:"
    ).replace("    runs-on", "    if: ${{ github.ref == 'refs/heads/trunk' }}\n    runs-on"),
    "with private packages": NIGHTLY.replace("schedule: {cron: '0 3 * * *'}", "pull_request:").replace(
        "secrets.TOKEN", "secrets.PACKAGES_NETRC"
    ),
}


@pytest.mark.parametrize("text", ORDINARY.values(), ids=ORDINARY)
def test_the_team_may_have_a_workflow(broken, problems, text):
    change(broken / TEAMS_WORKFLOW, "", text)
    assert problems(broken) == []


MAIL = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: mail
spec:
  template:
    spec:
      containers:
        - name: mail
          image: axllent/mailpit:v1
          command: [/mailpit, --verbose]
          env:
            - name: MP_DATABASE
              value: /tmp/mail
"""


def test_the_team_may_run_what_it_likes_in_kubernetes(projects, tmp_path):
    """A manifest of its own, beside those that the template has and that an environment may change in part."""
    staging = "deploy/kubernetes/staging"
    path = shutil.copytree(projects["extreme"].path, tmp_path / "service")
    change(path / staging / "kustomization.yaml", "  - ../base\n", "  - ../base\n  - mail.yaml\n")
    change(path / staging / "mail.yaml", "", MAIL)
    assert re.search(r"^=+ \d+ passed in", run_checks(path, "kubernetes_manifests"), re.MULTILINE)
    (path / staging / "mail.yaml").write_text(MAIL.replace("name: mail", "name: web"))
    output = run_checks(path, "kubernetes_manifests")
    for message in (
        r"\d+ runs the image",
        r"\d+ changes command",
        r"\d+ sets MP_DATABASE, which is no setting",
    ):
        assert re.search(rf"^{staging}/mail.yaml:{message}", output, re.MULTILINE), output


BASE = "deploy/kubernetes/base"
# What breaks the manifests, all of it at once: the file, what it says, what it says instead, and the message.
KUBERNETES_BREAKAGES = [
    (
        "compose.yaml",
        "read_only: true",
        "read_only: false",
        rf"{BASE}/pod.yaml:\d+ has true as the read-only root",
    ),
    (
        "Dockerfile",
        "USER 10001:",
        "USER 10002:",
        rf"{BASE}/pod.yaml:\d+ has 10001 as the user, Dockerfile:\d+ 10002",
    ),
    (
        "Dockerfile",
        "EXPOSE 8000",
        "EXPOSE 8001",
        rf"{BASE}/web.yaml:\d+ has 8000 as the port, Dockerfile:\d+ 8001",
    ),
    (
        "Dockerfile",
        "--timeout=3s",
        "--timeout=4s",
        rf"{BASE}/web.yaml:\d+ has 3 as livenessProbe's timeoutSeconds",
    ),
    (
        f"{BASE}/pod.yaml",
        "medium: Memory, ",
        "",
        rf"{BASE}/pod.yaml:\d+ keeps /tmp on a disk, compose.yaml:\d+ in memory",
    ),
    (
        "compose.yaml",
        "grace_period: 65s",
        "grace_period: 95s",
        rf"{BASE}/worker.yaml:\d+ has 65 as the time to stop",
    ),
    (
        "compose.yaml",
        "-lt 30",
        "-lt 40",
        rf"{BASE}/worker.yaml:\d+ has .* as the health check, compose.yaml:\d+ sh",
    ),
    (
        f"{BASE}/migrate.yaml",
        "upgrade",
        "stamp",
        rf"{BASE}/migrate.yaml:\d+ has flask db stamp as the command",
    ),
    (
        f"{BASE}/web.yaml",
        "- name: app\n",
        "- name: app\n          image: other\n",
        rf"{BASE}/web.yaml:\d+ runs the image 'other', {BASE}/pod",
    ),
    (
        f"{BASE}/kustomization.yaml",
        "  - worker.yaml\n",
        "",
        rf"compose.yaml has the service worker, {BASE}/kust",
    ),
    (
        f"{BASE}/kustomization.yaml",
        "newName: ",
        "newName: x.",
        rf"{BASE}/kustomization.yaml:\d+ has x\..* as the image",
    ),
    (
        f"{BASE}/kustomization.yaml",
        "TRUSTED_PROXIES=",
        "PROXIES=",
        r".*:\d+ sets PROXIES, which is no setting",
    ),
    (
        f"{BASE}/kustomization.yaml",
        "literals:\n",
        "literals:\n      - API_TOKENS=x\n",
        r".*:\d+ sets API_TOKENS, which is a secret",
    ),
    (
        f"{BASE}/service-account.yaml",
        "kind: ServiceAccount",
        "kind: Secret",
        r".*:\d+ is a Secret in the repository",
    ),
    (
        "deploy/kubernetes/staging/kustomization.yaml",
        "  # Nobody but",
        "  - path: x.yaml\n  # Nobody but",
        r".*:\d+ changes .*base without a reason",
    ),
    (
        "deploy/kubernetes/staging/x.yaml",
        "",
        "spec: {runAsUser: 0}\n",
        r".*x.yaml:1 changes runAsUser: this is the same",
    ),
]


def test_a_break_of_the_manifests_is_told_with_its_line(projects, tmp_path):
    names = ("kubernetes_pods", "kubernetes_manifests")
    clusters = [project for project in projects.values() if project.answers["has_kubernetes"]]
    for project in clusters:
        output = run_checks(project.path, *names)
        assert re.search(r"^=+ \d+ passed in", output, re.MULTILINE), output
    project = next(project for project in clusters if project.answers["has_jobs"])
    broken = shutil.copytree(project.path, tmp_path / "service")
    for name, before, after, _ in KUBERNETES_BREAKAGES:
        change(broken / name, before, after)
    output = run_checks(broken, *names)
    for *_, message in KUBERNETES_BREAKAGES:
        assert re.search(rf"^{message}", output, re.MULTILINE), f"{message}\n{output}"


# An image of its own in place of the shipped one, with a layer that the shipped one does not have.
APART = """FROM python AS development
RUN echo apart > /etc/apart
ENV FLASK_APP=orders PYTHONPATH=/app/src PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY --from=application /app /app
USER 10001:10001
"""
# Packages that are pinned elsewhere than in the lock that ships.
PACKAGES = "uv pip sync --quiet --verify-hashes requirements.txt pyproject.toml"
IMAGE_BREAKAGES = [
    (
        "FROM production AS development\n",
        APART,
        [
            r"Dockerfile:\d+ has sha256:\w+ as layer \d+, the shipped image sha256:\w+: begin the stage with FROM production"
        ],
    ),
    (
        PACKAGES,
        f"{PACKAGES} && VIRTUAL_ENV=/opt/venv uv pip install --quiet pytest",
        [
            r"Dockerfile:\d+ leaves pytest [\d.]+ in the shipped image, requirements.txt does not name it: install what it names"
        ],
    ),
    (
        "COPY --chmod=755 tests tests\n",
        "COPY --chmod=755 tests tests\nUSER root\n",
        [
            r"Dockerfile:\d+ has 10001 as user id, the container of the tests 0: take out",
            r"Dockerfile:\d+ sets USER root, Dockerfile:\d+ has USER 10001:10001: let the stage end with that",
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
        done = copy.make("test", "ARGS=ops/checks/test_image.py", check=False)
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
