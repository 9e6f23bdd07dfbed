"""Migrating: once at a time, wholly or not at all, and what is refused because it would stop a running version."""

import multiprocessing
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.script import ScriptDirectory
from apiflask import APIFlask
from flask_migrate import upgrade
from ops.checks import test_migrations as checks
from parity import contract, release
from parity.contract import migration_head
from parity.release import headless
from psycopg.conninfo import make_conninfo
from service import create_app
from service.config import load_settings
from service.extensions import db
from sqlalchemy import inspect, text
from squawk import TAKES_AWAY, problems

SCRATCH = "migrations_scratch"
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "next", {head!r}


def upgrade():
    {upgrade}
"""
# Long enough for others to come to the same migration.
INDEX = """op.execute("SELECT pg_sleep(0.3)")
    with op.get_context().autocommit_block():
        op.drop_index("ix_next", if_exists=True, postgresql_concurrently=True)
        op.create_index("ix_next", "users", ["created_at"], postgresql_concurrently=True)"""
FAILS = """op.add_column("users", sa.Column("next", sa.Integer()))
    op.execute("SELECT 1 / 0")"""


def test_a_migration_that_follows_none_is_named(tmp_path: Path) -> None:
    """One that was deleted, such as the example's."""
    (tmp_path / "versions").mkdir()
    text = MIGRATION.format(head="gone", upgrade="pass").replace("revision, down_revision =", "revision, x =")
    (tmp_path / "versions" / "next.py").write_text(f"{text}\ndown_revision = 'gone'\n")
    told = headless(ScriptDirectory(str(tmp_path)))
    assert told.startswith("migrations/versions/next.py follows the migration gone, which has no file there")
    (tmp_path / "versions" / "next.py").unlink()
    assert headless(ScriptDirectory(str(tmp_path))) == ""


