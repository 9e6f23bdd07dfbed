# The template's: copier update merges it.
"""The jobs that are not done, in the database: what a request asked for is there with what it changed, or not at all.

The worker hands them to the broker, which may lose them: a job is forgotten when it is done, and not before.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from celery import Celery
from flask.cli import AppGroup
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import DateTime, String, Text, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column
from structlog import get_logger

from .extensions import Base, db

# How often a job is tried: after the last failure, or the last end of its process, it is kept aside.
MOST_ATTEMPTS = 8
# How long (seconds) until a job that failed is tried again, which doubles each time: the last comes after some ten minutes.
FIRST_DELAY = 5
# A job that the broker says nothing of for this long (seconds) is handed over again.
SILENT_SECONDS = 120
# One that was begun is nobody's again after this long (seconds), above the hard limit of a task (jobs.py).
LEASE_SECONDS = 65
# How many the broker has at a time.
MOST_HANDED = 100

log = get_logger()


class Job(Base):
    """A job that is not done."""

    __tablename__ = "jobs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    task: Mapped[str] = mapped_column(String(200))
    args: Mapped[list[Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    run_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), index=True)
    handed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), index=True)
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    failed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


# SKIP LOCKED: several workers hand over side by side.
HAND_OVER = text("""
    UPDATE jobs SET handed_at = clock_timestamp(), started_at = NULL WHERE id IN (
        SELECT id FROM jobs
        WHERE failed_at IS NULL AND run_at <= clock_timestamp()
            AND (handed_at IS NULL OR handed_at < clock_timestamp() - make_interval(secs => :silent)
                OR started_at < clock_timestamp() - make_interval(secs => :lease))
        ORDER BY run_at
        LIMIT greatest(0, :most - (
            SELECT count(*) FROM jobs WHERE handed_at >= clock_timestamp() - make_interval(secs => :silent)
        ))
        FOR UPDATE SKIP LOCKED
    ) RETURNING id, task, args, request_id
""").bindparams(silent=SILENT_SECONDS, lease=LEASE_SECONDS)
TAKE_BACK = text("UPDATE jobs SET handed_at = NULL WHERE id = ANY(:ids)")
TAKE_ALL_BACK = text("UPDATE jobs SET handed_at = NULL WHERE handed_at IS NOT NULL AND started_at IS NULL")
BEGIN = text("""
    UPDATE jobs SET attempts = attempts + 1, started_at = clock_timestamp()
    WHERE id = :id AND failed_at IS NULL
        AND (started_at IS NULL OR started_at < clock_timestamp() - make_interval(secs => :lease))
    RETURNING attempts
""").bindparams(lease=LEASE_SECONDS)
LATER = text("""
    UPDATE jobs SET run_at = clock_timestamp() + make_interval(secs => :delay), handed_at = NULL, started_at = NULL,
        error = :error
    WHERE id = :id
