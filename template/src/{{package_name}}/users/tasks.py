"""The users' background jobs."""

from celery import shared_task
from sqlalchemy import func, update
from sqlalchemy.exc import OperationalError

from ..extensions import db
from .models import User


@shared_task(autoretry_for=(OperationalError,), retry_backoff=True, retry_backoff_max=30, max_retries=10)
def welcome(user_id: int) -> None:
    """Welcome a user, once: a task may be delivered twice, so a second run changes nothing."""
    unwelcomed = update(User).where(User.id == user_id, User.welcomed_at.is_(None))
    db.session.execute(unwelcomed.values(welcomed_at=func.now()))
    db.session.commit()
