"""The parity library, held against real servers of the right and of the wrong kind."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import parity
import psycopg
import pytest
from apiflask import APIFlask
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from flask_httpauth import HTTPBasicAuth
from parity import acceptance, compose, contract
from parity.comparison import check, compare
from parity.environment import collect_image
from parity.report import Report
from redis import Redis
from service import create_app
from service.config import Settings, load_settings
from service.extensions import db

UNREACHABLE = {"database_url": "postgresql://nobody:hush@postgres:1/nowhere"}


@pytest.fixture
def settings() -> Settings:
    """The settings of the tests' environment."""
    return load_settings()


@pytest.fixture
def flask(app: APIFlask) -> Callable[..., Result]:
    """Run a command of ``flask parity``."""
    return lambda *args: app.test_cli_runner().invoke(args=["parity", *args])


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A parity.toml that can be written."""
    path = tmp_path / "parity.toml"
    path.write_text(acceptance.ACCEPTED.read_text())
    monkeypatch.setattr(acceptance, "ACCEPTED", path)
    return path


@pytest.fixture
def evicting(settings: Settings) -> Iterator[str]:
    """The cache server with another eviction policy."""
    with Redis.from_url(str(settings.redis_url), decode_responses=True) as client:
        before = client.config_get("maxmemory-policy")["maxmemory-policy"]
        client.config_set("maxmemory-policy", "noeviction")
        yield "noeviction"
        client.config_set("maxmemory-policy", before)


@pytest.fixture
def other_database(app: APIFlask, settings: Settings) -> Iterator[Settings]:
    """A database that sorts by another collation, and has no migration."""
    with app.app_context(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        options = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'"
        server.exec_driver_sql(f"CREATE DATABASE elsewhere {options}")
        url = str(settings.database_url).rpartition("/")[0] + "/elsewhere"
        yield settings.model_copy(update={"database_url": url})
        server.exec_driver_sql("DROP DATABASE elsewhere WITH (FORCE)")


def test_another_application_binds_it(settings: Settings) -> None:
    """All that it knows of an application is handed to it: the settings, and who may see the page."""
    other, guard = Flask("other"), HTTPBasicAuth()
    guard.verify_password(lambda _, word: word == "sesame")
    parity.init_app(other, settings, guard)
    assert other.extensions["parity"] is settings
    client = other.test_client()
    assert client.get("/parity").status_code == 401
    assert client.get("/parity", auth=("ada", "sesame")).json["The contract, and this environment"]
    with client.get("/parity/static/parity.css") as style:
        assert (style.status_code, style.mimetype) == (200, "text/css")
    assert other.test_cli_runner().invoke(args=["parity", "check"]).output.endswith("\nParity: kept.\n")


def test_overlays_give_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is only passed on has no value, and what the team adds to the stack is no overlay of it."""
    files = {
        "compose.yaml": "include: [compose.project.yaml]\nservices: {web: {environment: {A: stack}}}",
        "compose.empty.yaml": "# Nothing yet.\n",
        "compose.list.yaml": "services: {web: {environment: [B=listed=twice, C]}, worker: }",
        "compose.networks.yaml": "networks: {}",
        "compose.override.yaml": "services: {web: {environment: {D: '${D:-mapped}', E: 5}}, worker: {}}",
        "compose.project.yaml": "services: {web: {environment: {F: ours}}}",
        "compose.settings.yaml": "services: {all: {environment: {G: }}, development: {environment: {H: h}}}",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(compose, "ROOT", tmp_path)
    assert compose.stack.__wrapped__() == {"web": {"environment": {"A": "stack"}}}
    assert compose.overlay_values.__wrapped__() == {
        "B": {"listed=twice": "compose.list.yaml"},
        "D": {"mapped": "compose.override.yaml"},
        "E": {"5": "compose.override.yaml"},
        "H": {"h": "compose.settings.yaml"},
    }


def drift(report: Report) -> dict[str, str]:
    """Return what was found where it should not be."""
    return {row.key: row.found for row in report.rows if row.level == "error"}


def test_the_stack_keeps_the_contract(settings: Settings) -> None:
    """This image, on the servers of compose.yaml, is what the repository states."""
    report = check(settings)
    assert [row for row in report.rows if row.level in ("error", "warning", "unknown")] == []
    looked_at = {row.key for row in report.rows}
    assert {
        "database.version",
        "database.timezone",
        "cache.eviction",
        "python.version",
        "package.flask",
    } <= looked_at


def test_another_database_is_drift(other_database: Settings) -> None:
    """Another collation and a missing migration are told by name."""
    assert drift(check(other_database)) == {
        "database.locale_provider": "libc",
        "database.collation": "C",
        "database.migration": "none",
    }


def test_another_eviction_policy_is_drift(settings: Settings, evicting: str) -> None:
    """What would throw away other keys is told by name."""
    assert drift(check(settings)) == {"cache.eviction": evicting}


def test_more_connections_than_there_are_is_told(settings: Settings) -> None:
    """A pool that PostgreSQL cannot fill fails under load only, if nobody says so before."""
    greedy = settings.model_copy(update={"web_concurrency": 4, "web_threads": 100})
    (row,) = [row for row in check(greedy).rows if row.level == "warning"]
    jobs = settings.worker_concurrency + 1 if "worker_concurrency" in dict(settings) else 0
    assert (row.key, row.expected, row.found) == ("database.connections", f"at least {400 + jobs}", "97")
    assert "WEB_THREADS" in row.remedy


@pytest.mark.parametrize(
    ("key", "expected", "found", "level"),
    [
        ("database.version", "18", "17.9", "error"),
        ("database.version", "18", "18.4", "ok"),
        ("database.version", "18.2", "18.1", "warning"),
        ("cache.version", "8", "9.0.1", "error"),
        ("cache.server", "Redis", "Valkey", "error"),
        ("database.timezone", "UTC", "Europe/Berlin", "error"),
        ("database.statement_timeout", "60s", "1min", "ok"),
        ("database.statement_timeout", "10s", "0", "error"),
        ("database.extensions", "plpgsql", "citext, plpgsql", "warning"),
        ("database.extensions", "citext, plpgsql", "plpgsql", "error"),
        ("database.migration", "0001", "none", "error"),
        ("database.migration", "0001", "of-a-newer-release", "warning"),
        ("database.migration", "a, b", "0001", "error"),
        ("python.version", "3.14", "3.14.8", "ok"),
        ("python.version", "3.14", "3.13.9", "error"),
        ("clock.skew", "at most 1 s", "-0.250 s", "ok"),
        ("clock.skew", "at most 1 s", "3.000 s", "warning"),
        ("package.flask", "3.1.3", "3.1.2", "error"),
        ("config.LOG_FORMAT", "default", "set", "declared"),
        ("config.RATE_LIMIT", "default", "set", "warning"),
    ],
)
def test_levels(key: str, expected: str, found: str, level: str) -> None:
    """What weighs how much."""
    (row,) = compare({key: expected}, {key: found})
    assert row.level == level
    assert bool(row.remedy) is (level not in ("ok", "declared"))


EXTENSIONS = {
    'op.execute("CREATE EXTENSION citext")': "citext, plpgsql",
    "op.execute('create extension if not exists \"uuid-ossp\" with schema public')": "plpgsql, uuid-ossp",
    'op.execute(sa.text("CREATE EXTENSION a;\\n  CREATE EXTENSION b CASCADE"))': "a, b, plpgsql",
    'op.execute("CREATE EXTENSION a")\n    op.execute("DROP EXTENSION IF EXISTS a")': "plpgsql",
    'op.execute(f"CREATE EXTENSION {name}")  # CREATE EXTENSION it': "plpgsql",
    "'CREATE EXTENSION in words'": "plpgsql",
}


@pytest.mark.parametrize(("upgrade", "expected"), EXTENSIONS.items())
def test_the_migrations_say_which_extensions_there_are(
    upgrade: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And compose.project.yaml, which others are."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "a.py").write_text(
        f'revision, down_revision = "a", None\n\n\ndef upgrade():\n    {upgrade}\n'
    )
    (tmp_path / "compose.project.yaml").write_text("")
    monkeypatch.setattr(contract, "ROOT", tmp_path)
    monkeypatch.setattr(contract, "migrations", contract.migrations.__wrapped__)
    assert ", ".join(sorted(contract.extensions())) == expected
    (tmp_path / "compose.project.yaml").write_text("x-extensions: [pg_cron]\n")
    assert contract.extensions() == {*expected.split(", "), "pg_cron"}


def test_a_missing_package_and_one_too_many() -> None:
    """The lock and the image are compared package by package."""
    installed = collect_image()
    locked = {**installed, "package.missing": "1.0"}
    del locked["package.flask"]
    rows = compare(locked, installed)
    assert {row.key: (row.expected, row.found) for row in rows if row.level == "error"} == {
        "package.missing": ("1.0", "not there"),
        "package.flask": ("not there", installed["package.flask"]),
    }


def test_a_default_of_development_is_drift_elsewhere(settings: Settings) -> None:
    """A secret that an overlay gives away is an error outside that overlay's environment."""
    enforced = settings.model_copy(update={"parity": "enforce"})
    assert set(drift(check(enforced))) == {"config.API_TOKENS", "config.DATABASE_URL"}


def test_a_misspelt_variable_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that nobody reads is probably another's."""
    monkeypatch.setenv("LOG_LEVELS", "DEBUG")
    (row,) = [row for row in check(settings).rows if row.level == "warning"]
    assert (row.key, row.found) == ("config.LOG_LEVELS", "unknown")


def test_check(flask: Callable[..., Result]) -> None:
    """A table for a person, JSON for a program, and no secret in either."""
    for arguments in (["check"], ["check", "--json"], ["snapshot"]):
        result = flask(*arguments)
        assert result.exit_code == 0, result.output
        for secret in (*load_settings().api_tokens.values(), ":test@"):
            assert secret not in result.output
    assert flask("check").output.endswith("\nParity: kept.\n")
    assert json.loads(flask("check", "--json").output)["verdict"] == "kept"


def test_exit_status(evicting: str, flask: Callable[..., Result]) -> None:
    """Drift is 1, and not being able to look is 2; the two are told apart."""
    assert flask("check").exit_code == 1
    nowhere = create_app(load_settings().model_copy(update=UNREACHABLE)).test_cli_runner()
    assert "cache.eviction" in nowhere.invoke(args=["parity", "check"]).output
    result = nowhere.invoke(args=["parity", "snapshot"])
    assert (result.exit_code, "hush" in result.output) == (2, False)


def test_nothing_to_look_at(flask: Callable[..., Result]) -> None:
    """A database that does not answer is not drift."""
    result = (
        create_app(load_settings().model_copy(update=UNREACHABLE))
        .test_cli_runner()
        .invoke(args=["parity", "check"])
    )
    assert result.exit_code == 2
    assert "unknown" in result.output


def test_diff(flask: Callable[..., Result], tmp_path: Path) -> None:
    """Two snapshots are compared; one from an older release too, as far as it goes."""
    here = json.loads(flask("snapshot").output)
    there = {
        **here,
        "facts": {**here["facts"], "database.timezone": "Europe/Berlin", "config.LOG_FORMAT": "set"},
    }
    older = {"schema": 0, "facts": {"database.version": here["facts"]["database.version"]}}
    for name, taken in {"here": here, "there": there, "older": older}.items():
        (tmp_path / name).write_text(json.dumps(taken))
    paths = {name: str(tmp_path / name) for name in ("here", "there", "older")}
    assert flask("diff", paths["here"], paths["here"]).exit_code == 0
    result = flask("diff", paths["here"], paths["there"], "--json")
    levels = {row["key"]: row["level"] for row in json.loads(result.output)["rows"] if row["level"] != "ok"}
    assert (result.exit_code, levels) == (1, {"database.timezone": "error", "config.LOG_FORMAT": "declared"})
    assert flask("diff", paths["older"], paths["here"]).exit_code == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99, "facts": {}}', '{"schema": 1, "facts": 1}'])
