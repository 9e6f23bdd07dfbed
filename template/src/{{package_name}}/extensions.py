"""The Flask extensions, created here without an application and bound to one by the factory."""

import select
from collections.abc import Callable
from typing import Any

from flask import current_app, has_request_context, request
from flask_caching import Cache
from flask_limiter import Limiter
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from redis.exceptions import RedisError
from sqlalchemy import MetaData, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import Pool
from structlog import get_logger

from .security import rate_limit_key


class Base(DeclarativeBase):
    """The base of all models. Named constraints can be found again by migrations and error handlers."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
migrate = Migrate(render_as_batch=False)
cache = Cache()
limiter = Limiter(key_func=rate_limit_key, default_limits=[lambda: current_app.config["RATE_LIMIT"]])

log = get_logger()


@event.listens_for(Pool, "checkout")
def prepare_connection(connection: Any, *_: Any) -> None:
    """Make an idle connection ready for what it is about to serve.

    One that PostgreSQL has closed has its end to read: unlike a ping, this look waits for nothing.
    A request that only reads goes without the round trips of BEGIN and ROLLBACK: at READ COMMITTED
    each query sees for itself, in a transaction or not. So a GET must not write.

    Raises:
        DisconnectionError: which makes the pool connect again.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError
    reads = has_request_context() and request.method in ("GET", "HEAD")
    if connection.autocommit is not reads:
        connection.autocommit = reads


def forget(function: Callable[..., Any]) -> None:
    """Drop every cached result of a memoized function, after the commit that made them wrong.

    A reader that began before the commit stores its stale result under the function's former
    version, where nobody looks. With the cache out of reach, a result lasts as long as its timeout.
    """
    try:
        cache.delete_memoized(function)  # type: ignore[arg-type]
    except RedisError as error:
        log.warning("cache out of reach", function=function.__name__, error=str(error))
