# The template's: copier update merges it.
"""Asks squawk (https://squawkhq.com) whether a migration would stop a running version."""

import importlib
import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator

from alembic.migration import MigrationContext
from alembic.operations import Operations

from parity.contract import contract

# Rules (https://squawkhq.com/docs/rules) that are not asked for, and why.
LEFT_OUT = (
    # migrations/env.py sets both for every migration.
    "require-lock-timeout,require-statement-timeout,require-timeout-settings,"
    # A migration that fails leaves nothing behind but the invalid index of a CONCURRENTLY, which IF NOT EXISTS keeps.
    "prefer-robust-stmts,"
    # What type a new column has locks nothing and breaks nothing.
    "ban-char-field,prefer-bigint-over-int,prefer-bigint-over-smallint,prefer-identity,prefer-text-field,"
    "prefer-timestamp-tz,require-enum-value-ordering"
)
# What the running version may use is taken away: refused unless the migration says why nobody does (contracts = "…").
TAKES_AWAY = ("ban-drop-", "renaming-")


def sql(upgrade: Callable[[], None]) -> str:
    """Return what Alembic sends to PostgreSQL for a migration."""
    output = io.StringIO()
    metadata = importlib.import_module(f"{os.environ['FLASK_APP']}.extensions").db.metadata
    options = {"as_sql": True, "literal_binds": True, "output_buffer": output, "target_metadata": metadata}
    migration = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(migration), migration.begin_transaction():
        upgrade()
    return output.getvalue()


def problems(upgrade: Callable[[], None], contracts: str) -> Iterator[str]:
    """Yield for each reason to refuse a migration squawk's rule, what is wrong, and what to do."""
    try:
        statements = sql(upgrade)
    except Exception as error:
        yield f"cannot be written as SQL without a database ({error!r}): use op.execute, so that it can be checked, and put what reads rows behind `if not op.get_context().as_sql:`"
        return
    options = [f"--pg-version={contract()['database.version']}", f"--exclude={LEFT_OUT}", "--reporter=json"]
    done = subprocess.run(["squawk", *options], input=statements, stdout=subprocess.PIPE, text=True)  # noqa: S603, S607
    for found in json.loads(done.stdout):
        takes_away = found["rule_name"].startswith(TAKES_AWAY)
        if not (takes_away and contracts):
            advice = found["help"] or f"see https://squawkhq.com/docs/{found['rule_name']}"
            if takes_away:
                advice = 'if no running version uses it any more, say so in this file: contracts = "why"'
            yield f"{found['rule_name']}: {found['message']} What to do: {advice}"