def test_what_is_no_snapshot(text: str, flask: Callable[..., Result], tmp_path: Path) -> None:
    """One sentence names the file."""
    path = tmp_path / "snapshot.json"
    path.write_text(text)
    result = flask("diff", str(path), str(path))
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert str(path) in result.output


def test_accept(accepted: Path, evicting: str, flask: Callable[..., Result], settings: Settings) -> None:
    """A difference that is meant has a reason, a name and a last day; after it, the difference is drift again."""
    result = flask("accept", "cache.eviction", "--because", 'A "trial" of ours', "--by", "Ada")
    assert result.exit_code == 0, result.output
    (row,) = [row for row in check(settings).rows if row.key == "cache.eviction"]
    assert row.level == "accepted"
    assert 'A "trial" of ours (Ada, until ' in row.remedy
    assert flask("check").exit_code == 0
    today = datetime.now(UTC).date()
    last = today + timedelta(days=acceptance.ACCEPT_DAYS)
    accepted.write_text(accepted.read_text().replace(str(last), str(today - timedelta(days=1))))
    assert drift(check(settings)) == {"cache.eviction": evicting}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["database.timezon", "--because", "x", "--by", "Ada"], "is it database.timezone?"),
        (
            ["database.timezone", "--because", "x", "--by", "Ada", "--until", "2020-01-01"],
            "that day has passed",
        ),
        (["database.timezone", "--because", "two\nlines", "--by", "Ada"], "one line"),
    ],
)
def test_accept_refuses(
    arguments: list[str], sentence: str, accepted: Path, flask: Callable[..., Result]
) -> None:
    """One sentence, and nothing written."""
    before = accepted.read_text()
    result = flask("accept", *arguments)
    assert result.exit_code == 2
    assert sentence in result.output
    assert accepted.read_text() == before


