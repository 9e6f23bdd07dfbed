# The template's: copier update merges it.
"""The parity contract: what the repository states, held against what runs (https://12factor.net/dev-prod-parity).

It is stated once, where it takes effect: compose.yaml names the backing services and their settings, the
Dockerfile names Python, requirements.txt the packages, migrations/ the schema, and the settings' class the
configuration. The image carries these files, so that every environment can be asked whether it keeps them.
"""

from typing import Any

from flask import Flask
from pydantic_settings import BaseSettings

from . import cli, page
from .start import Drift, check_at_start

__all__ = ["check_at_start", "init_app"]


def init_app(app: Flask, settings: BaseSettings, authorize: Any) -> None:
    """Bind the commands, and the page for whom a Flask-HTTPAuth object lets in, to an application.

    Of the settings' values, database_url, redis_url, parity and parity_snapshot are read. What differed at the start is
    ``app.extensions["drift"]``, the names of the facts.
    """
    app.extensions |= {"parity": settings, "drift": ""}
    app.extensions.setdefault("metrics", []).append(Drift(app))
    app.cli.add_command(cli.group)
    app.register_blueprint(page.blueprint(authorize))
