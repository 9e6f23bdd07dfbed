"""The check of the routes: every unmarked one is found, whatever its converters, and nothing else."""

import pytest
import test_routes
from apiflask import APIBlueprint
from service import create_app
from service.security import auth, public
from werkzeug.routing import BaseConverter

UNMARKED = ["/a/<int:x>", "/b/<float:x>", "/c/<uuid:x>/<uuid:y>", "/d/<path:x>", "/e/<string(length=2):x>"]
UNMARKED += [
    "/f/<any(about, help):x>",
    "/g/<int(fixed_digits=4):x>",
    "/h/<country:x>",
    "/a/<name>",
    "/i/<code:x>",
]


class Country(BaseConverter):
    """Two capitals."""

    regex = "[A-Z]{2}"


class Code(BaseConverter):
    """What nobody can guess."""

    regex = "x-(?:foo|bar)-[7-9]{3}"
    example = "x-foo-777"


def test_an_unmarked_route_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the method, the rule and the remedy."""
    app, bp = create_app(), APIBlueprint("more", __name__)
    app.url_map.converters |= {"country": Country, "code": Code}
    for number, rule in enumerate(UNMARKED):
        bp.add_url_rule(rule, f"open{number}", lambda **_: "open", methods=["GET", "DELETE"])
    bp.add_url_rule("/public/<int:x>", "public", public(lambda x: "public"))
    bp.add_url_rule("/closed/<int:x>/<uuid:y>", "closed", bp.auth_required(auth)(lambda x, y: "closed"))
    app.register_blueprint(bp)
    with pytest.raises(pytest.fail.Exception) as failure:
        test_routes.test_every_route_asks_for_a_token(app=app)
    told = str(failure.value).splitlines()
    assert {line.split(" needs no token: ask for a token with")[0] for line in told} == {
        f"{method} {rule}" for rule in UNMARKED for method in ("GET", "DELETE")
    }
    monkeypatch.delattr(Code, "example")
    with pytest.raises(
        pytest.fail.Exception, match="GET /i/<code:x> cannot be called: give its converter an `example`"
    ):
        test_routes.test_every_route_asks_for_a_token(app=app)