def test_page(client: FlaskClient) -> None:
    """A person signs in with a token as the password and reads HTML; a program reads JSON."""
    assert (
        client.get("/parity", headers={"Authorization": ""}).headers["WWW-Authenticate"].startswith("Basic")
    )
    browser = client.get("/parity", auth=("", "test"), headers={"Accept": "text/html"})
    assert "database.timezone" in browser.text
    assert "kept" in browser.text
    assert 'href="/parity/static/parity.css"' in browser.text
    with client.get("/parity/static/parity.css", headers={"Authorization": ""}) as style:
        assert (style.status_code, style.mimetype) == (200, "text/css")
    assert client.get("/parity").json["The contract, and this environment"]["verdict"] == "kept"


def test_page_beside_another_environment(
    client: FlaskClient, flask: Callable[..., Result], tmp_path: Path
) -> None:
    """The snapshot of another environment is shown beside this one."""
    path = tmp_path / "staging.json"
    path.write_text(flask("snapshot").output.replace('"UTC"', '"Europe/Berlin"'))
    app = create_app(load_settings().model_copy(update={"parity_snapshot": path}))
    report = (
        app.test_client()
        .get("/parity", headers={"Authorization": "Bearer test"})
        .json["staging, and this environment"]
    )
    assert {row["key"] for row in report["rows"] if row["level"] == "error"} == {"database.timezone"}


