# The template's: copier update merges it.
"""What `flask db migrate` finds beyond Alembic: enums, schemas, sequences, and types of the service's own."""

from collections.abc import Iterator
from typing import Any, Literal

import alembic_postgresql_enum  # noqa: F401  (has Alembic see the types of enums)
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type
from alembic_postgresql_enum.add_create_type_false import get_replacement_type
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp
from sqlalchemy import Connection, Enum, TypeDecorator, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSchema, CreateSequence, DropSchema, DropSequence

from .steps import Step, execute, quote

# Tables that no model names: partitions, and those of an extension.
HIDDEN = """
SELECT nullif(relnamespace::regnamespace::text, current_schema()), relname FROM pg_class c WHERE relispartition
OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND deptype = 'e')
"""
# PostgreSQL, with types as a person writes them.
DIALECT: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
DIALECT.type_descriptor = lambda typeobj: typeobj


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
        impl: Any = item.load_dialect_impl(DIALECT)
        own_enum = isinstance(impl, Enum)
        return _repr_type(get_replacement_type(impl) if own_enum else impl, context)  # type: ignore[no-untyped-call]
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
