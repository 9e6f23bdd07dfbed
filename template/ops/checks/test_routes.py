# The template's: copier update merges it.
"""Every route asks for a token, or says that it is public."""

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


@pytest.mark.usefixtures("transaction")
@reports
def test_every_route_asks_for_a_token(app: APIFlask) -> Iterator[str]:
    """A new route that forgets its token fails here, and what it did is rolled back."""
    for rule in app.url_map.iter_rules():
        view, (blueprint, _, name) = app.view_functions[rule.endpoint], rule.endpoint.rpartition(".")
        marked = getattr(view, "is_public", False) or app.extensions["public"] & {rule.endpoint, blueprint}
        # Static files are for anybody.
        for method in [] if marked or name == "static" else sorted(rule.methods - {"HEAD", "OPTIONS"}):
            if not (path := path_of(app, rule, method)):
                yield f"{method} {rule.rule} cannot be called: give its converter an `example`, a value that it takes"
            elif app.test_client().open(path, method=method, headers=WRONG).status_code != 401:
                remedy = "ask for a token with @bp.auth_required(auth), or mark the view with @public, from security.py"
                yield f"{method} {rule.rule} needs no token: {remedy} (or {rule.endpoint} in app.extensions['public'])"
