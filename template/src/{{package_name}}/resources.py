# The template's: copier update merges it.
"""What the domains' routes share: a row or 404, a commit or 409, and pages cut by keyset."""

from collections.abc import Callable
from typing import Annotated, Any

from apiflask import HTTPError
from flask import request
from psycopg.errors import (
    ExclusionViolation,
    ForeignKeyViolation,
    NotNullViolation,
    RestrictViolation,
    UniqueViolation,
)
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from .extensions import Base, db


class PageQuery(BaseModel):
    """Which page: the rows after an id, at most this many."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class Page[Item](BaseModel):
    """A page of a list. A domain names its own: ``class UserPage(Page[UserOut])``."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Item]
    next_after: int | None = Field(description="The next page's `after`; null on the last page.")


def get_or_404[Model: Base](model: type[Model], ident: int, **belongs: object) -> Model:
    """Return the row with an id.

    Args:
        belongs: what else its columns have to be, such as the id of what it belongs to: ``invoice_id=7``.

    Raises:
        HTTPError: 404, if there is none.
    """
    row = db.session.get(model, ident)
    if row is None or any(getattr(row, name) != value for name, value in belongs.items()):
        raise HTTPError(404, f"There is no {model.__name__.lower()} {ident}.")
    return row


def is_conflict(error: IntegrityError) -> bool:
    """Whether other rows refuse a change: what a check or NOT NULL refuses, a schema should have refused before.

    But of a row that goes, SQLAlchemy takes the rows that belong to it away first, which NOT NULL refuses.
    """
    if isinstance(error.orig, NotNullViolation):
        return bool(request) and request.method == "DELETE"
    return isinstance(
        error.orig, UniqueViolation | ForeignKeyViolation | RestrictViolation | ExclusionViolation
    )


def commit_or_409(detail: str, **details: str) -> None:
    """Commit, unless it contradicts what is there.

    Raises:
        HTTPError: 409, as `flush_or_409` says.
    """
    write_or_409(db.session.commit, detail, details)


def flush_or_409(detail: str, **details: str) -> None:
    """Write what changed, unless it contradicts what is there: a new row has its id, and the transaction goes on.

    The database's constraints decide: a look beforehand could not see what another transaction is about to commit.

    Args:
        detail: what to say where another row is in the way: a value is taken, or a row is missing or still in use.
        details: what to say of a constraint by its name, a check too: ``ck_invoices_amount="Above the limit."``

    Raises:
        HTTPError: 409 with such a detail.
    """
    write_or_409(db.session.flush, detail, details)


def write_or_409(write: Callable[[], None], detail: str, details: dict[str, str]) -> None:
    """Do what writes, and say 409 where other rows refuse it."""
    try:
        write()
    except IntegrityError as error:
        db.session.rollback()
        name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        if name not in details and not is_conflict(error):
            raise
        raise HTTPError(409, details.get(name or "", detail)) from None


def get_page[Model: Base](
    query: Select[Model], key: InstrumentedAttribute[int], page: PageQuery
) -> dict[str, Any]:
    """Return a page of a query, in the order of a key that is unique and positive.

    It is cut by keyset (https://use-the-index-luke.com/no-offset): one costs the same however far in it lies.
    """
    rows = db.session.scalars(query.where(key > page.after).order_by(key).limit(page.limit + 1)).all()
    items = rows[: page.limit]
    last = getattr(items[-1], key.key) if len(rows) > page.limit else None
    return {"items": items, "next_after": last}
