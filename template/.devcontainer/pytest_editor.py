# The template's: copier update merges it.
"""`pytest` in the dev container: on development's servers, apart from its data, which the tests would delete.

The image's stage "editor" names it in PYTEST_PLUGINS. With jobs, the service test-worker has the same two addresses.
"""

import importlib
import os
from pathlib import Path

import psycopg
import pytest
from flask_migrate import upgrade
from sqlalchemy import make_url

DEVELOPMENT, TESTS = os.environ["DATABASE_URL"], "tests"

os.environ |= {
    "DATABASE_URL": make_url(DEVELOPMENT).set(database=TESTS).render_as_string(hide_password=False),
    "REDIS_URL": make_url(os.environ["REDIS_URL"]).set(database="1").render_as_string(hide_password=False),
    # The token "test", and the log, as compose.test.yaml has them.
    "API_TOKENS": "test:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "LOG_FORMAT": "json",
    "PROMETHEUS_MULTIPROC_DIR": "/tmp/tests-metrics",  # noqa: S108
}


@pytest.fixture(scope="session", autouse=True)
def own_database() -> None:
    """Make the tests' database anew, by the migrations as they are now."""
    with psycopg.connect(DEVELOPMENT, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {TESTS} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {TESTS}")
    with importlib.import_module(os.environ["FLASK_APP"]).create_app().app_context():
        upgrade(str(Path(__file__).parents[1] / "migrations"))