@pytest.fixture
def own_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with secrets of its own, which enforces the contract."""
    monkeypatch.setenv("API_TOKENS", "own:" + hashlib.sha256(b"own").hexdigest())
    monkeypatch.setenv("DATABASE_URL", f"{settings.database_url}?application_name=own")
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("PARITY", "enforce")


def started(output: str) -> dict:
    """Return what the log says of the contract."""
    (line,) = [line for line in map(json.loads, output.splitlines()) if line["event"] == "parity"]
    return line


@pytest.fixture
def forgetful(settings: Settings) -> Iterator[None]:
    """A database in which no contract was kept."""
    forget = "COMMENT ON TABLE alembic_version IS NULL"
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(forget)
        yield
        connection.execute(forget)


@pytest.fixture
def start() -> Iterator[Callable[[], APIFlask]]:
    """Start a server, and close what it has open afterwards."""
    with ExitStack() as stack:

        def started() -> APIFlask:
            app = create_app()
            with app.app_context():
                stack.callback(db.engine.dispose)
            parity.check_at_start(app)
            return app

        yield started


def test_start(
    own_environment: None,
    forgetful: None,
    start: Callable[[], APIFlask],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A server that keeps the contract starts, and says so in one line."""
    app = start()
    assert started(capfd.readouterr().out)["verdict"] == "kept"
    assert "parity" not in app.test_client().get("/readyz").json["checks"]
    own = {"Authorization": "Bearer own"}
    assert "parity_drift 0.0" in app.test_client().get("/metrics", headers=own).text


def test_start_on_drift(
    own_environment: None,
    forgetful: None,
    evicting: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A server that drifts does not start where that is enforced; the log says why."""
    with pytest.raises(SystemExit):
        parity.check_at_start(create_app())
    line = started(capfd.readouterr().out)
    assert (line["verdict"], set(line["differences"])) == ("drift", {"cache.eviction"})
    monkeypatch.setenv("PARITY", "warn")
    parity.check_at_start(create_app())
    assert started(capfd.readouterr().out)["verdict"] == "drift"


def test_restart_on_drift(
    own_environment: None,
    forgetful: None,
    start: Callable[[], APIFlask],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What served while the contract was kept serves on, and tells; another contract is a first start again."""
    start()
    request.getfixturevalue("evicting")
    app = start()
    assert "cache.eviction" in capfd.readouterr().out
    ready = app.test_client().get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "degraded")
    assert ready.json["checks"]["parity"] == "drifted before the start: cache.eviction"
    own = {"Authorization": "Bearer own"}
    assert "parity_drift 1.0" in app.test_client().get("/metrics", headers=own).text
    monkeypatch.setattr(parity.start, "contract", lambda: {"another": "contract"})
    with pytest.raises(SystemExit):
        start()


def test_start_without_the_database(
    own_environment: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who cannot look does not refuse: the service answers without its database, and recovers."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hush@postgres:1/nowhere")
    parity.check_at_start(create_app())
    output = capfd.readouterr().out
    assert started(output)["verdict"] == "unknown"
    assert "hush" not in output
