"""The invoices' table."""

import enum
from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Enum, ForeignKey, Identity, Numeric, String, func
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base


class State(enum.Enum):
    """How far an invoice is."""

    draft = "draft"
    paid = "paid"


class Invoice(Base):
    """An invoice."""

    __tablename__ = "invoices"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    number: Mapped[str] = mapped_column(String(20))
    state: Mapped[State] = mapped_column(Enum(State, name="invoice_state"), server_default="draft")
    total: Mapped[Decimal] = mapped_column(Numeric(12, 2), server_default="0")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    # More columns.
    # Still more.
