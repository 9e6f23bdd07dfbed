# The template's: copier update merges it.
"""Probes: does the process live, and can it serve?"""

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Literal

from apiflask import APIBlueprint
from flask import current_app
from pydantic import BaseModel
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from structlog import get_logger

from parity.contract import CLOCK_SECONDS, known_migrations, migration_head, migrations
from parity.release import standstill

from .extensions import db, limiter
from .security import public

NO_CHANGES, NO_SPACE = "takes no changes", "has no space left"

log = get_logger()
bp = APIBlueprint("health", __name__, tag="Health")


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """What the service needs, and whether it is there."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, str]


NOT_READY: dict[int | str, dict[str, str | dict[str, dict[str, Any]]]] = {
    503: {
        "description": "Not ready",
        "content": {"application/json": {"schema": Readiness.model_json_schema()}},
    }
}


@bp.get("/livez")
@public
@limiter.exempt
@bp.output(Liveness)
def livez() -> dict[str, str]:
    """Tell whether the process lives.

    Nothing else is asked, so that an outage elsewhere restarts nothing.
    """
    return {"status": "ok"}


@bp.get("/readyz")
@public
@bp.output(Readiness)
@bp.doc(responses=NOT_READY)
def readyz() -> tuple[dict[str, Any], int]:
    """Tell whether requests can be served.

    Without the cache they can, more slowly, and without changes some of them: that is `degraded`, and not an error. So are
    clocks that are apart, and an environment that differs from what the repository states.
    """
    checks = {"database": check_database(), "cache": check_cache()}
    if drift := current_app.extensions["drift"]:
        checks["parity"] = f"drifted before the start: {drift}"
    if checks["database"] not in ("ok", NO_CHANGES, NO_SPACE):
        return {"status": "unavailable", "checks": checks}, 503
    if (clock := check_clock()) != "ok":
        checks["clock"] = clock
    return {"status": "ok" if set(checks.values()) == {"ok"} else "degraded", "checks": checks}, 200


def check_database() -> str:
    """Return ``ok`` if the database answers and its schema is the one this code was written for, or a newer one.

    A newer release migrates before its code takes requests, and this one has to serve until then.
    """
    expected = migration_head()
    # A service without migrations has no such table.
    table = "(VALUES ('none')) AS none (version_num)" if expected == "none" else "alembic_version"
    query = text(f"SELECT version_num, current_setting('transaction_read_only') FROM {table}")  # noqa: S608
    try:
        rows = db.session.execute(query).all()
    except SQLAlchemyError as error:
        log.warning("database not ready", error=str(error.__cause__ or error))
        return "unreachable or without migrations"
    found = ", ".join(sorted(version for version, _ in rows)) or "none"
    behind = found != expected and known_migrations().issuperset(found.split(", "))
    if ", " in expected:
        return standstill(migrations(), [])
    if behind:
        return f"at migration {found}, expected {expected}"
    if any(read_only == "on" for _, read_only in rows):
        return NO_CHANGES
    # No question tells: most changes find room in pages that are there. What requests were told does.
    return NO_SPACE if monotonic() < current_app.extensions["full_until"] else "ok"


def check_clock() -> str:
    """Return ``ok`` if the database's clock and this one agree."""
    allowed, asked = timedelta(seconds=CLOCK_SECONDS), datetime.now(UTC)
    there: datetime = db.session.scalars(text("SELECT clock_timestamp()")).one()
    if asked - allowed <= there <= datetime.now(UTC) + allowed:
        return "ok"
    return f"{(there - asked).total_seconds():+.0f} s at the database"


def check_cache() -> str:
    """Return ``ok`` if the cache takes what it is given."""
    client: Redis = current_app.extensions["redis"]
    try:
        client.set("readyz", "", ex=1)
    except ResponseError as error:
        log.warning("cache not ready", error=str(error))
        return NO_CHANGES
    except RedisError as error:
        log.warning("cache not ready", error=str(error))
        return "unreachable"
    return "ok"
