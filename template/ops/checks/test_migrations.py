# The template's: copier update merges it.
"""The migrations make the schema that the models describe, can be undone, and stop no running version."""

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask_migrate import check, downgrade, upgrade
from flask_sqlalchemy import SQLAlchemy
from psycopg.conninfo import make_conninfo
from repository import reports
from repository import text as content
from sqlalchemy import text
from squawk import problems

from parity.contract import migrations
from parity.release import contracts, history, standstill

# What somebody made in the database, in whatever schema: an extension, but not what belongs to it.
OBJECTS = """
SELECT o.type || ' ' || o.identity FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) o
WHERE d.refclassid = 'pg_namespace'::regclass AND d.objid >= 16384 AND o.identity NOT LIKE '%alembic_version'
AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
UNION SELECT 'schema ' || nspname FROM pg_namespace WHERE oid >= 16384 AND nspname NOT LIKE 'pg\\_%' ORDER BY 1
"""
# Whether the application imports all that it declares is seen in a process of its own: tests import, too.
IMPORTS = "import sys, {0}, parity.release as release; {0}.create_app(); sys.exit('\\n'.join(release.unimported('{0}')) or 0)"


@pytest.fixture
def scratch(app: APIFlask) -> Iterator[SQLAlchemy]:
    """Return an empty database, in the context of an application of its own; it is dropped after the test."""
    if told := standstill(migrations(), []):
        pytest.fail(told, pytrace=False)
    settings, db = app.extensions["parity"], app.extensions["migrate"].db
    with app.app_context(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        server.execute(text("DROP DATABASE IF EXISTS scratch WITH (FORCE)"))
        server.execute(text("CREATE DATABASE scratch"))
        changes = {"database_url": make_conninfo(settings.database_url, dbname="scratch")}
        create_app = importlib.import_module(app.import_name).create_app
        with create_app(settings.model_copy(update=changes)).app_context():
            yield db
            db.engine.dispose()
        server.execute(text("DROP DATABASE scratch WITH (FORCE)"))


# SQLAlchemy reads no type that is a team's own, and says so.
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.usefixtures("scratch")
def test_models_and_migrations_agree() -> None:
    """A model that was changed without a migration fails here: make migration MESSAGE=… writes it."""
    upgrade()
    check()


@reports
def test_the_migrations_can_be_undone(scratch: SQLAlchemy) -> Iterator[str]:
    """Down to nothing, which leaves nothing behind, and up again."""
    before = set(scratch.session.scalars(text(OBJECTS)))
    scratch.session.rollback()
    upgrade()
    downgrade(revision="base")
    left = [found for found in scratch.session.scalars(text(OBJECTS)) if found not in before]
    scratch.session.rollback()
    for found in left:
        yield f"flask db downgrade base leaves the {found}: drop it in the downgrade() of the migration that makes it"
    if not left:
        upgrade()


@reports
def test_migrations_stop_no_running_version() -> Iterator[str]:
    """No migration locks a busy table, or takes away what the running version uses: see docs/schema.md."""
    applied = tomllib.loads(content("pyproject.toml"))["tool"].get("migrations", {}).get("applied", "base")
    done = {migration.revision for migration in migrations().iterate_revisions(applied, "base")}
    refused = ""
    for migration in [migration for migration in history() if migration.revision not in done]:
        for problem in problems(migration.module.upgrade, contracts(migration)):
            yield f"{Path(migration.path).relative_to(Path.cwd())}: {problem}"
            refused = migration.revision
    if refused:
        told = "What every environment applied before squawk had the rule is not refused: say so in pyproject.toml"
        yield f'{told}, applied = "{refused}" under [tool.migrations]'


@reports
def test_all_that_is_declared_is_imported(app: APIFlask) -> Iterator[str]:
    """A model that nobody imports has no migration, and a task that nobody imports is not run."""
    command = [sys.executable, "-c", IMPORTS.format(app.import_name)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
    yield from done.stderr.splitlines() if done.returncode else []
