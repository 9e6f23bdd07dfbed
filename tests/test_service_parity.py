"""The parity contract of a generated service, held against servers of another kind, and its page in a browser."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from service import eventually

pytestmark = pytest.mark.service

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module", autouse=True)
def own_image(production):
    """The image of this repository: another test may have built one with a change of its own."""
    production.compose("build")


@contextmanager
def server(stack, name: str, *command: str):
    """Run a server on the stack's network under a name of its own."""
    container = f"{stack.project}-{name}"
    stack.run("docker", "rm", "--force", "--volumes", container, check=False)
    network = f"--network={stack.project}_default"
    stack.run("docker", "run", "--detach", "--name", container, "--network-alias", name, network, *command)
    try:
        yield container
    finally:
        stack.run("docker", "rm", "--force", "--volumes", container, check=False)


def checked(stack, **environment: str) -> tuple[int, dict]:
    """`flask parity check` in an environment like the stack's own but for some variables."""
    variables = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    command = stack.compose_command("--progress", "quiet", "run", "--rm", "--no-deps", "--no-TTY", *variables)
    done = stack.run(*command, "web", "flask", "parity", "check", "--json", check=False)
    return done.returncode, json.loads(done.stdout)


def drift(report: dict) -> dict[str, str]:
    return {row["key"]: row["found"] for row in report["rows"] if row["level"] == "error"}


def test_production_keeps_the_contract(production):
    status, report = checked(production)
    assert (status, report["verdict"]) == (0, "kept")
    assert [row for row in report["rows"] if row["level"] not in ("ok",)] == []
    logs = production.compose("logs", "--no-log-prefix", "web").splitlines()
    started = [line for line in map(json.loads, filter(None, logs)) if line["event"] == "parity"]
    assert started[0]["verdict"] == "kept"


def test_an_older_postgresql_is_told_by_name(production):
    password = ("--env", "POSTGRES_PASSWORD=other", "--env", f"POSTGRES_DB={production.package}")
    with server(
        production, "older", *password, "postgres:17", "postgres", "-c", "timezone=Asia/Tokyo"
    ) as name:
        ready = ("docker", "exec", name, "pg_isready", "--host=127.0.0.1")
        eventually(lambda: production.run(*ready, check=False).returncode == 0)
        url = f"postgresql://postgres:other@older/{production.package}"
        status, report = checked(production, DATABASE_URL=url)
    found = drift(report)
    assert status == 1
    levels = {row["key"]: row["level"] for row in report["rows"]}
    assert levels["database.superuser"] == "warning"
    assert found.pop("database.version").startswith("17.")
    assert found == {
        "database.locale_provider": "libc",
        "database.collation": "en_US.utf8",
        "database.timezone": "Asia/Tokyo",
        "database.statement_timeout": "0",
        "database.idle_in_transaction_session_timeout": "0",
        "database.migration": "none",
    }


def test_valkey_in_place_of_redis_is_told_by_name(production):
    with server(production, "other-cache", "valkey/valkey:9") as name:
        eventually(
            lambda: "PONG" in production.run("docker", "exec", name, "valkey-cli", "ping", check=False).stdout
        )
        status, report = checked(production, REDIS_URL="redis://other-cache:6379/0")
    found = drift(report)
    assert status == 1
    assert found.pop("cache.version").startswith("9.")
    assert found == {"cache.server": "Valkey", "cache.eviction": "noeviction", "cache.persistence": "no"}


def test_a_missing_package_is_told_by_name(production):
    broken = f"{production.project}-broken"
    recipe = f"FROM {production.shipped}\nUSER 0\nRUN rm -r /opt/venv/lib/python3*/site-packages/click_repl*\nUSER 10001\n"
    production.run("docker", "build", "--quiet", "--tag", broken, "-", input=recipe)
    try:
        status, report = checked(replace(production, environment={**production.environment, "IMAGE": broken}))
    finally:
        production.run("docker", "image", "rm", "--force", broken)
    assert (status, drift(report)) == (1, {"package.click-repl": "not there"})


def test_what_cannot_be_looked_at_is_not_drift(production):
    status, report = checked(production, DATABASE_URL="postgresql://nobody:hush@nowhere/none")
    assert (status, report["verdict"]) == (2, "unknown")
    assert "hush" not in json.dumps(report)


@contextmanager
def evicting(stack):
    """A cache that would throw jobs away."""
    command = ("exec", "--no-TTY", stack.cache, "redis-cli", "config", "set", "maxmemory-policy")
    stack.compose(*command, "allkeys-lru")
    try:
        yield "allkeys-lru"
    finally:
        stack.compose(*command, "volatile-lru")


def test_an_environment_that_drifts_serves_nothing_new(production):
    """With the variables of production, web does not start where this release has not kept the contract."""
    production.psql("COMMENT ON TABLE alembic_version IS NULL")
    with evicting(production) as policy:
        command = production.compose_command("run", "--rm", "--no-deps", "--no-TTY", "web")
        done = production.run(*command, check=False, timeout=60)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    (verdict,) = [line for line in lines if line["event"] == "parity"]
    assert verdict["differences"] == {"cache.eviction": f"error: expected volatile-lru, found {policy}"}
    assert not [line for line in lines if "Listening" in line["event"]]


def test_what_served_before_the_drift_serves_on(production):
    """A restart takes nothing down, and the readiness tells."""
    production.compose("restart", "web")
    eventually(production.ready)
    with evicting(production):
        production.compose("restart", "web")
        eventually(lambda: production.answers_with(200, "/readyz"))
        told = production.call("/readyz").json
        assert (told["status"], told["checks"]["parity"]) == (
            "degraded",
            "drifted before the start: cache.eviction",
        )
    assert "serves nonetheless" in production.compose("logs", "--tail=50", "web")
    production.compose("restart", "web")
    eventually(production.ready)


def test_a_developer_asks_and_accepts(workspace):
    asked = workspace.make("parity")
    assert asked.stdout.endswith("Parity: kept.\n")
    assert "declared" in asked.stdout
    refused = workspace.make("accept", check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 2)
    before = (workspace.path / "parity.toml").stat()
    workspace.make("accept", "KEY=database.timezone", "BECAUSE=A trial of ours")
    assert 'because = "A trial of ours"' in (workspace.path / "parity.toml").read_text()
    assert (workspace.path / "parity.toml").stat().st_uid == before.st_uid


def test_the_page_in_a_browser(production, tmp_path):
    """Wide and on a phone; the screenshots are kept where ARTIFACTS says."""
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(f"none of {', '.join(BROWSERS)} is installed")
        pytest.skip("no Chromium")
    artifacts = Path(os.environ.get("ARTIFACTS", tmp_path))
    artifacts.mkdir(parents=True, exist_ok=True)
    token = production.token.replace(" ", "%20")
    url = f"http://browser:{token}@127.0.0.1:{production.port}/parity"
    for name, size in {"wide": "1200,1400", "phone": "390,1400"}.items():
        picture = artifacts / f"parity-{name}.png"
        profile = f"--user-data-dir={tmp_path / name}"
        quiet = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        )
        options = (
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            profile,
            f"--window-size={size}",
        )
        browser = [found[0], *quiet, *options]
        subprocess.run(
            [*browser, f"--screenshot={picture}", url], capture_output=True, check=True, timeout=120
        )
        assert picture.stat().st_size > 20_000
        page = subprocess.run(
            [*browser, "--dump-dom", url], capture_output=True, text=True, check=True, timeout=120
        )
        assert '<span class="kept">kept</span>' in page.stdout
        assert "database.timezone" in page.stdout
