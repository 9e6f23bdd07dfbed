# The template's: copier update merges it.
"""The parity contract: what the repository states, held against what runs (https://12factor.net/dev-prod-parity).

It is stated once, where it takes effect: compose.yaml names the backing services and their settings, the
Dockerfile names Python, requirements.txt the packages, migrations/ the schema, and the settings' class the
configuration. The image carries these files, so that every environment can be asked whether it keeps them.
"""

from typing import Any

import structlog
from flask import Flask
from pydantic_settings import BaseSettings

from . import cli, page
from .comparison import check
from .report import CannotLook

log = structlog.get_logger()


def init_app(app: Flask, settings: BaseSettings, authorize: Any) -> None:
    """Bind the commands, and the page for whom a Flask-HTTPAuth object lets in, to an application.

    Of the settings' values, database_url, redis_url, parity and parity_snapshot are read.
    """
    app.extensions["parity"] = settings
    app.cli.add_command(cli.group)
    app.register_blueprint(page.blueprint(authorize))


def check_at_start(app: Flask) -> None:
    """Log whether this environment keeps the contract; where it must, stop the process if it does not.

    A server that cannot be asked stops nothing: the service answers without it, and recovers.

    Raises:
        SystemExit: with status 1, on drift where PARITY is ``enforce``.
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
    if report.verdict == "drift" and settings.parity == "enforce":
        raise SystemExit(1)
