"""A generated service, asked from outside over HTTP."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from service import eventually

pytestmark = pytest.mark.service


@pytest.fixture
def user(service):
    """A user, deleted afterwards."""
    created = service.create("ada")
    assert created.status == 201, created.text
    yield created.json
    service.call(f"/users/{created.json['id']}", "DELETE")


def test_a_user_from_creation_to_deletion(service):
    created = service.create(" Grace ")
    assert created.status == 201
    user = created.json
    assert (user["username"], user["display_name"]) == ("grace", "Grace")
    assert created.headers["Location"] == f"/users/{user['id']}"

    shown = service.call(created.headers["Location"])
    assert shown.status == 200
    assert (
        shown.json.items()
        >= {name: user[name] for name in ("id", "username", "display_name", "created_at")}.items()
    )

    changed = service.call(f"/users/{user['id']}", "PATCH", {"display_name": "Rear Admiral 🚀"})
    assert (changed.status, changed.json["username"], changed.json["display_name"]) == (
        200,
        "grace",
        "Rear Admiral 🚀",
    )
    assert changed.json["updated_at"] > user["updated_at"]

    deleted = service.call(f"/users/{user['id']}", "DELETE")
    assert (deleted.status, deleted.text) == (204, "")
    assert service.call(f"/users/{user['id']}").status == 404


def test_pages_follow_each_other(service):
    ids = [service.create(f"page-{number}").json["id"] for number in range(5)]
    after, seen = ids[0] - 1, []
    while after is not None:
        page = service.call(f"/users?limit=2&after={after}").json
        seen.append([user["id"] for user in page["items"]])
        after = page["next_after"]
    assert seen == [ids[:2], ids[2:4], ids[4:]]
    for number in ids:
        service.call(f"/users/{number}", "DELETE")


def test_the_summary_follows_every_change(service):
    before = service.call("/users/summary").json["total"]
    user = service.create("counted").json
    assert service.call("/users/summary").json["total"] == before + 1
    service.call(f"/users/{user['id']}", "DELETE")
    assert service.call("/users/summary").json["total"] == before


ERRORS = {
    "no token": (401, "GET", "/users", {"token": None}),
    "wrong token": (401, "GET", "/users", {"token": "wrong"}),
    "no route": (404, "GET", "/nowhere", {}),
    "no user": (404, "GET", "/users/0", {}),
    "no method": (405, "PUT", "/users", {"body": {}}),
    "taken": (409, "POST", "/users", {"body": {"username": "ADA", "display_name": "Another"}}),
    "too large": (413, "POST", "/users", {"body": b"x" * (1024 * 1024 + 1)}),
    "no JSON": (400, "POST", "/users", {"body": b"{"}),
    "no field": (422, "POST", "/users", {"body": {"username": "b"}}),
    "a field too many": (
        422,
        "POST",
        "/users",
        {"body": {"username": "b", "display_name": "b", "admin": True}},
    ),
    "page too large": (422, "GET", "/users?limit=101", {}),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_a_problem_detail(service, user, case):
    status, method, path, options = ERRORS[case]
    answer = service.call(path, method, **options)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert {"type", "title", "status", "instance", "request_id"} <= problem.keys()
    assert (problem["status"], problem["instance"]) == (status, path.split("?")[0])
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert "Traceback" not in answer.text
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    if status == 405:
        assert set(re.findall(r"\w+", answer.headers["Allow"])) >= {"GET", "POST"}
    if status == 422:
        assert problem["errors"]


def test_one_of_many_equal_usernames_wins(service):
    with ThreadPoolExecutor(8) as pool:
        statuses = [answer.status for answer in pool.map(lambda _: service.create("contested"), range(8))]
    assert sorted(statuses) == [201, *[409] * 7]


def test_a_caller_above_the_limit_is_told_when_to_come_back(different):
    def call(_):
        return different.call("/users", token="wrong")

    try:
        with ThreadPoolExecutor(4) as pool:
            # The limit's window may turn over once while the calls run.
            limited = [answer for answer in pool.map(call, range(1250)) if answer.status != 401]
        assert {answer.status for answer in limited} == {429}
        assert limited[0].headers["Content-Type"] == "application/problem+json"
        assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in limited)
        assert different.call("/livez").status == 200
        assert different.call("/users").status == 200
    finally:
        different.compose("exec", "--no-TTY", different.cache, f"{different.cache}-cli", "FLUSHALL")


def test_the_documentation_loads_from_the_service_alone(service):
    page = service.call("/docs", token=None)
    assert page.status == 200
    assert "/openapi.json" in page.text
    assert not re.search(r"https?://(?!127\.0\.0\.1)", page.text)
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert assets
    assert not [address for address in assets if re.match(r"(https?:)?//", address)]
    for address in assets:
        assert (
            service.call(
                address if address.startswith("/") else f"/docs/{address.removeprefix('./')}", token=None
            ).status
            == 200
        )


def test_the_document_describes_the_service(service):
    document = service.call("/openapi.json", token=None).json
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == service.answers["project_name"]
    assert document["info"]["description"] == service.answers["description"]
    assert {"/users", "/users/summary", "/users/{user_id}", "/livez", "/readyz"} <= document["paths"].keys()
    responses = document["paths"]["/users"]["post"]["responses"]
    assert {"201", "401", "409", "422"} <= responses.keys()
    assert "application/problem+json" in responses["409"]["content"]


def test_the_probes_answer_without_a_token(service):
    assert service.call("/livez", token=None).json == {"status": "ok"}
    ready = service.call("/readyz", token=None)
    assert (ready.status, ready.json) == (200, {"status": "ok", "checks": {"database": "ok", "cache": "ok"}})


def test_metrics_add_up_across_the_processes(service):
    assert service.call("/metrics", token=None).status == 401
    sample = 'http_request_duration_seconds_count{method="GET",route="/users/<int:user_id>",status="404"} '

    def counted() -> float:
        lines = service.call("/metrics").text.splitlines()
        return sum(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))

    before = counted()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: service.call("/users/0"), range(60)))
    assert [counted() for _ in range(6)] == [before + 60] * 6


def test_every_answer_has_an_id_that_the_log_has_too(service):
    assert (
        service.call("/livez", headers={"X-Request-ID": "from-outside.1"}).headers["X-Request-ID"]
        == "from-outside.1"
    )
    assert re.fullmatch(
        r"[0-9a-f]{32}", service.call("/livez", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"]
    )
    made = service.call("/users/0").headers["X-Request-ID"]
    eventually(lambda: made in service.compose("logs", "--no-log-prefix", "--tail=50", "web"), 5)


def test_a_production_log_is_a_line_of_json_for_each_request(production):
    asked = production.call("/users/0?a=b")
    request_id = asked.headers["X-Request-ID"]

    def logged() -> list[str]:
        lines = production.compose("logs", "--no-log-prefix", "web").splitlines()
        return [line for line in lines if request_id in line]

    (line,) = eventually(logged, 5)
    entry = json.loads(line)
    expected = {
        "method": "GET",
        "route": "/users/<int:user_id>",
        "status": 404,
        "request_id": request_id,
        "token": "tests",
    }
    assert entry.items() >= expected.items()
    assert 0 < entry["seconds"] < asked.seconds
    for name in ("web", "worker", "migrate"):
        logs = production.run("docker", "logs", production.inspect(name)["Id"])
        # Celery itself prints a line when it is told to stop.
        lines = [
            line for line in logs.stdout.splitlines() if line and not line.startswith("worker: Warm shutdown")
        ]
        assert [line for line in lines if not line.startswith("{") or not json.loads(line)] == []
        assert production.token not in logs.stdout + logs.stderr


def test_browsers_are_told_what_not_to_trust(service):
    for path in ("/livez", "/users", "/nowhere"):
        headers = service.call(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "default-src 'self'" in service.call("/docs/").headers["Content-Security-Policy"]


def test_an_edit_is_served_without_a_command_even_after_a_broken_one(workspace):
    project = workspace.path / "src" / workspace.package / "project.py"
    text = project.read_text()
    edited = text.replace('VERSION = "1.0.0"', 'VERSION = "1.0.1"')
    assert edited != text

    def version() -> str:
        try:
            return workspace.call("/openapi.json", timeout=5).json["info"]["version"]
        except (OSError, ValueError):
            return ""

    restarts = workspace.inspect("web")["RestartCount"]
    project.write_text(edited)
    eventually(lambda: version() == "1.0.1", 15)
    seen = workspace.compose("logs", "web").count("SyntaxError")
    project.write_text(edited + "\ndef (\n")
    eventually(lambda: workspace.compose("logs", "web").count("SyntaxError") > seen, 15)
    project.write_text(text)
    eventually(lambda: version() == "1.0.0", 15)
    eventually(workspace.ready)
    assert workspace.inspect("web")["RestartCount"] == restarts


def test_a_new_user_is_welcomed_by_the_worker(default):
    user = default.create("newcomer").json
    assert user["welcomed_at"] is None
    eventually(lambda: default.call(f"/users/{user['id']}").json["welcomed_at"], 15)


def test_the_worker_outlives_its_broker_in_development_too(default):
    default.compose("restart", "--timeout=1", default.cache)
    user = default.create("outlives").json
    eventually(lambda: default.call(f"/users/{user['id']}").json["welcomed_at"], 30)


def test_what_the_document_says_holds(default):
    """By schemathesis, with every check, stateful too: what it finds with this seed, it finds again."""
    told = default.make("fuzz", "ARGS=--max-examples 1200 --seed 1", timeout=900).stdout
    generated, passed = re.search(r"(\d+) generated, (\d+) passed", told).groups()
    assert generated == passed
    assert int(generated) >= 5000
    assert "Stateful (in" in told
    left = default.run("docker", "ps", "--all", "--quiet", f"--filter=name={default.project}-fuzz").stdout
    assert not left
