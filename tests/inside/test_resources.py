"""What the domains share: a change that other rows refuse is the caller's to mend, whichever constraint says so."""

from collections.abc import Iterator

import pytest
from apiflask import APIFlask, HTTPError
from flask.testing import FlaskClient
from service.extensions import db
from service.resources import commit_or_409
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

TABLES = """
CREATE TABLE parents (id integer PRIMARY KEY, name text UNIQUE, CONSTRAINT ck_parents_name CHECK (name <> ''));
CREATE TABLE children (
    parent_id integer NOT NULL CONSTRAINT fk_children REFERENCES parents,
    during int4range,
    CONSTRAINT ex_children EXCLUDE USING gist (during WITH &&)
);
CREATE TABLE others (parent_id integer REFERENCES parents ON DELETE RESTRICT);
INSERT INTO parents VALUES (1, 'one'), (2, 'two');
INSERT INTO children VALUES (1, '[1,5)');
INSERT INTO others VALUES (2)
"""
REFUSED = {
    "unique": "INSERT INTO parents VALUES (3, 'one')",
    "foreign key": "INSERT INTO children VALUES (9)",
    "foreign key of another": "DELETE FROM parents WHERE id = 1",
    "restrict": "DELETE FROM parents WHERE id = 2",
    "exclusion": "INSERT INTO children VALUES (1, '[4,6)')",
}
CHECK = "INSERT INTO parents VALUES (3, '')"
NOT_NULL = "UPDATE children SET parent_id = NULL"


@pytest.fixture
def tables(app: APIFlask) -> Iterator[None]:
    """Tables that go with the test."""
    with app.app_context():
        db.session.execute(text(TABLES))
        db.session.commit()
        yield
        db.session.remove()
        db.session.execute(text("DROP TABLE others, children, parents"))
        db.session.commit()


def commit(statement: str, **details: str) -> None:
    """Run a statement while the commit flushes, as it does what a session was given."""
    event.listen(db.session(), "before_commit", lambda session: session.execute(text(statement)), once=True)
    commit_or_409("In the way.", **details)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_what_other_rows_refuse_is_a_conflict(statement: str) -> None:
    """With the detail that the route gave."""
    with pytest.raises(HTTPError) as raised:
        commit(statement)
    assert (raised.value.status_code, raised.value.message) == (409, "In the way.")


@pytest.mark.usefixtures("tables")
def test_a_constraint_has_a_detail_of_its_own() -> None:
    """Several can refuse one change; and a check counts where a route names it."""
    for statement, name in [(REFUSED["foreign key"], "fk_children"), (CHECK, "ck_parents_name")]:
        with pytest.raises(HTTPError) as raised:
            commit(statement, **{name: "Its own."})
        assert raised.value.message == "Its own."


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("statement", [CHECK, NOT_NULL])
def test_what_a_schema_should_have_refused_is_none(statement: str) -> None:
    """It is a bug of the service's, and not to be taken for the caller's."""
    with pytest.raises(IntegrityError):
        commit(statement)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("method", "path", "view", "statement", "status"),
    [
        ("POST", "/users", "create", REFUSED["unique"], 409),
        ("DELETE", "/users/1", "delete", REFUSED["restrict"], 409),
        # What SQLAlchemy does to the rows that belong to one that goes.
        ("DELETE", "/users/1", "delete", NOT_NULL, 409),
        ("POST", "/users", "create", NOT_NULL, 500),
        ("POST", "/users", "create", CHECK, 500),
    ],
)
def test_a_change_that_is_refused_before_its_commit(
    app: APIFlask,
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    view: str,
    statement: str,
    status: int,
) -> None:
    """By a flush, for example."""
    monkeypatch.setitem(app.view_functions, f"users.{view}", lambda **_: db.session.execute(text(statement)))
    response = client.open(path, method=method)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
