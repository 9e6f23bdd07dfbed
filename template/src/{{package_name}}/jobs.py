# The template's: copier update merges it.
"""Background jobs with Celery, bound to the application as Flask's documentation shows."""

from pathlib import Path
from typing import Any

import structlog
from apiflask import APIFlask
from billiard.util import get_logger
from celery import Celery, Task, signals
from flask import current_app, g
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from .config import Settings

# A task that runs longer is stopped, and one whose worker vanished is delivered again after the last
# of these (seconds); compose.yaml gives the worker longer than the hard limit to stop.
SOFT_TIME_LIMIT = 50
TIME_LIMIT = 60
VISIBILITY_TIMEOUT = 120
# A query of a job is given up after this long (seconds), above PostgreSQL's own limit in compose.yaml.
QUERY_SECONDS = 15

# The worker touches this file while its main loop turns and the broker answers; its health check reads the time.
HEARTBEAT = Path("/tmp/worker-heartbeat")  # noqa: S108

log = structlog.get_logger()


def init_app(app: APIFlask, settings: Settings) -> None:
    """Create the Celery application of a Flask application, as ``app.extensions["celery"]``."""

    class FlaskTask(Task):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                g.query_seconds = QUERY_SECONDS
                return self.run(*args, **kwargs)

    timeouts = {"socket_connect_timeout": 0.5, "socket_timeout": 5.0}
    celery = Celery(app.import_name, task_cls=FlaskTask)
    celery.conf.update(
        broker_url=str(settings.redis_url),
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT, **timeouts},
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_soft_time_limit=SOFT_TIME_LIMIT,
        task_time_limit=TIME_LIMIT,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.worker_concurrency,
        worker_hijack_root_logger=False,
    )
    celery.set_default()
    app.extensions["celery"] = celery


def enqueue(task: Task, *args: Any) -> None:
    """Hand a task to the workers, with the request's id for their logs.

    With the broker out of reach the task is logged as lost and the caller goes on, at once: Celery would
    try again for seconds.
    """
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    try:
        current_app.extensions["redis"].ping()
        task.apply_async(args, headers={"request_id": request_id})
    except (OperationalError, RedisError) as error:
        log.error("task lost", task=task.name, args=args, error=str(error))


@signals.setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Leave the logs as the application set them up, and let those of the worker's processes join them."""
    get_logger().propagate = True


@signals.task_prerun.connect
def bind_request_id(task: Task, task_id: str, **_: Any) -> None:
    """Put the id of the request that caused a task into the task's log lines."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, request_id=task.request.get("request_id"))


@signals.heartbeat_sent.connect
def touch_heartbeat(**_: Any) -> None:
    """Show the health check that the worker lives."""
    HEARTBEAT.touch()
