# The template's: copier update merges it.
"""What `flask db migrate` finds beyond Alembic: enums, schemas, sequences, and types of the service's own."""

from collections.abc import Iterator
from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type, render_op, renderers
from alembic.operations import ops
from alembic_postgresql_enum import compare_dispatch
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp
from sqlalchemy import Connection, Enum, TypeDecorator, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSchema, CreateSequence, DropSchema, DropSequence

# Tables that no model names: partitions, and those of an extension.
HIDDEN = """
SELECT nullif(nspname, current_schema()), relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relispartition OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
"""
# It would read an enum's type back from its repr, where a name may have "Enum" in it: render_item writes the type.
vars(compare_dispatch)["add_create_type_false"] = lambda _: None
# PostgreSQL, with types as a person writes them.
DIALECT: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
DIALECT.type_descriptor = lambda typeobj: typeobj
quote = DIALECT.identifier_preparer.quote


class Step(ops.OpContainer):
    """Operations and what undoes them; in a block of their own, if PostgreSQL refuses them in a transaction."""

    def __init__(self, do: Any, undo: list[Any], block: bool = False) -> None:
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


def execute(sql: str, undo: str = "") -> Step:
    """Return what runs SQL, and other SQL that undoes it."""
    return Step([ops.ExecuteSQLOp(sql)], [ops.ExecuteSQLOp(undo)] if undo else [ops.ModifyTableOps("", [])])


def options(connection: Connection) -> dict[str, Any]:
    """Return what Alembic compares the database and the models by."""
    hidden = {tuple(row) for row in connection.execute(text(HIDDEN))}

    def include_object(item: Any, name: str, kind: str, reflected: bool, counterpart: Any) -> bool:
        return not (kind == "table" and reflected and counterpart is None and (item.schema, name) in hidden)

    return {"include_schemas": True, "include_object": include_object, "render_item": render_item}


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Write a type of the service's own as what it is to the database: a migration outlives the code."""
    own = not type(item).__module__.startswith("sqlalchemy.")
    if kind == "type" and own and isinstance(item, TypeDecorator):
        return _repr_type(item.load_dialect_impl(DIALECT), context)
    if kind == "type" and isinstance(item, Enum) and item.native_enum:
        # Its type is made before the table.
        context.imports.add("from sqlalchemy.dialects import postgresql")
        schema = f"schema={item.schema!r}, " if item.schema else ""
        return f"postgresql.ENUM({', '.join(map(repr, item.enums))}, name={item.name!r}, {schema}create_type=False)"
    if kind == "type" and own:
        context.imports.add(f"import {type(item).__module__}")
    return False


def complete(context: Any, found: list[Any]) -> list[Any]:
    """Return what was found, and what makes the schemas and sequences that the models name."""
    metadata, there = context.opts["target_metadata"], inspect(context.connection)
    schemas = {table.schema for table in metadata.tables.values() if table.schema} - {
        *there.get_schema_names()
    }
    made: list[Any] = [(CreateSchema(schema), DropSchema(schema)) for schema in sorted(schemas)]
    for sequence in metadata._sequences.values():
        if sequence.schema in schemas or not there.has_sequence(sequence.name, sequence.schema):
            made.append((CreateSequence(sequence), DropSequence(sequence)))
    first = [execute(*(str(ddl.compile(dialect=DIALECT)) for ddl in pair)) for pair in made]
    return [
        *first,
        *(step for operation in found for step in expanded(operation, context.dialect.default_schema_name)),
    ]


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
            yield Step(
                execute(f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {' BEFORE '.join(members)}").ops, []
            )
