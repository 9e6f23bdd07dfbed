"""Migrating: once at a time, wholly or not at all, and what is refused because it would stop a running version."""

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.script import ScriptDirectory
from apiflask import APIFlask
from flask_migrate import upgrade
from parity import release
from parity.contract import migration_head
from pydantic import PostgresDsn
from service import create_app
from service.config import load_settings
from service.extensions import db
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError
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


@pytest.fixture
def scratch(app: APIFlask) -> Iterator[APIFlask]:
    """Return an application on an empty database of its own, dropped after the test."""
    settings = load_settings()
    with app.app_context(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        server.execute(text(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)"))
        server.execute(text(f"CREATE DATABASE {SCRATCH}"))
        url = make_url(settings.sqlalchemy_url).set(drivername="postgresql", database=SCRATCH)
        scratch_url = PostgresDsn(url.render_as_string(hide_password=False))
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


def test_a_migration_that_fails_changes_nothing(scratch: APIFlask, tmp_path: Path) -> None:
    """The schema and its version are as before."""
    upgrade()
    with pytest.raises(DataError, match="division by zero"):
        upgrade(add_migration(tmp_path / "migrations", FAILS))
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
