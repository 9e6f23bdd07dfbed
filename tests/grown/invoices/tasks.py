"""The invoices' background jobs."""

from celery import shared_task


@shared_task
def remind(invoice_id: int) -> None:
    """Remind of an invoice."""
