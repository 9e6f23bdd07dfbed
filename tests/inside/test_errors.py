"""Every error is a problem detail with the request's id and without internals."""

import json

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pydantic import BaseModel
from service import create_app
from service.config import load_settings
from service.extensions import db


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/users/0", {}, 404),
        ("PUT", "/users", {}, 405),
        ("POST", "/users", {"data": "{"}, 400),
        ("POST", "/users", {"data": "null"}, 400),
        ("PATCH", "/users/1", {"data": "null"}, 400),
        ("POST", "/users", {"json": {}}, 422),
        ("POST", "/users", {"data": "x" * (1024 * 1024 + 1)}, 413),
        ("GET", "/users", {"headers": {"Authorization": "Bearer wrong"}}, 401),
    ],
)
def test_problem_details(
    client: FlaskClient, method: str, path: str, options: dict[str, object], status: int
) -> None:
    """Client errors have the members of RFC 9457 and the request's id."""
    response = client.open(path, method=method, **options)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert response.json["status"] == status
    assert response.json["instance"] == path
    assert response.json["request_id"] == response.headers["X-Request-ID"]


def test_allowed_methods_are_named(client: FlaskClient) -> None:
    """A 405 keeps the header that HTTP asks for."""
    assert "POST" in client.put("/users").headers["Allow"]


def test_unexpected_error(app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is answered without its message or stack trace."""

    def fail(user_id: int) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setitem(app.view_functions, "users.get", fail)
    response = client.get("/users/1")
    assert response.status_code == 500
    assert response.mimetype == "application/problem+json"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert response.json["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("method", "moment", "statement", "status"),
    [
        ("PATCH", "commit", "DELETE FROM users", 409),
        ("PATCH", "answer", "DELETE FROM users", 404),
        ("PATCH", "commit", "UPDATE users SET display_name = 'Other'", 200),
        ("DELETE", "commit", "DELETE FROM users", 204),
        ("DELETE", "commit", "UPDATE users SET display_name = 'Other'", 204),
    ],
)
def test_whoever_comes_second_is_told(
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    moment: str,
    statement: str,
    status: int,
) -> None:
    """A change or a deletion by somebody else, between what a request reads and what it writes or answers."""
    location = client.post("/users", json={"username": "ada", "display_name": "Ada"}).headers["Location"]
    commit = db.session.commit

    def overtaken() -> None:
        if moment == "answer":
            commit()
        with db.engine.begin() as other:
            other.exec_driver_sql(statement)
        if moment == "commit":
            commit()

    monkeypatch.setattr(db.session, "commit", overtaken)
    response = client.open(
        location, method=method, json={"display_name": "Ada L."} if method == "PATCH" else None
    )
    assert response.status_code == status
    if status >= 400:
        assert response.mimetype == "application/problem+json"


def test_an_answer_is_no_longer_than_what_provoked_it(client: FlaskClient) -> None:
    """Of many fields at fault, the first are named."""
    sent = json.dumps({f"field-{number}": number for number in range(1000)})
    response = client.post("/users", data=sent, content_type="application/json")
    assert response.status_code == 422
    assert 1 < len(response.json["errors"]["json"]) < 50
    assert len(response.data) < len(sent)


def test_what_a_caller_writes_is_taken_for_no_deletion(
    app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of the service's stays one, whatever the value says that it meets."""

    class Number(BaseModel):
        value: int

    monkeypatch.setitem(
        app.view_functions, "users.get", lambda **_: Number(value="ObjectDeletedError: Instance")
    )
    assert client.get("/users/1").status_code == 500


def test_rate_limit(app: APIFlask, client: FlaskClient) -> None:
    """A caller above the limit is told when to come back."""
    limited = create_app(load_settings().model_copy(update={"rate_limit": "2 per minute"}))
    caller = limited.test_client()
    for path, status in {"/users": 401, "/nowhere": 404, "/readyz": 200}.items():
        responses = [caller.get(path, environ_base={"REMOTE_ADDR": "192.0.2.7"}) for _ in range(3)]
        assert [response.status_code for response in responses] == [status, status, 429], path
        assert 1 <= int(responses[-1].headers["Retry-After"]) <= 60
    for _ in range(3):
        assert caller.get("/livez", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200
    with limited.app_context():
        db.engine.dispose()


def test_database_out_of_reach() -> None:
    """Without PostgreSQL the API answers 503, and says when to come back."""
    unreachable = "postgresql://nobody@127.0.0.1:1/nothing"
    app = create_app(load_settings().model_copy(update={"database_url": unreachable}))
    response = app.test_client().get("/users/1", headers={"Authorization": "Bearer test"})
    assert response.status_code == 503
    assert response.mimetype == "application/problem+json"
    assert response.headers["Retry-After"]
    assert app.test_client().get("/readyz").status_code == 503


def test_cache_out_of_reach(client: FlaskClient, app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the cache server the API answers all the same, and says that it is degraded."""
    pool = app.extensions["redis"].connection_pool
    pool.reset()
    monkeypatch.setitem(pool.connection_kwargs, "port", 1)
    assert client.get("/readyz").json["status"] == "degraded"
    assert client.post("/users", json={"username": "ada", "display_name": "Ada"}).status_code == 201
    assert client.get("/users/summary").status_code == 200
    pool.reset()
