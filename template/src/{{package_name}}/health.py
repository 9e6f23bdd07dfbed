# The template's: copier update merges it.
"""Probes: does the process live, and can it serve?"""

from typing import Any, Literal

from apiflask import APIBlueprint
from flask import current_app
from pydantic import BaseModel
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from structlog import get_logger

from parity.contract import known_migrations, migration_head, migrations
from parity.release import standstill

from .extensions import db, limiter
from .security import public

log = get_logger()
bp = APIBlueprint("health", __name__, tag="Health")
limiter.exempt(bp)


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

    Without the cache they can, more slowly: that is `degraded`, and not an error.
    """
    checks = {"database": check_database(), "cache": check_cache()}
    if checks["database"] != "ok":
        return {"status": "unavailable", "checks": checks}, 503
    return {"status": "ok" if checks["cache"] == "ok" else "degraded", "checks": checks}, 200


def check_database() -> str:
    """Return ``ok`` if the database answers and its schema is the one this code was written for, or a newer one.

    A newer release migrates before its code takes requests, and this one has to serve until then.
    """
    expected = migration_head()
    # A service without migrations has no such table.
    query = text("SELECT 'none'" if expected == "none" else "SELECT version_num FROM alembic_version")
    try:
        found = ", ".join(sorted(db.session.scalars(query))) or "none"
    except SQLAlchemyError as error:
        log.warning("database not ready", error=str(error.__cause__ or error))
        return "unreachable or without migrations"
    behind = found != expected and known_migrations().issuperset(found.split(", "))
    if ", " in expected:
        return standstill(migrations(), [])
    return f"at migration {found}, expected {expected}" if behind else "ok"


def check_cache() -> str:
    """Return ``ok`` if the cache answers."""
    client: Redis = current_app.extensions["redis"]
    try:
        client.ping()
    except RedisError as error:
        log.warning("cache not ready", error=str(error))
        return "unreachable"
    return "ok"