""")
ASIDE = text("UPDATE jobs SET failed_at = clock_timestamp(), handed_at = NULL, error = :error WHERE id = :id")
DONE = text("DELETE FROM jobs WHERE id = :id")


def hand_over(celery: Celery) -> int:
    """Give the broker what is due, and return how many jobs it took.

    Raises:
        Exception: what the broker's client does where it takes no more: the rest is still due.
    """
    with db.engine.begin() as connection:
        due = connection.execute(HAND_OVER, {"most": MOST_HANDED}).all()
    taken = 0
    try:
        for job in due:
            headers = {"job": str(job.id), "request_id": job.request_id}
            celery.send_task(job.task, job.args, task_id=str(job.id), headers=headers, retry=False)
            taken += 1
    except Exception:
        with db.engine.begin() as connection:
            connection.execute(TAKE_BACK, {"ids": [job.id for job in due[taken:]]})
        raise
    return taken


def take_back() -> None:
    """Have what nobody has begun handed over again: the broker may have lost it. What it has twice is done once."""
    with db.engine.begin() as connection:
        connection.execute(TAKE_ALL_BACK)


def begin(job_id: str) -> bool:
    """Whether a job is to be done now: it is not if it was done, if somebody does it, or if it was tried too often."""
    with db.engine.begin() as connection:
        attempts = connection.scalar(BEGIN, {"id": job_id})
        if attempts and attempts > MOST_ATTEMPTS:
            error = f"each of {MOST_ATTEMPTS} attempts ended with its process"
            connection.execute(ASIDE, {"id": job_id, "error": error})
    return attempts is not None and attempts <= MOST_ATTEMPTS


def fail(job_id: str, error: Exception) -> None:
    """Have a job that failed tried again later, or keep it aside."""
    with db.engine.begin() as connection:
        attempts = connection.scalar(select(Job.attempts).where(Job.id == uuid.UUID(job_id))) or 1
        said = {"id": job_id, "error": repr(error)[:1000], "delay": FIRST_DELAY * 2 ** (attempts - 1)}
        connection.execute(LATER if attempts < MOST_ATTEMPTS else ASIDE, said)


@contextmanager
def attempt(job_id: str) -> Iterator[bool]:
    """Try a job: whether it is to be done now. It is forgotten if it is, and tried again if it fails."""
    if not begin(job_id):
        yield False
        return
    try:
        yield True
    except Exception as error:
        fail(job_id, error)
        raise
    with db.engine.begin() as connection:
        connection.execute(DONE, {"id": job_id})


class Backlog(Collector):
    """The jobs that are not done, of all processes, in the metrics."""

    def collect(self) -> Iterator[Metric]:
        """Count them, unless the database is out of reach."""
        due = Job.failed_at.is_(None) & (Job.run_at <= func.now())
        lag = func.coalesce(func.extract("epoch", func.now() - func.min(Job.run_at).filter(due)), 0)
        counts = func.count().filter(due), func.count().filter(Job.failed_at.is_not(None)), lag
        try:
            waiting, aside, seconds = db.session.execute(select(*counts).select_from(Job)).one()
        except SQLAlchemyError as error:
            log.warning("database out of reach", error=str(error.__cause__ or error))
            return
        yield GaugeMetricFamily("jobs_due", "Jobs whose time has come.", waiting)
        yield GaugeMetricFamily("jobs_aside", "Jobs that failed too often: flask jobs list.", aside)
        yield GaugeMetricFamily("jobs_lag_seconds", "The wait of the oldest job that is due.", float(seconds))


cli = AppGroup("jobs", help="Look after the jobs that failed too often, and are kept aside.")


@cli.command("list")
def list_aside() -> None:
    """List the jobs that are kept aside, the newest last."""
    for job in db.session.scalars(select(Job).where(Job.failed_at.is_not(None)).order_by(Job.failed_at)):
        click.echo(f"{job.id} {job.failed_at:%Y-%m-%dT%H:%M:%SZ} {job.task}{tuple(job.args)}: {job.error}")


@cli.command("retry")
@click.argument("ids", nargs=-1, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="Each of them.")
def retry(ids: tuple[uuid.UUID, ...], everything: bool) -> None:
    """Have the jobs with these ids done after all."""
    if bool(ids) == everything:
        raise click.UsageError("name the jobs by their ids, which flask jobs list shows, or say --all")
    aside = Job.failed_at.is_not(None) if everything else Job.failed_at.is_not(None) & Job.id.in_(ids)
    due = {"failed_at": None, "attempts": 0, "handed_at": None, "started_at": None, "run_at": func.now()}
    found = set(db.session.scalars(update(Job).where(aside).values(due).returning(Job.id)))
    if missing := sorted(map(str, set(ids) - found)):
        db.session.rollback()
        raise click.ClickException(f"kept aside is no job {', '.join(missing)}")
    db.session.commit()
    click.echo(f"{len(found)} jobs are due again")
