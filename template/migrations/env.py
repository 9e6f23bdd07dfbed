"""How Alembic reaches the application's database and models; run by ``flask db``."""

from alembic import context
from flask import current_app
from sqlalchemy import text

# A migration waits this long for a lock that running transactions hold, then fails and can be tried again.
LOCK_TIMEOUT = "5s"

migrate = current_app.extensions["migrate"]


def run_offline() -> None:
    """Print the SQL, for a person to read."""
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        target_metadata=migrate.db.metadata,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Migrate the database in one transaction, without the time limit that requests have."""
    with migrate.db.engine.connect() as connection:
        connection.execute(text("SELECT set_config('statement_timeout', '0', false)"))
        connection.execute(text("SELECT set_config('lock_timeout', :limit, false)"), {"limit": LOCK_TIMEOUT})
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=migrate.db.metadata,
            process_revision_directives=leave_out_empty,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


def leave_out_empty(_context: object, _revision: object, directives: list) -> None:
    """Write no migration where the models have not changed."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()
        print("The models have not changed: no migration written.")


if context.is_offline_mode():
    run_offline()
else:
    run_online()
