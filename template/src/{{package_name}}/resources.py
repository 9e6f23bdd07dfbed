# The template's: copier update merges it.
"""What the domains' routes share: a row or 404, a commit or 409, and pages cut by keyset."""

from typing import Annotated, Any

from apiflask import HTTPError
from psycopg.errors import UniqueViolation
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


def get_or_404[Model: Base](model: type[Model], ident: int) -> Model:
    """Return the row with an id.

    Raises:
        HTTPError: 404, if there is none.
    """
    row = db.session.get(model, ident)
    if row is None:
        raise HTTPError(404, f"There is no {model.__name__.lower()} {ident}.")
    return row


def commit_or_409(detail: str) -> None:
    """Commit, unless it contradicts what is there.

    The database's unique constraint decides: a look beforehand could not see what another transaction is about to
    commit.

    Raises:
        HTTPError: 409 with this detail, if a value is taken that has to be unique.
    """
    try:
        db.session.commit()
    except IntegrityError as error:
        db.session.rollback()
        if not isinstance(error.orig, UniqueViolation):
            raise
        raise HTTPError(409, detail) from None


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