@pytest.fixture
def scratch(app: APIFlask) -> Iterator[APIFlask]:
    """Return an application on an empty database of its own, dropped after the test."""
    settings = load_settings()
    with app.app_context(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        server.execute(text(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)"))
        server.execute(text(f"CREATE DATABASE {SCRATCH}"))
        scratch_url = make_conninfo(settings.database_url, dbname=SCRATCH)
        scratch = create_app(settings.model_copy(update={"database_url": scratch_url}))
        with scratch.app_context():
            yield scratch
            db.engine.dispose()
        server.execute(text(f"DROP DATABASE {SCRATCH} WITH (FORCE)"))


def add_migration(folder: Path, upgrade: str) -> str:
    """Copy the migrations, with one more that does this."""
    shutil.copytree("migrations", folder)
    migration = MIGRATION.format(head=migration_head(), upgrade=upgrade)
    (folder / "versions" / "next.py").write_text(migration)
    return str(folder)


def test_five_migrators_migrate_once(
    scratch: APIFlask, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who comes later waits, in the way of nothing that the first does, and finds nothing left to do."""
    directory = add_migration(tmp_path / "migrations", INDEX)
    fork = multiprocessing.get_context("fork")
    migrators = [fork.Process(target=upgrade, args=(directory,)) for _ in range(5)]
    for migrator in migrators:
        migrator.start()
    for migrator in migrators:
        migrator.join()
    output = "".join(capfd.readouterr())
    assert [migrator.exitcode for migrator in migrators] == [0] * 5, output
    assert output.count("Running upgrade") == len(release.history()) + 1
    assert "waiting for it" in output
    assert "ix_next" in {index["name"] for index in inspect(db.engine).get_indexes("users")}


def test_a_migration_that_fails_changes_nothing_and_says_where(
    scratch: APIFlask, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The schema and its version are as before."""
    upgrade()
    with pytest.raises(SystemExit):
        upgrade(add_migration(tmp_path / "migrations", FAILS))
    assert re.search(r"migrations/versions/next\.py:\d+: division by zero", capfd.readouterr().out)
    assert "next" not in {column["name"] for column in inspect(db.engine).get_columns("users")}
    assert db.session.scalar(text("SELECT version_num FROM alembic_version")) == migration_head()
    db.session.rollback()


def validate_and_set_not_null() -> None:
    """Set NOT NULL without reading the table under a lock: a check that was added NOT VALID knows already."""
    op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck")
    op.alter_column("users", "display_name", nullable=False)


def index_concurrently() -> None:
    """Make an index while others write."""
    with op.get_context().autocommit_block():
        op.drop_index("ix", if_exists=True, postgresql_concurrently=True)
        op.create_index("ix", "users", ["created_at"], unique=True, postgresql_concurrently=True)


REFUSED = [
    ("ban-drop-column", lambda: op.drop_column("users", "display_name")),
    ("ban-drop-table", lambda: op.drop_table("users")),
    ("ban-drop-not-null", lambda: op.alter_column("users", "display_name", nullable=True)),
    ("ban-drop-default", lambda: op.alter_column("users", "created_at", server_default=None)),
    ("renaming-column", lambda: op.alter_column("users", "display_name", new_column_name="name")),
    ("renaming-table", lambda: op.rename_table("users", "people")),
    ("changing-column-type", lambda: op.alter_column("users", "username", type_=sa.Text())),
    (
        "adding-required-field",
        lambda: op.add_column("users", sa.Column("age", sa.BigInteger(), nullable=False)),
    ),
    ("adding-not-nullable-field", lambda: op.alter_column("users", "display_name", nullable=False)),
    (
        "adding-field-with-default",
        lambda: op.add_column("users", sa.Column("key", sa.Uuid(), server_default=sa.func.gen_random_uuid())),
    ),
    ("require-concurrent-index-creation", lambda: op.create_index("ix", "users", ["created_at"])),
    (
        "ban-concurrent-index-creation-in-transaction",
        lambda: op.create_index("ix", "users", ["created_at"], postgresql_concurrently=True),
    ),
    ("require-concurrent-index-deletion", lambda: op.drop_index("ix", "users")),
    (
        "adding-foreign-key-constraint",
        lambda: op.create_foreign_key("fk", "users", "users", ["id"], ["id"]),
    ),
    ("constraint-missing-not-valid", lambda: op.create_check_constraint("ck", "users", "id > 0")),
    ("disallowed-unique-constraint", lambda: op.create_unique_constraint("uq", "users", ["created_at"])),
]


@pytest.mark.parametrize(("rule", "upgrade"), REFUSED)
def test_what_is_refused(rule: str, upgrade: Callable[[], None]) -> None:
    """A migration that locks or takes away is refused; one that takes away, until it says why it may."""
    assert any(problem.startswith(f"{rule}: ") for problem in problems(upgrade, contracts=""))
    assert [*problems(upgrade, contracts="No version uses it.")] == [] or not rule.startswith(TAKES_AWAY)


LET_THROUGH = [
    lambda: op.add_column("users", sa.Column("age", sa.Integer())),
    lambda: op.add_column("users", sa.Column("age", sa.Integer(), server_default="0", nullable=False)),
    lambda: op.create_foreign_key("fk", "users", "users", ["id"], ["id"], postgresql_not_valid=True),
    lambda: op.create_check_constraint("ck", "users", "display_name IS NOT NULL", postgresql_not_valid=True),
    validate_and_set_not_null,
    index_concurrently,
    lambda: op.execute("ALTER TABLE users ADD CONSTRAINT uq UNIQUE USING INDEX ix"),
    lambda: op.execute("-- squawk-ignore changing-column-type\nALTER TABLE users ALTER username TYPE text"),
]


@pytest.mark.parametrize("upgrade", LET_THROUGH)
def test_what_is_let_through(upgrade: Callable[[], None]) -> None:
    """The forms that the documentation tells of: they lock a table for a moment only."""
    assert [*problems(upgrade, contracts="")] == []


DOCUMENTED = re.findall(r"```python\n(.*?)```", Path("/repository/docs/schema.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", [block for block in DOCUMENTED if "def upgrade" in block])
def test_what_is_documented_is_let_through(block: str) -> None:
    """Word for word."""
    written = {"op": op, "sa": sa}
    exec(block, written)  # noqa: S102
    assert [*problems(written["upgrade"], written.get("contracts", ""))] == []


def test_a_release_lists_its_migrations(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever deploys or rolls back reads there which of them take away what an earlier release used."""
    release.main()
    before = capsys.readouterr().out
    directory = add_migration(tmp_path / "migrations", 'pass\n\n\ncontracts = "No version uses it."')
    monkeypatch.setattr(release, "migrations", lambda: ScriptDirectory(directory))
    release.main()
    assert capsys.readouterr().out == before + "next contract\n"
    assert all(line.endswith((" expand", " contract")) for line in before.splitlines())


def test_two_heads_are_named(
    scratch: APIFlask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever somebody meets them, with the remedy; and a service that has them still answers."""
    directory = add_migration(tmp_path / "migrations", "pass")
    other = (tmp_path / "migrations/versions/next.py").read_text().replace('"next"', '"other"')
    (tmp_path / "migrations/versions/other.py").write_text(other)
    told = (
        "migrations/versions has two heads, next.py and other.py: run make merge, and commit what it writes."
    )
    with pytest.raises(SystemExit):
        upgrade(directory)
    assert told in caplog.text
    upgrade(directory, revision="next")
    monkeypatch.setattr(contract, "migrations", lambda: ScriptDirectory(directory))
    monkeypatch.setattr("service.health.migrations", contract.migrations)
    contract.known_migrations.cache_clear()
    readiness = scratch.test_client().get("/readyz")
    db.session.remove()
    assert (readiness.status_code, readiness.json["checks"]["database"]) == (503, told)
    assert contract.contract.__wrapped__()["database.migration"] == "next, other"
    monkeypatch.setattr(checks, "migrations", contract.migrations)
    with pytest.raises(pytest.fail.Exception, match="two heads"):
        next(checks.scratch.__wrapped__(scratch))
    monkeypatch.undo()
    contract.known_migrations.cache_clear()


def test_a_revision_without_a_file_is_named(
    scratch: APIFlask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A branch that was left, or a file that was deleted."""
    upgrade(add_migration(tmp_path / "migrations", "pass"))
    with pytest.raises(SystemExit):
        upgrade()
    told = "The database stands at the migration next, which has no file in migrations/versions: switch to the branch"
    assert told in caplog.text
    assert "make reset" in caplog.text


LEFT = {
    "extension citext": "CREATE EXTENSION citext",
    "type public.state": "CREATE TYPE state AS ENUM ('a')",
    "type public.zip": "CREATE DOMAIN zip AS text",
    "function public.f()": "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "sequence elsewhere.s": "CREATE SEQUENCE elsewhere.s",
    "schema elsewhere": "SELECT 1",
    "table elsewhere.t": "CREATE TABLE elsewhere.t (id int)",
    "view public.v": "CREATE VIEW v AS SELECT 1",
}


def test_what_an_undone_migration_leaves_is_named(
    scratch: APIFlask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is, in whatever schema, and nothing besides."""
    statements = ["CREATE SCHEMA elsewhere", *LEFT.values()]
    left = "\n    ".join(f"op.execute({statement!r})" for statement in statements)
    directory = add_migration(tmp_path / "migrations", f"{left}\n\n\ndef downgrade():\n    pass")
    for run in ("upgrade", "downgrade"):
        monkeypatch.setattr(checks, run, partial(getattr(checks, run), directory))
    with pytest.raises(pytest.fail.Exception) as failure:
        checks.test_the_migrations_can_be_undone(scratch=db)
    named = re.findall(r"leaves the (.*): drop it in the downgrade", str(failure.value))
    assert named == sorted(LEFT)


REFUSES = 'op.add_column("users", sa.Column("age", sa.BigInteger(), nullable=False))'


def test_what_was_applied_before_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says how to say so."""
    directory = add_migration(tmp_path / "migrations", REFUSES)
    monkeypatch.chdir(tmp_path)
    for module in (release, checks):
        monkeypatch.setattr(module, "migrations", lambda: ScriptDirectory(directory))
    with pytest.raises(pytest.fail.Exception) as failure:
        checks.test_migrations_stop_no_running_version()
    first, told = str(failure.value).splitlines()
    assert first.startswith("migrations/versions/next.py: adding-required-field: ")
    assert told.endswith('say so in pyproject.toml, applied = "next" under [tool.migrations]')
    project = Path("/repository/pyproject.toml").read_text() + '[tool.migrations]\napplied = "next"\n'
    monkeypatch.setattr(checks, "content", lambda name: project)
    checks.test_migrations_stop_no_running_version()


NOBODY_IMPORTS = {
    "from .extensions import Base\n\n\nclass Lost(Base):\n    pass\n": "4 declares 'class Lost(Base'",
    "class Lost(Mixin, db.Model, kw=1):\n    pass\n": "1 declares 'class Lost(Mixin, db.Model'",
    "class Boss(User):\n    __mapper_args__ = {}\n": "2 declares '__mapper_args__'",
    "lost = Table(\n    'lost', metadata)\n": "1 declares 'lost = Table(",
    "@shared_task(bind=True)\ndef lost(): ...\n": "1 declares '@shared_task'",
    "@celery.task\ndef lost(): ...\n": "1 declares '@celery.task'",
    "class Lost(BaseModel):\n    pass\n\n\n# A Table('like') this; no class of Base\ntask = 1\n": "",
}


@pytest.mark.parametrize(("source", "declares"), NOBODY_IMPORTS.items())
def test_what_nobody_imports_is_named(
    source: str, declares: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With file and line, whatever it declares."""
    (tmp_path / "src/service/lost").mkdir(parents=True)
    (tmp_path / "src/service/lost/__init__.py").write_text(source)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(sys.modules["service"], "__path__", [str(tmp_path / "src/service")])
    told = release.unimported("service")
    assert len(told) == bool(declares)
    assert all(line.startswith(f"src/service/lost/__init__.py:{declares}") for line in told)
