# The template's: copier update merges it.
"""A connection to PostgreSQL for which nobody waits longer than there is time.

A server that stands still stops its own clocks too, statement_timeout among them, while the system below goes on
acknowledging what it is sent: only a deadline on this side ends the wait.
"""

import select
from time import monotonic
from typing import Any, Self

import psycopg
from flask import g, has_app_context
from psycopg.errors import QueryCanceled, _WaitTimeout

# How long (seconds) a server that lives takes, at most, to hear that its answer is not waited for any more, and to say so.
CANCEL_SECONDS = 0.3
# How long (seconds) an idle connection may take to show that it lives, before another takes its place.
PING_SECONDS = 0.5
# How long (seconds) nobody waits for a server that did not answer: who queued behind those who did would wait twice.
SILENCE_SECONDS = 1


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time."""


class CommitUnknown(psycopg.OperationalError):
    """The connection was lost during a commit, which may have been made."""


def time_limit() -> float | None:
    """Return how long (seconds) each query may take, which ``g.query_seconds`` says; None outside of requests and jobs."""
    limit: float | None = g.get("query_seconds") if has_app_context() else None
    return limit


class Connection(psycopg.Connection[Any]):
    """A connection whose queries are cancelled at the time limit, and that knows what its loss means."""

    silent_until = 0.0  # By time.monotonic(); one for the process.
    is_pinged = False

    @staticmethod
    def check_silence() -> None:
        """Raise `NoAnswer` within a request or a job, if the server did not answer just now."""
        if monotonic() < Connection.silent_until and time_limit() is not None:
            raise NoAnswer("the server did not answer just now")

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Self:
        """Connect, but not to a server that did not answer just now (`NoAnswer`), or whose name nobody resolved."""
        cls.check_silence()
        began = monotonic()
        try:
            return super().connect(*args, **options)
        except psycopg.OperationalError:
            if monotonic() > began + PING_SECONDS:
                Connection.silent_until = monotonic() + SILENCE_SECONDS
            raise

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Wait for an answer: after the time limit a server that lives says `QueryCanceled`; else this closes, `NoAnswer`."""
        limit = None if args or options else PING_SECONDS if self.is_pinged else time_limit()
        if limit is None:
            return super().wait(gen, *args, **options)
        try:
            self.check_silence()
            return super().wait(gen, timeout=limit)
        except NoAnswer:
            self.close()
            raise
        except _WaitTimeout:
            if self.is_pinged:
                raise
            try:
                self.cancel_safe(timeout=CANCEL_SECONDS)
                return super().wait(gen, timeout=CANCEL_SECONDS)
            except QueryCanceled:
                raise
            except psycopg.OperationalError:
                self.close()
                Connection.silent_until = monotonic() + SILENCE_SECONDS
                raise NoAnswer(f"no answer within {limit} seconds") from None

    def lives(self, idle: bool) -> bool:
        """Whether the connection is there: asked of the server if it was idle, or has something to read, such as its end."""
        look = select.poll()
        look.register(self.fileno(), select.POLLIN)
        try:
            if idle or look.poll(0):
                self.is_pinged = self.autocommit = True
                self.execute("")
                self.is_pinged = self.autocommit = False
        except psycopg.OperationalError:
            self.close()
        return not self.closed

    def commit(self) -> None:
        """Commit, or raise `CommitUnknown` if the connection was lost meanwhile."""
        lost = self.closed
        try:
            super().commit()
        except psycopg.OperationalError as error:
            if self.closed and not lost:
                raise CommitUnknown(str(error)) from error
            raise

    def rollback(self) -> None:
        """Roll back, which the server does by itself if it has lost its client."""
        try:
            super().rollback()
        except psycopg.OperationalError:
            if not self.closed:
                raise
