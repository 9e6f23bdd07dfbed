# The template's: copier update merges it.
"""How Alembic reaches the application's database and models; run by ``flask db``."""

import time
from pathlib import Path
from traceback import extract_tb

from alembic import context
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from structlog import get_logger

from parity import autogenerate, steps
from parity.release import headless, standstill, unimported

# A migration waits this long for a lock that running transactions hold, then fails and can be tried again.
LOCK_TIMEOUT = "5s"
# The advisory lock of whoever migrates a database, and how long (seconds) others wait for it.
MIGRATING = int.from_bytes(b"alembic")
MIGRATING_TIMEOUT = 300

migrate = current_app.extensions["migrate"]
log = get_logger()


def run_offline() -> None:
    """Print the SQL, for a person to read."""
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        target_metadata=migrate.db.metadata,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Migrate the database, on a connection whose lock and settings nobody finds in the pool afterwards."""
    with migrate.db.engine.connect() as connection:
        try:
            run_on(connection)
        finally:
            connection.invalidate()


def run_on(connection: Connection) -> None:
    """Migrate one process at a time, and without the time limit that requests have."""
    connection.execute(text("SELECT set_config('statement_timeout', '0', false)"))
    connection.execute(text("SELECT set_config('lock_timeout', :limit, false)"), {"limit": LOCK_TIMEOUT})
    compared = autogenerate.options(connection)
    connection.commit()
    wait_for_turn(connection)
    context.configure(
        connection=connection,
        target_metadata=migrate.db.metadata,
        process_revision_directives=write,
        # What one migration has locked is free again before the next begins.
        transaction_per_migration=True,
        **compared,
        **migrate.configure_args,
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
    except CommandError as error:
        connection.rollback()
        raise CommandError(
            standstill(context.script, context.get_context().get_current_heads()) or str(error)
        ) from error
    except DBAPIError as error:
        steps_there = [step for step in extract_tb(error.__traceback__) if "/versions/" in step.filename]
        if not steps_there:
            raise
        at = steps_there[-1]
        told = f"migrations/versions/{Path(at.filename).name}:{at.lineno}: {str(error.orig).strip()}"
        undone = "What it did in its transaction is undone: mend it, and try again."
        raise CommandError(f"{told}\n{error.statement}\n{undone}") from error


def wait_for_turn(connection: Connection) -> None:
    """Take the lock of whoever migrates, which lasts as long as the connection.

    It is asked for again and again: a session that waits for it in PostgreSQL would have a transaction open, for
    whose end a CREATE INDEX CONCURRENTLY of the one that has it waits in turn.

    Raises:
        CommandError: if another process has it for longer than this one waits.
    """
    deadline = time.monotonic() + MIGRATING_TIMEOUT
    waiting = False
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATING}):
        connection.rollback()
        if time.monotonic() > deadline:
            raise CommandError(
                f"Another process has been migrating this database for {MIGRATING_TIMEOUT} seconds: "
                "look for it in pg_stat_activity, end it or let it end, and try again."
            )
        if not waiting:
            log.info("another process migrates this database: waiting for it", seconds=MIGRATING_TIMEOUT)
            waiting = True
        time.sleep(0.2)
    connection.commit()


def write(migration: MigrationContext, _revision: object, directives: list) -> None:
    """Write what the models need, in as many migrations as it takes; none where they have not changed.

    Raises:
        CommandError: if a model is in a module that nobody imports.
    """
    script = directives[0]
    script.upgrade_ops.ops = autogenerate.complete(migration, script.upgrade_ops.ops)
    if getattr(context.config.cmd_opts, "autogenerate", False):
        if lost := unimported(current_app.import_name):
            raise CommandError("\n".join(lost))
        directives[:] = steps.in_steps(script)
        written = "Read what is written, then apply it: make up"
        print(written if directives else "The models have not changed: no migration written.")


if told := headless(context.script):
    raise CommandError(told)
if context.is_offline_mode():
    run_offline()
else:
    run_online()
