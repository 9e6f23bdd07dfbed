"""The Flask extensions, created here without an application and bound to one by the factory."""

from collections.abc import Callable
from typing import Any

from flask import current_app
from flask_caching import Cache
from flask_limiter import Limiter
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from redis.exceptions import RedisError
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase
from structlog.stdlib import get_logger

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
migrate = Migrate(compare_type=True)
cache = Cache()
limiter = Limiter(key_func=rate_limit_key, default_limits=[lambda: current_app.config["RATE_LIMIT"]])

log = get_logger(__name__)


def forget(function: Callable[..., Any]) -> None:
    """Drop every cached result of a memoized function, after the commit that made them wrong.

    A reader that began before the commit stores its stale result under the function's former
    version, where nobody looks. With the cache out of reach, a result lasts as long as its timeout.
    """
    try:
        cache.delete_memoized(function)  # type: ignore[arg-type]
    except RedisError as error:
        log.warning("cache out of reach", function=function.__name__, error=str(error))
