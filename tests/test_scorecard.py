"""The scorecard in docs/parity.md says what a rendered service does, and refuses one that does not."""

import re
import shutil
import subprocess
import sys

import pytest
import scorecard
from conftest import ROOT, render

# One break in each dimension at least: a file, what stands there, what is put in its place, and the refusal.
BREAKS = [
    (
        scorecard.image,
        "Dockerfile",
        "FROM production AS development",
        "FROM python AS development",
        "development is not production with files on top, or the last stage",
    ),
    (
        scorecard.image,
        "Dockerfile",
        "COPY --chmod=755 tests tests\n\n",
        "COPY --chmod=755 tests tests\nUSER root\n\n",
        "development is not production with files on top, or the last stage",
    ),
    (
        scorecard.image,
        "compose.test.yaml",
        "target: development",
        "target: builder",
        "what is built is ['production', 'builder']",
    ),
    (
        scorecard.server,
        "compose.override.yaml",
        "[watchfiles, --filter, python, gunicorn, src]",
        "[flask, run]",
        "development does not run gunicorn",
    ),
    (
        scorecard.server,
        "compose.test.yaml",
        "  worker: *service\n",
        "  web:\n    command: [waitress-serve]\n  worker: *service\n",
        "not declared: compose.test.yaml: web.command",
    ),
    (scorecard.server, "src/orders/wsgi.py", "\n\n", "\nimport uvicorn\n\n", "the code has uvicorn"),
    (
        scorecard.packages,
        "Dockerfile",
        "FROM python AS builder",
        "FROM python:3.13-slim AS builder",
        "the Dockerfile begins from the Pythons 3.14, 3.13",
    ),
    (
        scorecard.packages,
        "requirements.txt",
        "\namqp==",
        "\namqp>=",
        "requirements.txt has a package without a version or hashes",
    ),
    (
        scorecard.packages,
        "requirements-dev.txt",
        "\ntyping-extensions==",
        "\ntyping-extensions==0.",
        "the locks differ in typing-extensions",
    ),
    (
        scorecard.database,
        ".github/workflows/ci-cd.yml",
        "    steps:\n",
        "    services: {postgres: {image: 'postgres:18'}}\n    steps:\n",
        ".github/workflows/ci-cd.yml names the image postgres:18",
    ),
    (
        scorecard.database,
        "conftest.py",
        "\n\n",
        '\nURL = "sqlite://"\n\n',
        "the code has sqlite",
    ),
    (
        scorecard.database_settings,
        "compose.yaml",
        "      - --timezone=UTC\n",
        "",
        "compose.yaml does not state timezone",
    ),
    (
        scorecard.database_settings,
        "compose.override.yaml",
        "      POSTGRES_PASSWORD: development\n",
        "      POSTGRES_PASSWORD: development\n      POSTGRES_INITDB_ARGS: --locale=C\n",
        "compose.override.yaml sets POSTGRES_INITDB_ARGS",
    ),
    (
        scorecard.cache_and_broker,
        "compose.yaml",
        ", --maxmemory-policy, volatile-lru",
        "",
        "compose.yaml states no eviction policy",
    ),
    (
        scorecard.cache_and_broker,
        "compose.test.yaml",
        "  postgres:\n",
        "  redis: {image: 'redis:7'}\n\n  postgres:\n",
        "not declared: compose.test.yaml: redis.image",
    ),
    (
        scorecard.cache_and_broker,
        "src/orders/extensions.py",
        '"RedisCache"',
        '"SimpleCache"',
        "the code has SimpleCache",
    ),
    (
        scorecard.schema,
        "conftest.py",
        "        cache.clear()\n",
        "        cache.clear()\n        db.create_all()\n",
        "the code has create_all",
    ),
    (
        scorecard.configuration,
        ".env.example",
        "#RATE_LIMIT=",
        "#RATE=",
        "config.py and .env.example differ in RATE, RATE_LIMIT",
    ),
    (
        scorecard.configuration,
        "compose.settings.yaml",
        "      LOG_LEVEL:\n",
        "",
        "config.py and compose.settings.yaml differ in LOG_LEVEL",
    ),
    (
        scorecard.configuration,
        "compose.yaml",
        "  extends: {file: compose.settings.yaml, service: application}\n",
        "",
        "web is not given the settings",
    ),
    (
        scorecard.confinement,
        "compose.yaml",
        "  read_only: true\n",
        "",
        "web is not confined",
    ),
    (
        scorecard.confinement,
        "compose.test.yaml",
        "    command: [pytest]\n",
        "    command: [pytest]\n    user: root\n",
        "not declared: compose.test.yaml: test.user",
    ),
    (
        scorecard.commands,
        ".github/workflows/ci-cd.yml",
        "run: make lint",
        "run: pip install ruff",
        "a step is not a make command: pip install ruff",
    ),
    (
        scorecard.commands,
        ".github/workflows/ci-cd.yml",
        "run: make lint",
        "uses: actions/setup-python@v7",
        "a step uses actions/setup-python",
    ),
    (
        scorecard.probes,
        "compose.yaml",
        "      redis: {condition: service_healthy}\n",
        "      redis: {condition: service_started}\n",
        "web does not wait for migrations, PostgreSQL and Redis",
    ),
    (
        scorecard.probes,
        "compose.override.yaml",
        "    ports:",
        "    healthcheck: {disable: true}\n    ports:",
        "not declared: compose.override.yaml: web.healthcheck",
    ),
    (
        scorecard.drift,
        "src/orders/health.py",
        "expected = migration_head()",
        "expected = None",
        "/readyz does not look at the schema",
    ),
]


