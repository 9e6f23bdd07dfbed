# The template's: copier update merges it.
"""What `flask db migrate` writes beyond Alembic: types, schemas, and changes in steps that stop no running version."""

from collections.abc import Iterator
from typing import Any, Literal

import alembic_postgresql_enum  # noqa: F401  (has Alembic see the types of enums)
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type, render_op, renderers
from alembic.operations import ops
from alembic.util import rev_id
from alembic_postgresql_enum.add_create_type_false import get_replacement_type
from alembic_postgresql_enum.operations import AddEnumValuesOp, SyncEnumValuesOp
from sqlalchemy import Connection, Enum, TypeDecorator, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSchema, CreateSequence, DropSchema, DropSequence

# Tables that no model names: partitions, and those of an extension.
HIDDEN = """
SELECT nullif(relnamespace::regnamespace::text, current_schema()), relname FROM pg_class c WHERE relispartition
OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND deptype = 'e')
"""


class Dialect(postgresql.dialect):  # type: ignore[misc,name-defined]
    """PostgreSQL, with types as a person writes them."""

    def type_descriptor(self, typeobj: Any) -> Any:
        """Return the type itself."""
        return typeobj


DIALECT = Dialect()
quote = DIALECT.identifier_preparer.quote


class Step(ops.OpContainer):
    """Operations and what undoes them; in a block of their own, if PostgreSQL refuses them in a transaction."""

    def __init__(self, do: list[Any], undo: list[Any], block: bool = False) -> None:
        super().__init__(do)
        self.undo, self.block = undo, block

    def reverse(self) -> ops.MigrateOperation:
        """Return what undoes them."""
        return Step(self.undo, [*self.ops])


@renderers.dispatch_for(Step)
def render_step(context: AutogenContext, step: Step) -> list[str | None]:
    """Write the operations. None ends a block."""
    lines = [line for operation in step.ops for line in render_op(context, operation)]
    if step.block:
        return ["with op.get_context().autocommit_block():", *lines, None]
    return [*lines] or ["# PostgreSQL takes no member from an enum: it stays."]


def execute(sql: str, *undo: Any) -> Step:
    """Return what runs SQL."""
    return Step([ops.ExecuteSQLOp(sql)], [*undo])


def concurrently(index: ops.CreateIndexOp | ops.DropIndexOp) -> Step:
    """Return what makes or drops an index while others write; one that was left invalid goes first."""
    undo = index.reverse()
    index.kw["postgresql_concurrently"] = True
    names = {"index_name": index.index_name, "table_name": index.table_name, "schema": index.schema}
    drop = ops.DropIndexOp(**names, if_exists=True, postgresql_concurrently=True)
    return Step([drop, index] if isinstance(index, ops.CreateIndexOp) else [drop], [undo], block=True)


def options(connection: Connection) -> dict[str, Any]:
    """Return what Alembic compares the database and the models by."""
    hidden = {tuple(row) for row in connection.execute(text(HIDDEN))}

    def include_object(item: Any, name: str, kind: str, reflected: bool, counterpart: Any) -> bool:
        return not (kind == "table" and reflected and counterpart is None and (item.schema, name) in hidden)

    return {"include_schemas": True, "include_object": include_object, "render_item": render_item}


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Write a type of the service's own as what it is to the database: a migration outlives the code."""
    if kind != "type" or type(item).__module__.startswith(("sqlalchemy.", "alembic_postgresql_enum.")):
        return False
    if isinstance(item, TypeDecorator):
        impl = item.load_dialect_impl(DIALECT)
        return _repr_type(get_replacement_type(impl) if isinstance(impl, Enum) else impl, context)
    context.imports.add(f"import {type(item).__module__}")
    return False


