# The template's: copier update merges it.
"""The migrations make the schema that the models describe, can be undone, and stop no running version."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask_migrate import check, downgrade, upgrade
from flask_sqlalchemy import SQLAlchemy
from pydantic import PostgresDsn
from repository import reports
from sqlalchemy import inspect, make_url, text
from squawk import problems

from parity.release import contracts, history


@pytest.fixture
def scratch(app: APIFlask) -> Iterator[SQLAlchemy]:
    """Return an empty database, in the context of an application of its own; it is dropped after the test."""
    settings, db = app.extensions["parity"], app.extensions["migrate"].db
    with app.app_context(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        server.execute(text("DROP DATABASE IF EXISTS scratch WITH (FORCE)"))
        server.execute(text("CREATE DATABASE scratch"))
        url = make_url(settings.sqlalchemy_url).set(drivername="postgresql", database="scratch")
        changes = {"database_url": PostgresDsn(url.render_as_string(hide_password=False))}
        create_app = importlib.import_module(app.import_name).create_app
        with create_app(settings.model_copy(update=changes)).app_context():
            yield db
            db.engine.dispose()
        server.execute(text("DROP DATABASE scratch WITH (FORCE)"))


@pytest.mark.usefixtures("scratch")
def test_models_and_migrations_agree() -> None:
    """A model that was changed without a migration fails here: make migration MESSAGE=… writes it."""
    upgrade()
    check()


def test_the_migrations_can_be_undone(scratch: SQLAlchemy) -> None:
    """Down to nothing and up again."""
    upgrade()
    downgrade(revision="base")
    assert set(inspect(scratch.engine).get_table_names()) <= {"alembic_version"}
    upgrade()


@reports
def test_migrations_stop_no_running_version() -> Iterator[str]:
    """No migration locks a busy table, or takes away what the running version uses: see docs/development.md."""
    for migration in history():
        for problem in problems(migration.module.upgrade, contracts(migration)):
            yield f"{Path(migration.path).relative_to(Path.cwd())}: {problem}"
