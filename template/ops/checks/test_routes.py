# The template's: copier update merges it.
"""Every route asks for a token, or says that it is public, and the API's document says so, too."""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import product

import pytest
from apiflask import APIFlask
from repository import reports
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

PLACEHOLDER = re.compile(r"<(\w+)[^>]*>")
SAMPLES = ["1", "1.5", "a", "2026-12-31", "00000000-0000-4000-8000-000000000000"]
WRONG = {"Authorization": "Bearer wrong"}


def values(app: APIFlask, placeholder: re.Match[str]) -> list[str]:
    """Return what <int:id>, <any(a, b):kind>, <string(length=2):country>, or one of the service's own takes."""
    own = app.url_map.converters.get(placeholder[1])
    words = re.findall(r"\w+", placeholder[0] + getattr(own, "regex", ""))
    long = [word * int(n) for n in words if re.fullmatch(r"\d\d?", n) for word in ["a", "1", *words]]
    takes = Map([Rule(f"/{placeholder[0]}")], converters=app.url_map.converters).bind("localhost").test
    return [value for value in [*SAMPLES, *words, *long, getattr(own, "example", "")] if takes(f"/{value}")]


def path_of(app: APIFlask, rule: Rule, method: str) -> str | None:
    """Return a path that leads to a route, or nothing if none is found."""
    for given in map(iter, product(*(values(app, found) for found in PLACEHOLDER.finditer(rule.rule)))):
        path = PLACEHOLDER.sub(lambda _, given=given: next(given), rule.rule)
        with suppress(HTTPException):
            if app.url_map.bind("localhost").match(path, method, return_rule=True)[0] is rule:
                return path
    return None


def is_public(app: APIFlask, rule: Rule) -> bool:
    """Whether a route is marked to ask for no token; static files are for anybody."""
    blueprint, _, name = rule.endpoint.rpartition(".")
    marked = getattr(app.view_functions[rule.endpoint], "is_public", False)
    return marked or name == "static" or bool(app.extensions["public"] & {rule.endpoint, blueprint})


@pytest.mark.usefixtures("client")
@reports
def test_every_route_asks_for_a_token(app: APIFlask) -> Iterator[str]:
    """A new route that forgets its token fails here, and what it did is taken back."""
    documented = app.test_client().get(app.spec_path).json["paths"]
    for rule in app.url_map.iter_rules():
        operations = documented.get(re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule), {})
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            operation = operations.get(method.lower(), {})
            lock = operation.get("security")
            if is_public(app, rule):
                if lock and {} not in lock:
                    yield f"{method} {rule.rule} is public, and asks for a token: move it to a blueprint that does not"
            elif not (path := path_of(app, rule, method)):
                yield f"{method} {rule.rule} cannot be called: give its converter an `example`, a value that it takes"
            elif app.test_client().open(path, method=method, headers=WRONG).status_code != 401:
                remedy = "ask for a token with @bp.auth_required(auth), or mark the view with @public, from security.py"
                yield f"{method} {rule.rule} needs no token: {remedy} (or {rule.endpoint} in app.extensions['public'])"
            elif operation and not (lock and "401" in operation["responses"]):
                remedy = "ask for the token with @bp.auth_required(auth), or name its scheme by @bp.doc(security=…)"
                yield f"{method} {rule.rule} asks for a token, and {app.spec_path} does not say so: {remedy}"
