# The template's: copier update merges it.
"""What a server does at its start: it holds its environment against the contract, and remembers where that was kept."""

import json
from collections.abc import Iterator
from hashlib import sha256

import psycopg
import structlog
from flask import Flask
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from psycopg import sql
from pydantic_settings import BaseSettings

from .comparison import check
from .contract import contract
from .environment import CONNECT_SECONDS
from .report import CannotLook

# A comment on the migrations' own table, which outlives every container: which contract was kept last, and by which server,
# so that a copy of the data elsewhere says nothing.
KEPT = "Parity was kept: {}"
QUERY = "SELECT obj_description(to_regclass('alembic_version')), system_identifier FROM pg_control_system()"

log = structlog.get_logger()


def check_at_start(app: Flask) -> None:
    """Log whether this environment keeps the contract; where it must, stop the process if it never did.

    A server that cannot be asked stops nothing: the service answers without it, and recovers. Nor does what somebody changed
    since this contract was kept here: a restart would take down what served a minute ago. ``/readyz`` and ``/metrics`` tell.

    Raises:
        SystemExit: with status 1, on drift where PARITY is ``enforce`` and nothing with this contract served before.
    """
    settings = app.extensions["parity"]
    try:
        report = check(settings)
    except CannotLook as error:
        raise SystemExit(error.message) from None
    told = {"kept": log.info, "unknown": log.warning, "drift": log.error}[report.verdict]
    differing = [row for row in report.rows if row.level in ("error", "warning", "unknown")]
    differences = {row.key: f"{row.level}: expected {row.expected}, found {row.found}" for row in differing}
    told("parity", verdict=report.verdict, checked=len(report.rows), differences=differences)
    app.extensions["drift"] = ", ".join(row.key for row in report.rows if row.level == "error")
    if report.verdict == "kept":
        kept(settings, remember=True)
    elif report.verdict == "drift" and settings.parity == "enforce":
        if not kept(settings):
            raise SystemExit(1)
        log.error("serves nonetheless", because="it did while this contract was kept here")


def kept(settings: BaseSettings, remember: bool = False) -> bool:
    """Return whether this contract was the last that was kept in this environment; note that it is, if told to."""
    url = str(dict(settings)["database_url"])
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
            ((found, server),) = connection.execute(QUERY)
            stated = json.dumps([contract(), server], sort_keys=True)
            mark = KEPT.format(sha256(stated.encode()).hexdigest())
            if remember and found != mark:
                connection.execute(sql.SQL("COMMENT ON TABLE alembic_version IS {}").format(mark))
    except psycopg.Error as error:
        # A role that does not own the table, or no migration that made it.
        log.warning("parity is not remembered", error=str(error).strip())
        return False
    return bool(found == mark)


class Drift(Collector):
    """How this environment differed from the contract when the server started, in the metrics."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def collect(self) -> Iterator[Metric]:
        """Count the differences."""
        drift: str = self.app.extensions["drift"]
        number = drift.count(", ") + 1 if drift else 0
        yield GaugeMetricFamily("parity_drift", "Differences from the contract at the start.", number)
