# The template's: copier update merges it.
"""Background jobs with Celery, bound to the application as Flask's documentation shows."""

from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import structlog
from apiflask import APIFlask
from billiard.util import get_logger
from celery import Celery, Task, signals
from flask import Response, current_app, g
from sqlalchemy import event, func
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from parity.broker import VISIBILITY_TIMEOUT, broker

from .config import Settings
from .extensions import db
from .outbox import Backlog, Job, attempt, cli, hand_over, take_back

# A task that runs longer (seconds) is stopped; compose.yaml gives the worker longer than the hard limit to stop.
SOFT_TIME_LIMIT = 50
TIME_LIMIT = 60
# A query of a job is given up after this long (seconds), above PostgreSQL's own limit in compose.yaml.
QUERY_SECONDS = 15

# The worker touches this file while its main loop turns and the broker answers; its health check reads the time.
HEARTBEAT = Path("/tmp/worker-heartbeat")  # noqa: S108

# How often (seconds) the worker looks for what is due, and how long it pauses where that fails.
HAND_OVER_SECONDS, PAUSE_SECONDS = 0.2, 2
# Whether a session has a job that no commit made certain.
UNCOMMITTED = "uncommitted job"

log = structlog.get_logger()


def init_app(app: APIFlask, settings: Settings) -> None:
    """Create the Celery application of a Flask application, as ``app.extensions["celery"]``."""

    class FlaskTask(Task):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                g.query_seconds = QUERY_SECONDS
                # What was sent in another way, by Celery's own delay(), is in no table.
                if not (job_id := self.request.get("job")):
                    return self.run(*args, **kwargs)
                with attempt(job_id) as is_now:
                    done = self.run(*args, **kwargs) if is_now else None
                    commit_jobs()
                    return done

    timeouts = {"socket_connect_timeout": 0.5, "socket_timeout": 5.0}
    celery = Celery(app.import_name, task_cls=FlaskTask)
    celery.conf.update(
        **broker(str(settings.redis_url)),
        broker_connection_retry_on_startup=True,
        # However long the broker is away, full or read-only.
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT, **timeouts},
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
    app.after_request(commit_jobs_of_request)
    app.extensions["metrics"].append(Backlog())
    app.cli.add_command(cli)

    stop = Event()

    def start(sender: Any, **_: Any) -> None:
        Thread(target=keep_handing_over, args=(app, sender, stop), daemon=True).start()

    def forget_connections(**_: Any) -> None:
        """Leave the connections of the worker's main process to it."""
        with app.app_context():
            db.engine.dispose(close=False)

    signals.worker_ready.connect(start, weak=False)
    signals.worker_process_init.connect(forget_connections, weak=False)
    signals.worker_shutting_down.connect(lambda **_: stop.set(), weak=False)


def enqueue(task: Task, *args: Any, countdown: float = 0) -> None:
    """Have a worker do a task, once the transaction is committed in which this is called.

    Asked for before the commit, it stands or falls with the change. What a view asks for after its last commit is committed
    before the answer is sent.

    Args:
        args: what JSON can say, such as an id, which ``db.session.flush()`` gives to a new row.
        countdown: how long (seconds) it is not to begin.
    """
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    run_at = func.now() + timedelta(seconds=countdown)
    db.session.add(Job(task=task.name, args=[*args], request_id=request_id, run_at=run_at))
    db.session.info[UNCOMMITTED] = True


@event.listens_for(Session, "after_commit")
@event.listens_for(Session, "after_rollback")
def forget_uncommitted(session: Session) -> None:
    """Forget that a job waits for a commit: it has had one, or a rollback."""
    if not session.in_nested_transaction():
        session.info.pop(UNCOMMITTED, None)


def commit_jobs() -> None:
    """Commit what was asked for after the last commit."""
    if db.session.info.get(UNCOMMITTED):
        db.session.commit()


def commit_jobs_of_request(response: Response) -> Response:
    """Commit what a request asked for after its last commit, and say so where that fails."""
    try:
        if response.status_code < 400:
            commit_jobs()
    except SQLAlchemyError as error:
        return current_app.make_response(current_app.handle_user_exception(error))
    return response


def is_taking(consumer: Any) -> bool:
    """Whether a worker takes jobs: it has a broker, and nobody told it to leave its queue alone."""
    taking = consumer.task_consumer
    return bool(taking and taking.consuming_from(consumer.app.conf.task_default_queue))


def keep_handing_over(app: APIFlask, consumer: Any, stop: Event) -> None:
    """Hand over what is due, until the worker stops, and while it takes jobs itself."""
    celery: Celery = app.extensions["celery"]
    pause, connected = HAND_OVER_SECONDS, None
    while not stop.wait(pause):
        pause = HAND_OVER_SECONDS
        with app.app_context():
            g.query_seconds = QUERY_SECONDS
            try:
                if consumer.task_consumer is not connected:
                    take_back()
                    connected = consumer.task_consumer
                while is_taking(consumer) and hand_over(celery):
                    pass
            except Exception as error:
                # Whatever is away, the database or the broker: this has to be there when it is back.
                log.warning("jobs wait", error=str(error.__cause__ or error) or repr(error))
                pause = PAUSE_SECONDS


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
