"""The API's document: a route has the lock of whatever asks for a token before it, and a public one has none."""

from collections.abc import Callable

import pytest
import test_routes
from apiflask import APIBlueprint, APIFlask, APIKeyHeaderAuth, MultiAuth
from apiflask.views import MethodView
from service import create_app, project
from service.security import auth, public

api_key = APIKeyHeaderAuth(name="PartnerKey", param_name="X-Partner-Key")
TOKEN, KEY = {"BearerAuth": []}, {"PartnerKey": []}


@api_key.verify_token
def partner(_: str) -> None:
    """Nobody has a key."""


def blueprint(name: str, *asks: object) -> APIBlueprint:
    """A blueprint with a route, which asks before it for a token of each kind."""
    bp = APIBlueprint(name, __name__, url_prefix=f"/{name}")
    for scheme in asks:
        bp.before_request(bp.auth_required(scheme)(lambda: None))
    bp.add_url_rule("/route", "route", lambda **_: {}, methods=["GET", "POST"])
    return bp


def sample() -> list[APIBlueprint]:
    """The ways to ask for a token, none of them once."""
    loose, views, outer = blueprint("loose"), blueprint("views", auth), blueprint("outer", auth)
    loose.add_url_rule("/token", "token", loose.auth_required(auth)(lambda: {}))
    loose.add_url_rule("/either", "either", loose.auth_required(MultiAuth(auth, api_key))(lambda: {}))
    loose.add_url_rule("/public", "public", public(lambda: {}))
    outer.register_blueprint(blueprint("inner"))
    outer.register_blueprint(blueprint("keyed", api_key))

    class View(MethodView):
        """Asks as its blueprint does, and once more to change something."""

        def get(self) -> dict[str, str]:
            """Read."""
            return {}

        @views.auth_required(api_key)
        def post(self) -> dict[str, str]:
            """Change."""
            return {}

    views.add_url_rule("/view", view_func=View.as_view("view"))
    single = [
        blueprint(f"{kind}{number}", scheme)
        for number in (1, 2)
        for kind, scheme in [("token", auth), ("key", api_key), ("either", MultiAuth(auth, api_key))]
    ]
    return [loose, views, outer, blueprint("both", auth, api_key), *single]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[..., APIFlask]:
    """Build an application with blueprints that a team registers."""
    given = project.init_app

    def build(*blueprints: APIBlueprint) -> APIFlask:
        def init_app(app: APIFlask) -> None:
            given(app)
            for bp in blueprints:
                app.register_blueprint(bp)

        monkeypatch.setattr(project, "init_app", init_app)
        return create_app()

    return build


def locks(app: APIFlask) -> dict[str, object]:
    """What the document says that each route under a blueprint of these tests asks for."""
    paths = app.test_client().get("/openapi.json", headers={"Authorization": "Bearer test"}).json["paths"]
    return {
        f"{method} {path}": operation.get("security")
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def test_a_route_has_the_lock_of_what_asks_before_it(build: Callable[..., APIFlask]) -> None:
    """Of each blueprint around it, of each method, and of each auth object."""
    app = build(*sample())
    found = locks(app)
    expected = {
        "post /loose/route": None,
        "get /loose/public": None,
        "get /loose/token": [TOKEN],
        "get /loose/either": [TOKEN, KEY],
        "get /views/route": [TOKEN],
        "get /views/view": [TOKEN],
        "post /views/view": [TOKEN | KEY],
        "get /outer/route": [TOKEN],
        "get /outer/inner/route": [TOKEN],
        "get /outer/keyed/route": [TOKEN | KEY],
        "post /both/route": [TOKEN | KEY],
        **{f"get /token{number}/route": [TOKEN] for number in (1, 2)},
        **{f"get /key{number}/route": [KEY] for number in (1, 2)},
        **{f"get /either{number}/route": [TOKEN, KEY] for number in (1, 2)},
        "get /livez": None,
    }
    assert {route: found[route] for route in expected} == expected
    document = app.test_client().get("/openapi.json").json
    assert document["components"]["securitySchemes"].keys() == {"BearerAuth", "PartnerKey"}
    for operations in document["paths"].values():
        for operation in operations.values():
            asks = "security" in operation
            assert ({"401", "429"} <= operation["responses"].keys()) is asks


def test_the_lock_of_the_application(build: Callable[..., APIFlask]) -> None:
    """What asks before every request locks every route, whose own lock comes to it."""
    bp = blueprint("keyed", api_key)
    bp.record(lambda state: state.app.before_request(state.app.auth_required(auth)(lambda: None)))
    found = locks(build(bp))
    assert {route: found[route] for route in ("get /livez", "get /keyed/route")} == {
        "get /livez": [TOKEN],
        "get /keyed/route": [TOKEN | KEY],
    }


def test_another_scheme_of_the_teams_answers_with_a_problem(build: Callable[..., APIFlask]) -> None:
    """As the document says."""
    response = build(blueprint("keyed", api_key)).test_client().get("/keyed/route")
    assert (response.status_code, response.mimetype) == (401, "application/problem+json")


def test_a_document_that_says_another_thing_is_refused(build: Callable[..., APIFlask]) -> None:
    """A lock that APIFlask does not see, and a public route behind one."""
    hidden, shut = blueprint("hidden"), blueprint("shut", auth)
    hidden.before_request(auth.login_required(lambda: None))
    shut.add_url_rule("/public", "public", public(lambda: {}))
    documented = APIBlueprint("documented", __name__)
    documented.before_request(auth.login_required(lambda: None))
    documented.add_url_rule("/documented", "route", documented.doc(security="BearerAuth")(lambda: {}))
    with pytest.raises(pytest.fail.Exception) as failure:
        test_routes.test_every_route_asks_for_a_token(app=build(*sample()[1:], hidden, shut, documented))
    said = "asks for a token, and /openapi.json does not say so: ask for the token with @bp.auth_required(auth), or name"
    assert str(failure.value).splitlines() == [
        f"GET /hidden/route {said} its scheme by @bp.doc(security=…)",
        f"POST /hidden/route {said} its scheme by @bp.doc(security=…)",
        "GET /shut/public is public, and asks for a token: move it to a blueprint that does not",
    ]


def test_apiflask_does_not_do_it_by_itself() -> None:
    """Once this fails, document_locks in docs.py can go, if the other tests here pass without it."""
    app = APIFlask("plain")
    for name in ("one", "two"):
        app.register_blueprint(blueprint(name, auth))
    found = locks(app)
    assert (found["get /one/route"], found["get /two/route"]) == ([TOKEN], None)


def test_a_body_is_required_and_may_be_refused(app: APIFlask) -> None:
    """What a caller may send wrongly, and what is answered then."""
    with app.app_context():
        operations = [operation for path in app.spec["paths"].values() for operation in path.values()]
    asked = [each for each in operations if any(p["in"] == "query" for p in each.get("parameters", ()))]
    assert asked
    assert all("414" in operation["responses"] for operation in asked)
    bodies = [operation for operation in operations if "requestBody" in operation]
    assert bodies
    for operation in bodies:
        assert operation["requestBody"]["required"] is True
        assert {"400", "413", "422", "507"} <= operation["responses"].keys()