@pytest.fixture(scope="session")
def service(template, tmp_path_factory):
    """A service with the default answers."""
    return render(template, tmp_path_factory.mktemp("scorecard") / "service", {}).path


def test_the_page_says_what_the_service_does(service):
    page = scorecard.PAGE.read_text()
    assert scorecard.page(scorecard.Service(service), page) == page, "run make scorecard"


def test_the_command_finds_the_same(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "scorecard.py", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_dimension_has_a_cell_for_each_peer_and_can_be_refused():
    page = scorecard.PAGE.read_text()
    table = [line.strip("| ").split(" | ") for line in page.splitlines() if line.count(" | ") > 8]
    assert {len(row) for row in table} == {11}
    assert all(cell.strip() for row in table for cell in row)
    assert len(scorecard.DIMENSIONS) == len(table) - 2 == 12
    assert {dimension for dimension, *_ in BREAKS} == set(scorecard.DIMENSIONS)
    headings = {
        re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^### (.*)", page, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) == headings - {"this-template"}


@pytest.mark.parametrize(
    ("dimension", "file", "old", "new", "refusal"),
    BREAKS,
    ids=[f"{dimension.__name__}-{file}-{number}" for number, (dimension, file, *_) in enumerate(BREAKS)],
)
def test_a_broken_service_is_refused(service, tmp_path, dimension, file, old, new, refusal):
    broken = tmp_path / "service"
    shutil.copytree(service, broken)
    text = (broken / file).read_text()
    assert old in text
    (broken / file).write_text(text.replace(old, new, 1))
    with pytest.raises(scorecard.ContradictionError) as refused:
        dimension(scorecard.Service(broken))
    assert str(refused.value) == refusal


def test_who_notices_drift_is_not_claimed_before_it_is_there(service, tmp_path):
    changed = tmp_path / "service"
    shutil.copytree(service, changed)
    config = changed / "src/orders/config.py"
    for file in (changed / "ops/checks/test_versions.py", changed / "src/parity/__init__.py"):
        file.unlink(missing_ok=True)
    config.write_text(re.sub(r"    parity: .*\n", "", config.read_text()))
    assert scorecard.drift(scorecard.Service(changed)) == "each build (lock), `/readyz` (schema)"
    for file in (changed / "ops/checks/test_versions.py", changed / "src/parity/__init__.py"):
        file.touch()
    config.write_text(config.read_text().replace("    rate_limit:", "    parity: str\n    rate_limit:"))
    assert scorecard.drift(scorecard.Service(changed)) == (
        "each build (lock), `make test` (files), each start, `flask parity check`, `/readyz` (schema)"
    )


def test_a_stale_page_and_a_missing_row_are_noticed(service):
    page = scorecard.PAGE.read_text()
    stale = page.replace("| PostgreSQL 18, stated", "| PostgreSQL 17, stated")
    assert stale != page
    assert scorecard.page(scorecard.Service(service), stale) == page
    with pytest.raises(scorecard.ContradictionError, match="the page has 0 rows named Server"):
        scorecard.page(scorecard.Service(service), page.replace("| Server |", "| Servers |"))
