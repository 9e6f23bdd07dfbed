"""Constructs that teams use."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    FetchedValue,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Sequence,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import (
    CIDR,
    CITEXT,
    HSTORE,
    INET,
    JSONB,
    TSTZRANGE,
    TSVECTOR,
    ExcludeConstraint,
    Range,
)
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship
from sqlalchemy.types import UserDefinedType

from ..extensions import Base
from .models import Invoice


class Money(TypeDecorator[Any]):
    """Cents."""

    impl = Numeric(12, 2)
    cache_ok = True


class Guid(TypeDecorator[Any]):
    """A type whose implementation depends on the dialect."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        """Return it."""
        return (
            dialect.type_descriptor(Uuid())
            if dialect.name == "postgresql"
            else dialect.type_descriptor(String(36))
        )


class Ltree(UserDefinedType[Any]):
    """A path."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return its name."""
        return "ltree"


class Xml(UserDefinedType[Any]):
    """XML."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return its name."""
        return "XML"


invoice_tags = Table(
    "invoice_tags",
    Base.metadata,
    Column("invoice_id", ForeignKey("invoices.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
)
ticket = Sequence("ticket_numbers", start=1000, metadata=Base.metadata)


class Tag(Base):
    """A tag."""

    __tablename__ = "tags"
    __table_args__ = (
        CheckConstraint("length(name) > 0", name="name_not_empty"),
        UniqueConstraint("name", "parent_id", postgresql_nulls_not_distinct=True),
        Index("ix_tags_lower_name", text("lower(name)"), unique=True),
        Index("ix_tags_live", "name", postgresql_where=text("parent_id IS NULL")),
        Index("ix_tags_cover", "name", postgresql_include=["color"]),
        Index("ix_tags_desc", text("name DESC"), "id"),
        {"comment": "Tags: what's said of an invoice"},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, comment="as people's mouths say it: 100%")
    color: Mapped[str] = mapped_column(String(7), server_default="#ffffff")
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("tags.id", deferrable=True, initially="DEFERRED")
    )
    parent = relationship("Tag", remote_side=[id])
    invoices: Mapped[list[Invoice]] = relationship(secondary=invoice_tags)


class Everything(Base):
    """All types."""

    __tablename__ = "everything"
    __table_args__ = (
        PrimaryKeyConstraint("region", "number"),
        ExcludeConstraint(("room", "="), ("during", "&&"), using="gist", name="no_overlap"),
        Index("ix_everything_document", "document", postgresql_using="gin"),
        Index("ix_everything_words", "words", postgresql_using="gin"),
        Index("ix_everything_names", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    )

    region: Mapped[str] = mapped_column(String(2))
    number: Mapped[int] = mapped_column(Integer, ticket, server_default=ticket.next_value())
    room: Mapped[int]
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    document: Mapped[dict[str, Any]] = mapped_column(
        MutableDict.as_mutable(JSONB), server_default=text("'{}'::jsonb")
    )
    labels: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    key: Mapped[UUID] = mapped_column(Uuid, server_default=func.gen_random_uuid())
    guid: Mapped[Any | None] = mapped_column(Guid)
    address: Mapped[str | None] = mapped_column(INET)
    network: Mapped[str | None] = mapped_column(CIDR)
    name: Mapped[str] = mapped_column(Text, server_default="")
    words: Mapped[Any] = mapped_column(TSVECTOR, Computed("to_tsvector('english', name)", persisted=True))
    doubled: Mapped[int] = mapped_column(Computed("room * 2", persisted=True))
    price: Mapped[Decimal] = mapped_column(Money, server_default="0")
    email: Mapped[str | None] = mapped_column(CITEXT, unique=True)
    more: Mapped[dict[str, str] | None] = mapped_column(HSTORE)
    path: Mapped[str | None] = mapped_column(Ltree)
    paths: Mapped[list[str] | None] = mapped_column(ARRAY(Ltree))
    xml: Mapped[str | None] = mapped_column(Xml)
    took: Mapped[timedelta] = mapped_column(Interval, server_default=text("'1 hour'"))
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    day: Mapped[date] = mapped_column(server_default=func.current_date())
    clock: Mapped[time | None]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    ratio: Mapped[float] = mapped_column(server_default="1.5")
    seen: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=text("now() + interval '1 day'")
    )
    touched: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), server_onupdate=FetchedValue())


class Part(Base):
    """Has a composite foreign key."""

    __tablename__ = "parts"
    __table_args__ = (ForeignKeyConstraint(["region", "number"], ["everything.region", "everything.number"]),)

    id: Mapped[int] = mapped_column(primary_key=True)
    region: Mapped[str] = mapped_column(String(2))
    number: Mapped[int]


class Party(Base):
    """The base of an inheritance."""

    __tablename__ = "parties"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "party"}

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str]
    shout = column_property(func.upper(text("name")))


class Company(Party):
    """A table joined."""

    __tablename__ = "companies"
    __mapper_args__ = {"polymorphic_identity": "company"}

    id: Mapped[int] = mapped_column(ForeignKey("parties.id"), primary_key=True)
    vat: Mapped[str | None] = mapped_column(String(20))


class Person(Party):
    """In the same table."""

    __mapper_args__ = {"polymorphic_identity": "person"}

    born: Mapped[date | None]


class Event(Base):
    """Partitioned."""

    __tablename__ = "events"
    __table_args__ = {"postgresql_partition_by": "RANGE (happened_at)"}

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    happened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    what: Mapped[str] = mapped_column(Text, index=True)


class Ledger(Base):
    """In a schema with an odd name."""

    __tablename__ = "entries"
    __table_args__ = {"schema": "Old Ledger"}

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    event: Mapped[int] = mapped_column(ForeignKey("invoices.id"))


Invoice.tag_count = column_property(
    select(func.count()).where(invoice_tags.c.invoice_id == Invoice.id).scalar_subquery()
)
