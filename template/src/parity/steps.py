# The template's: copier update merges it.
"""The migrations that `flask db migrate` writes: what would lock a busy table for long has one of its own (docs/schema.md)."""

from typing import Any

from alembic.operations import ops
from alembic.util import rev_id

from .autogenerate import Step, execute, quote


def concurrently(index: Any) -> Step:
    """Return what makes or drops an index while others write; one that was left invalid goes first."""
    undo, schema = index.reverse(), index.schema
    index.kw["postgresql_concurrently"] = True
    drop = ops.DropIndexOp(
        index.index_name, index.table_name, schema=schema, if_exists=True, postgresql_concurrently=True
    )
    return Step([drop, index] if isinstance(index, ops.CreateIndexOp) else [drop], [undo], block=True)


def in_steps(script: Any) -> list[ops.MigrationScript]:
    """Return the migrations that do what was found."""
    found = script.upgrade_ops.ops
    new = {(step.schema, step.table_name) for step in found if isinstance(step, ops.CreateTableOp)}
    # What adds members to enums is committed before they are used.
    before = [step for step in found if isinstance(step, Step) and not step.undo]
    after: list[Step] = []
    for table in [step for step in found if isinstance(step, ops.ModifyTableOps)]:
        alter = "ALTER TABLE " + ".".join(quote(part) for part in (table.schema, table.table_name) if part)
        for operation in [*table.ops] if (table.schema, table.table_name) not in new else []:
            name: Any = getattr(operation, "constraint_name", None)
            if isinstance(operation, ops.DropIndexOp):
                before.append(concurrently(operation))
            elif isinstance(operation, ops.CreateIndexOp):
                after.append(concurrently(operation))
            elif isinstance(operation, ops.CreateUniqueConstraintOp) and "deferrable" not in operation.kw:
                options = {"schema": table.schema, "unique": True, **operation.kw}
                index = ops.CreateIndexOp(name, table.table_name, operation.columns, **options)
                using = execute(f"{alter} ADD CONSTRAINT {quote(name)} UNIQUE USING INDEX {quote(name)}")
                after += [
                    Step(concurrently(index).ops, using.undo, block=True),
                    Step(using.ops, [operation.reverse()]),
                ]
            else:
                if isinstance(operation, ops.CreateForeignKeyOp):
                    operation.kw["postgresql_not_valid"] = True
                    after.append(execute(f"{alter} VALIDATE CONSTRAINT {quote(name)}"))
                continue
            table.ops.remove(operation)
    rest = [
        step
        for step in found
        if step not in before and not (isinstance(step, ops.ModifyTableOps) and step.is_empty())
    ]
    steps = {what: made for what, made in (("beforehand", before), ("", rest), ("afterwards", after)) if made}
    scripts = []
    for what, made in steps.items():
        upgrade = ops.UpgradeOps(made)
        if what and steps.keys() != {what}:
            message = f"{script.message}: {what}"
            written = ops.MigrationScript(
                rev_id(), upgrade, upgrade.reverse(), message=message, head=script.head
            )
            scripts.append(written)
        else:
            script.upgrade_ops, script.downgrade_ops = upgrade, upgrade.reverse()
            scripts.append(script)
    return scripts
