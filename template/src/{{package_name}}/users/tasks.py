"""The users' background jobs."""

from celery import shared_task
from sqlalchemy import func, update

from ..extensions import db
from .models import User


@shared_task
def welcome(user_id: int) -> None:
    """Welcome a user, once: a task that is cut off in the middle runs again, and a second run changes nothing."""
    unwelcomed = update(User).where(User.id == user_id, User.welcomed_at.is_(None))
    db.session.execute(unwelcomed.values(welcomed_at=func.now()))
    db.session.commit()
