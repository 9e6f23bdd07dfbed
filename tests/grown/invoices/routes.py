"""The invoices' API."""

from apiflask import APIBlueprint
from pydantic import BaseModel, ConfigDict

from ..extensions import db
from ..security import auth
from .models import Invoice, State
from .tasks import remind as remind

bp = APIBlueprint("invoices", __name__, url_prefix="/invoices", tag="Invoices")


class InvoiceCreate(BaseModel):
    """What a caller says of a new invoice."""

    user_id: int
    number: str
    state: State = State.draft


class InvoiceOut(InvoiceCreate):
    """An invoice."""

    model_config = ConfigDict(from_attributes=True)

    id: int


@bp.before_request
@bp.auth_required(auth)
def require_token() -> None:
    """Ask every route below for a token."""


@bp.post("")
@bp.input(InvoiceCreate, arg_name="data")
@bp.output(InvoiceOut, status_code=201)
def create(data: InvoiceCreate) -> tuple[Invoice, int]:
    """Create an invoice."""
    invoice = Invoice(**data.model_dump())
    db.session.add(invoice)
    db.session.commit()
    return invoice, 201
