from alembic import context
from flask import current_app

config = context.config
target_db = current_app.extensions["migrate"].db


def run_migrations_online():
    with target_db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=target_db.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()


run_migrations_online()
