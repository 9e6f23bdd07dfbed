# The template's: copier update merges it.
"""Every error as a problem detail (RFC 9457), with the request's id and without internals."""

import time
from itertools import islice
from typing import Any

import psycopg
from apiflask import APIFlask, HTTPError
from flask import Response, current_app, g, json, request
from psycopg import errors as refused
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError
from structlog import get_logger
from werkzeug.http import HTTP_STATUS_CODES

from parity.connection import CommitUnknown

from .extensions import db, limiter
from .resources import is_conflict

RETRY_AFTER_SECONDS = 5
MOST_ERRORS = 20
# How long (seconds) a disk that had no space left is taken to have none.
FULL_SECONDS = 5
# What is true when PostgreSQL refuses something (https://www.postgresql.org/docs/current/errcodes-appendix.html), the
# first that fits: 503 only where trying again helps.
REFUSALS: list[tuple[tuple[type[Exception], ...], int, str]] = [
    (
        (CommitUnknown,),
        503,
        "The connection to the database was lost while the change was made: it may have been. Look before you try again.",
    ),
    ((refused.QueryCanceled,), 504, "The database took longer than a request may wait."),
    (
        (refused.DeadlockDetected, refused.LockNotAvailable, refused.SerializationFailure),
        503,
        "Another change was under way. Try again.",
    ),
    ((refused.ReadOnlySqlTransaction,), 503, "The database takes no changes at the moment."),
    ((refused.DiskFull,), 507, "The database has no space left."),
    ((psycopg.DataError,), 422, "A value is none that the database can store."),
    ((psycopg.OperationalError, psycopg.InterfaceError), 503, "The database cannot be reached."),
]

log = get_logger()


class Problem(BaseModel):
    """A problem detail, as documented in the API."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    instance: str
    request_id: str


class ValidationProblem(Problem):
    """A problem detail that names the fields at fault, by where they stand in the request."""

    errors: dict[str, dict[str, list[str]]]


def problem_response(status: int, detail: str | None = None, **members: Any) -> Response:
    """Return a problem detail.

    Args:
        status: the HTTP status code.
        detail: what happened this time, for a person.
        members: further members, such as ``errors``.
    """
    body = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Unknown error"),
        "status": status,
        "detail": detail,
        "instance": request.path,
        "request_id": g.request_id,
        **members,
    }
    body = {name: value for name, value in body.items() if value is not None}
    return Response(json.dumps(body), status, mimetype="application/problem+json")


def first_errors(found: dict[str, Any]) -> dict[str, Any]:
    """Return the first fields at fault in each part of a request: an answer is not much longer than what provoked it."""
    return {
        part: dict(islice(fields.items(), MOST_ERRORS)) if isinstance(fields, dict) else fields
        for part, fields in found.items()
    }


def from_http_error(error: HTTPError) -> Response:
    """Turn what a view, a validation or Werkzeug raised into a problem detail."""
    if isinstance(error.detail, dict) and error.detail:
        response = problem_response(error.status_code, error.message, errors=first_errors(error.detail))
    else:
        title = HTTP_STATUS_CODES.get(error.status_code)
        detail = error.message if error.message != title else None
        response = problem_response(error.status_code, detail)
    response.headers.extend(error.headers)
    limit = limiter.current_limit
    if error.status_code == 429 and limit:
        response.headers["Retry-After"] = str(max(1, int(limit.reset_at - time.time())))
    return response


def database_refused(error: DBAPIError | PoolTimeoutError) -> Response:
    """Answer what is true of an error of the database; the next request tries again.

    Raises:
        DBAPIError: if it is a mistake of this service's.
    """
    db.session.rollback()
    cause = error.orig if isinstance(error, DBAPIError) else psycopg.OperationalError()
    refusal = next((each for each in REFUSALS if isinstance(cause, each[0])), None)
    if refusal is None:
        raise error
    _, status, detail = refusal
    if status != 422:
        if status == 507:
            current_app.extensions["full_until"] = time.monotonic() + FULL_SECONDS
        log.error("database unavailable", error=str(error.__cause__ or error))
    response = problem_response(status, detail)
    if status == 503 and not isinstance(cause, CommitUnknown):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def conflict(error: IntegrityError) -> Response:
    """Answer 409 where other rows refuse a change before its commit says so better (``commit_or_409``)."""
    db.session.rollback()
    if not is_conflict(error):
        raise error
    return problem_response(409, "This contradicts what is stored.")


def overtaken(error: StaleDataError | ObjectDeletedError | ValidationError) -> Response:
    """Answer what is true of a row that somebody else has changed or deleted since this request read it.

    What a view returns may be such a row, and pydantic, which reads it, repeats the cause in words only.

    Raises:
        ValidationError: if it is another mistake.
    """
    deleted = isinstance(error, ObjectDeletedError)
    if isinstance(error, ValidationError):
        causes = [each["ctx"]["error"] for each in error.errors() if each["type"] == "get_attribute_error"]
        if not any(cause.startswith(f"{ObjectDeletedError.__name__}: ") for cause in causes):
            raise error
        deleted = True
    db.session.rollback()
    if deleted:
        return problem_response(404, "It was deleted meanwhile.")
    return problem_response(409, "It was changed or deleted meanwhile.")


def init_app(app: APIFlask) -> None:
    """Bind the error handlers to an application. An unexpected error is logged by Flask and answered as a 500."""
    app.config["HTTP_ERROR_SCHEMA"] = Problem.model_json_schema()
    app.config["VALIDATION_ERROR_SCHEMA"] = ValidationProblem.model_json_schema()
    app.config["VALIDATION_ERROR_DESCRIPTION"] = "The request does not match the schema"
    app.error_processor(from_http_error)
    app.extensions["full_until"] = 0.0  # By time.monotonic().
    for failed in (DBAPIError, PoolTimeoutError):
        app.register_error_handler(failed, database_refused)
    app.register_error_handler(IntegrityError, conflict)
    for late in (StaleDataError, ObjectDeletedError, ValidationError):
        app.register_error_handler(late, overtaken)