def complete(context: Any, found: list[Any]) -> list[Any]:
    """Return what was found, with what adds to the types of enums, and the schemas and sequences that models name."""
    metadata, default, there = (
        context.opts["target_metadata"],
        context.dialect.default_schema_name,
        inspect(context.connection),
    )
    schemas = {table.schema for table in metadata.tables.values() if table.schema} - {
        *there.get_schema_names()
    }
    made = [(CreateSchema(schema), DropSchema(schema)) for schema in sorted(schemas)]
    for sequence in metadata._sequences.values():
        if sequence.schema in schemas or not there.has_sequence(sequence.name, sequence.schema):
            made.append((CreateSequence(sequence), DropSequence(sequence)))
    written = [[ops.ExecuteSQLOp(str(ddl.compile(dialect=DIALECT))) for ddl in pair] for pair in made]
    first = [Step([do], [undo]) for do, undo in written]
    return [*first, *(step for operation in found for step in expanded(operation, default))]


def expanded(found: Any, default: str) -> Iterator[Any]:
    """Yield an operation, or in place of one that changes an enum, what adds the new members.

    PostgreSQL adds one at once. To take one away or to move it, it would write every table anew that has the type.
    """
    if not isinstance(found, AddEnumValuesOp | SyncEnumValuesOp):
        yield found
        return
    name = quote(found.name) if found.schema == default else f"{quote(found.schema)}.{quote(found.name)}"
    for place, member in enumerate(found.new_values):
        if member not in found.old_values:
            follows = [value for value in found.new_values[place:] if value in found.old_values][:1]
            members = ["'{}'".format(value.replace("'", "''")) for value in (member, *follows)]
            yield execute(f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {' BEFORE '.join(members)}")


def in_steps(script: ops.MigrationScript) -> list[ops.MigrationScript]:
    """Return the migrations that do it: what would lock a busy table for long has one of its own."""
    found: list[Any] = script.upgrade_ops.ops
    whole = {
        (step.schema, step.table_name)
        for step in found
        if isinstance(step, ops.CreateTableOp | ops.DropTableOp)
    }
    # What adds members to enums is committed before they are used.
    before: list[Any] = [step for step in found if isinstance(step, Step) and not step.undo]
    after: list[Any] = []
    found[:] = [step for step in found if step not in before]
    for table in [step for step in found if isinstance(step, ops.ModifyTableOps)]:
        alter = "ALTER TABLE " + ".".join(quote(part) for part in (table.schema, table.table_name) if part)
        for operation in [*table.ops] if (table.schema, table.table_name) not in whole else []:
            match operation:
                case ops.DropIndexOp():
                    before.append(concurrently(operation))
                case ops.CreateIndexOp():
                    after.append(concurrently(operation))
                case ops.CreateUniqueConstraintOp(constraint_name=name) if "deferrable" not in operation.kw:
                    names = {"schema": table.schema, "unique": True, **operation.kw}
                    index = concurrently(
                        ops.CreateIndexOp(name, table.table_name, operation.columns, **names)
                    )
                    index.undo = []
                    using = f"{alter} ADD CONSTRAINT {quote(name)} UNIQUE USING INDEX {quote(name)}"
                    after += [index, execute(using, operation.reverse())]
                case ops.CreateForeignKeyOp(constraint_name=name):
                    operation.kw["postgresql_not_valid"] = True
                    nothing = ops.ModifyTableOps(table.table_name, [])
                    after.append(execute(f"{alter} VALIDATE CONSTRAINT {quote(name)}", nothing))
                    continue
                case _:
                    continue
            table.ops.remove(operation)
    found[:] = [step for step in found if not isinstance(step, ops.ModifyTableOps) or step.ops]
    steps = {
        what: made for what, made in (("beforehand", before), ("", found), ("afterwards", after)) if made
    }
    scripts = []
    for what, made in steps.items():
        upgrade = ops.UpgradeOps(made)
        message = f"{script.message}: {what}" if what and len(steps) > 1 else script.message
        scripts.append(
            ops.MigrationScript(rev_id(), upgrade, upgrade.reverse(), message=message, head=script.head)
        )
    return scripts
