"""One way to the database: what a test sees is what happens in production, whatever a view does with its session."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection

import pytest
import ways
from apiflask import APIFlask
from service.extensions import db
from sqlalchemy import text

TABLES = """
CREATE TABLE ways (id integer PRIMARY KEY, n integer);
CREATE TABLE cutting (id integer);
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON cutting DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut();
"""
Ask = Callable[[str, str], tuple[int, str]]


@pytest.fixture(scope="module")
def tables(app: APIFlask) -> Iterator[None]:
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(TABLES)
    yield
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE ways, cutting; DROP FUNCTION cut")


@pytest.fixture(scope="module")
def in_a_test(tables: None) -> Iterator[Ask]:
    app = ways.create_app()

    def ask(method: str, path: str) -> tuple[int, str]:
        response = app.test_client().open(path, method=method)
        return response.status_code, response.text

    yield ask
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def through_gunicorn(tables: None, served: int) -> Ask:
    def ask(method: str, path: str) -> tuple[int, str]:
        with closing(HTTPConnection("127.0.0.1", served, timeout=10)) as connection:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    return ask


@pytest.fixture(params=["in_a_test", "through_gunicorn"])
def ask(request: pytest.FixtureRequest, app: APIFlask, tables: None) -> Ask:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("TRUNCATE ways, cutting"))
        connection.execute(text("INSERT INTO ways VALUES (1, 1)"))
    return request.getfixturevalue(request.param)


def said(answer: tuple[int, str]) -> object:
    assert answer[0] == 200, answer
    return json.loads(answer[1])


@pytest.mark.parametrize("method", ways.METHODS)
def test_every_method_has_an_ordinary_transaction(ask: Ask, method: str) -> None:
    assert ask(method, "/stream")[1].split() == [str(number) for number in range(1, 1001)]
    assert said(ask(method, "/rollback")) == {"ids": [1]}
    assert said(ask(method, "/forgotten")) == {"ids": [1, 10]}
    assert ask(method, "/failing")[0] == 500
    assert said(ask(method, "/rows")) == {"ids": [1]}
    assert said(ask(method, "/savepoint")) == {"ids": [1, 10, 12]}
    assert said(ask(method, "/rows")) == {"ids": [1, 10, 12]}
    assert said(ask(method, "/setting")) == {"inside": "7MB", "afterwards": "4MB"}
    assert said(ask(method, "/isolation")) == {"level": "serializable"}
    assert said(ask(method, "/level")) == {"level": "read committed"}


def test_a_failed_view_leaves_nothing(ask: Ask, app: APIFlask) -> None:
    ask("GET", "/failing")
    with app.app_context():
        assert db.session.scalar(text("SELECT n FROM ways")) == 1


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/locked", 503, "Another change was under way. Try again."),
        ("/slow", 504, "The database took longer than a request may wait."),
        ("/cut", 503, "The database cannot be reached."),
        (
            "/cut-while-committing",
            503,
            "The connection to the database was lost while the change was made: it may have been. "
            "Look before you try again.",
        ),
        ("/read-only", 503, "The database takes no changes at the moment."),
        ("/full", 507, "The database has no space left."),
        ("/deadlock", 503, "Another change was under way. Try again."),
        ("/out-of-range", 422, "A value is none that the database can store."),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_database_refuses_is_told_as_it_is(
    ask: Ask, method: str, path: str, status: int, detail: str
) -> None:
    began = time.monotonic()
    answered, body = ask(method, path)
    assert time.monotonic() - began < 3
    assert (answered, json.loads(body).get("detail")) == (status, detail)
    assert said(ask(method, "/rows")) == {"ids": [1]}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_is_lost_after_its_last_query_matters_to_nobody(ask: Ask, method: str) -> None:
    assert said(ask(method, "/lost-after-reading")) == {"ids": [1]}
    answered, body = ask(method, "/lost-before-commit")
    assert (answered, json.loads(body)["status"]) == (503, 503)
    assert said(ask(method, "/rows")) == {"ids": [1]}


def test_two_that_wait_for_each_other_are_told(ask: Ask) -> None:
    with ThreadPoolExecutor(2) as pool:
        began = [pool.submit(ask, "POST", f"/lock-two/{order}") for order in ("1-2", "2-1")]
        answers = [future.result() for future in began]
    assert sorted(status for status, _ in answers) == [200, 503]
    refused = next(json.loads(body) for status, body in answers if status == 503)
    assert refused["detail"] == "Another change was under way. Try again."


def test_a_disk_that_had_no_space_left_is_told(ask: Ask) -> None:
    assert ask("POST", "/full")[0] == 507
    answer = said(ask("GET", "/readyz"))
    assert (answer["status"], answer["checks"]["database"]) == ("degraded", "has no space left")
