"""Probes, metrics, documentation, logs and headers."""

import json
import time
from datetime import datetime, timedelta, tzinfo
from ipaddress import ip_network

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from service import create_app, health, observability
from service.config import load_settings
from service.extensions import db
from sqlalchemy import text

OPEN_ROUTES = {"/", "/livez", "/readyz", "/openapi.json", "/docs/", "/docs/<path:path>"}
OPEN_ROUTES |= {"/static/<path:filename>", "/parity/static/<path:filename>"}
ANONYMOUS = {"Authorization": ""}


def test_the_front_door_leads_a_person_to_the_documentation(client: FlaskClient) -> None:
    """A browser is sent on to the page."""
    response = client.get("/", headers={**ANONYMOUS, "Accept": "text/html,*/*;q=0.8"})
    assert (response.status_code, response.headers["Location"]) == (302, "/docs")
    page = client.get("/docs", headers=ANONYMOUS, follow_redirects=True)
    assert (page.status_code, page.mimetype) == (200, "text/html")


def test_the_front_door_tells_a_program_where_to_go_on(app: APIFlask, client: FlaskClient) -> None:
    """Name, version and links, none of which needs a token."""
    document = client.get("/", headers=ANONYMOUS).json
    assert (document["name"], document["version"]) == (app.title, app.version)
    assert document["links"]
    for link in document["links"].values():
        with client.get(link, headers=ANONYMOUS, follow_redirects=True) as response:
            assert response.status_code == 200, link


def test_livez(client: FlaskClient) -> None:
    """The process lives."""
    assert client.get("/livez").json == {"status": "ok"}


def test_readyz(client: FlaskClient) -> None:
    """Everything is there, and the schema is the one this code was written for."""
    assert client.get("/readyz").json == {"status": "ok", "checks": {"database": "ok", "cache": "ok"}}


def test_readyz_tells_of_clocks_that_are_apart(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service goes on; its clock is to be set."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=1)

    monkeypatch.setattr(health, "datetime", Ahead)
    response = client.get("/readyz")
    assert (response.status_code, response.json["status"]) == (200, "degraded")
    assert response.json["checks"]["clock"] in {"-3600 s at the database", "-3599 s at the database"}


@pytest.mark.parametrize(("migration", "status"), [("of-a-newer-release", 200), ("none", 503)])
def test_readyz_between_two_releases(client: FlaskClient, app: APIFlask, migration: str, status: int) -> None:
    """The old release serves on the new one's schema until that takes over; no release serves on an older schema."""
    with app.app_context(), db.engine.connect() as connection:
        before = connection.scalar(text("SELECT version_num FROM alembic_version"))
        change = text("UPDATE alembic_version SET version_num = :migration")
        for found, answered in ((migration, status), (before, 200)):
            connection.execute(change, {"migration": found})
            connection.commit()
            assert client.get("/readyz").status_code == answered


def test_every_other_route_asks_for_a_token(app: APIFlask) -> None:
    """No token, no answer."""
    for rule in app.url_map.iter_rules():
        if rule.rule in OPEN_ROUTES:
            continue
        path = rule.rule.replace("<int:user_id>", "1")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            response = app.test_client().open(path, method=method, headers={"Authorization": "Bearer wrong"})
            assert response.status_code == 401, f"{method} {rule.rule} needs no token"
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_metrics(client: FlaskClient) -> None:
    """A request is counted under its route, not its path."""
    client.get("/users/0")
    labels = 'method="GET",route="/users/<int:user_id>",status="404"'
    assert f"http_request_duration_seconds_count{{{labels}}}" in client.get("/metrics").text


def test_what_callers_invent_is_no_label(client: FlaskClient) -> None:
    """A hundred methods, paths and hosts make as many series as two."""

    def invent(numbers: range) -> int:
        for number in numbers:
            client.open(f"/nowhere/{number}", method=f"BREW{number}", headers={"Host": f"h{number}"})
            client.open(f"/users/{number}?{number}", method="BREW")
        return len(client.get("/metrics").text.splitlines())

    assert invent(range(1000, 1002)) == invent(range(2000, 2100))


def test_documentation_needs_no_internet(client: FlaskClient) -> None:
    """The page loads its scripts and styles from this service."""
    page = client.get("/docs/").text
    assert "/openapi.json" in page
    assert "http://" not in page.replace("http://localhost/", "")
    assert "https://" not in page
    with client.get("/docs/swagger-ui-bundle.js") as script:
        assert script.status_code == 200


def test_openapi(client: FlaskClient) -> None:
    """The document is OpenAPI 3.1 and knows the users, their errors and the token."""
    document = client.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    operation = document["paths"]["/users"]["post"]
    assert {"201", "401", "409", "422", "429", "503"} <= set(operation["responses"])
    assert operation["security"] == [{"BearerAuth": []}]


def test_request_id(client: FlaskClient) -> None:
    """A caller's id comes back; one that does not look like an id is replaced."""
    assert client.get("/livez", headers={"X-Request-ID": "abc-123"}).headers["X-Request-ID"] == "abc-123"
    assert client.get("/livez", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_log_line(app: APIFlask, capfd: pytest.CaptureFixture[str]) -> None:
    """A request is logged as one line of JSON, and no token is."""
    client = create_app(load_settings().model_copy(update={"log_format": "json"})).test_client()
    client.get("/openapi.json", headers={"X-Request-ID": "abc-123", "Authorization": "Bearer hush"})
    observability.requests_output.write_lines()
    output = capfd.readouterr().out
    line = json.loads(output.splitlines()[-1])
    assert (line["request_id"], line["route"], line["status"]) == ("abc-123", "/openapi.json", 200)
    assert line["seconds"] >= 0
    assert "hush" not in output


def test_log_lines_share_a_write(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The lines of requests wait for each other, but not for long, and none is lost."""
    monkeypatch.setattr(observability, "BATCH_SECONDS", 0.1)
    output = observability.BatchedOutput()
    output.write("one\n")
    output.write("two\n")
    assert capfd.readouterr().out == ""
    time.sleep(0.5)
    assert capfd.readouterr().out == "one\ntwo\n"


def test_security_headers(client: FlaskClient) -> None:
    """Browsers are told to trust nothing but the documentation's own assets."""
    headers = client.get("/livez").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "default-src 'self'" in client.get("/docs/").headers["Content-Security-Policy"]


@pytest.mark.parametrize(("peer", "client"), [("10.1.2.3", "203.0.113.9"), ("192.0.2.1", "192.0.2.1")])
def test_forwarded_headers(peer: str, client: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Only a trusted proxy may say who the client is."""
    changes = {"trusted_proxies": (ip_network("10.0.0.0/8"),), "log_format": "json"}
    app = create_app(load_settings().model_copy(update=changes))
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    app.test_client().get("/openapi.json", headers=forwarded, environ_base={"REMOTE_ADDR": peer})
    observability.requests_output.write_lines()
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["client"] == client
