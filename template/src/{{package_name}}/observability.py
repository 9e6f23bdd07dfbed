# The template's: copier update merges it.
"""Structured logs on standard output and Prometheus metrics, one line and one observation a request."""

import atexit
import logging
import os
import re
import sys
import time
import uuid
from pathlib import Path
from threading import Lock, Timer

import structlog
from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, g, request

# Each process keeps its numbers in files here, which /metrics adds up; set before prometheus_client is imported.
METRICS_DIR = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
METRICS_DIR.mkdir(parents=True, exist_ok=True)

from parity.metrics import identify  # noqa: E402

identify()

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

from .config import Settings  # noqa: E402
from .security import auth  # noqa: E402

# How long (seconds) the line of a request may wait for others to be written with.
BATCH_SECONDS = 0.1

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# Each value of a label is a series that stays: what callers invent is none.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
REQUEST_SECONDS = Histogram(
    "http_request_duration_seconds", "Time from a request to its response.", ["method", "route", "status"]
)


class BatchedOutput:
    """Standard output for the lines of requests, which are written together a few times a second.

    Whoever reads the logs is woken by each write: for Docker, a line on its own is several times the work of
    one among twenty. A killed process takes the last of these lines with it, and no other.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.lock = Lock()
        atexit.register(self.write_lines)

    def write(self, line: str) -> None:
        """Keep a line for the next batch."""
        with self.lock:
            if not self.lines:
                timer = Timer(BATCH_SECONDS, self.write_lines)
                timer.daemon = True
                timer.start()
            self.lines.append(line)

    def flush(self) -> None:
        """Do nothing: structlog asks for it after each line."""

    def write_lines(self) -> None:
        """Write the lines so far."""
        with self.lock:
            lines, self.lines = self.lines, []
            if lines:
                print("".join(lines), end="", file=sys.__stdout__, flush=True)


requests_output = BatchedOutput()
request_log = structlog.get_logger(requests_output)
bp = APIBlueprint("metrics", __name__, enable_openapi=False)


def configure_logging(level: str, log_format: str) -> None:
    """Send what the application logs, and what its libraries log, to standard output in one format.

    Args:
        level: the lowest level to write, such as ``INFO``.
        log_format: ``json``, a line each, or ``console``, for a person.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda output=sys.__stdout__: structlog.WriteLogger(output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.__stdout__)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(level)


def start_request() -> None:
    """Take the request's id from the caller, or make one, and note the time."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def finish_request(response: Response) -> Response:
    """Return the request's id, and record route, status and duration (seconds) once the response is known."""
    seconds = time.perf_counter() - g.started
    route = request.url_rule.rule if request.url_rule else "unmatched"
    response.headers["X-Request-ID"] = g.request_id
    method = request.method if request.method in METHODS else "other"
    REQUEST_SECONDS.labels(method, route, response.status_code).observe(seconds)
    # An orchestrator's probes would drown the rest.
    record = request_log.debug if request.blueprint in ("health", "metrics") else request_log.info
    record(
        "request",
        method=request.method,
        route=route,
        path=request.path,
        status=response.status_code,
        seconds=round(seconds, 6),
        client=request.remote_addr,
        token=g.get("token_name"),
    )
    return response


@bp.get("/metrics")
@bp.auth_required(auth)
def metrics() -> Response:
    """Return the metrics of all processes in this container, for Prometheus."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    for collector in current_app.extensions["metrics"]:
        registry.register(collector)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def init_app(app: APIFlask, settings: Settings) -> None:
    """Bind logs and metrics to an application, before any other hook, so that they see every request."""
    configure_logging(settings.log_level, settings.log_format)
    # Collectors that a scrape asks for their numbers, beside what the processes count: an extension of yours adds its own.
    app.extensions["metrics"] = []
    app.before_request(start_request)
    app.after_request(finish_request)
    app.register_blueprint(bp)
