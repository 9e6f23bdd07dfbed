# The template's: copier update merges it.
"""The front door: `/` for whoever comes without a path, and the API's documentation at `/docs`."""

import re
from functools import reduce
from itertools import product
from operator import or_
from typing import Any

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, make_response, redirect, request
from flask_swagger_ui import get_swaggerui_blueprint

from .errors import Problem
from .extensions import limiter
from .security import public

DOCUMENTATION, DOCUMENT = "/docs", "/openapi.json"

COMMON_PROBLEMS = {
    "401": "Authentication error",
    "429": "Too many requests",
    "503": "The database cannot be reached",
    "504": "The database took too long",
}
# Of what brings a body.
BODY_PROBLEMS = {
    "400": "The body is malformed",
    "408": "The body came too slowly",
    "413": "The body is too large",
    "507": "The database has no space left",
}

bp = APIBlueprint("root", __name__, enable_openapi=False)


@bp.get("/")
@public
def root() -> Response:
    """Lead a person to the documentation; tell a program what this is, and where to go on."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return make_response(redirect(DOCUMENTATION))
    app: APIFlask = current_app._get_current_object()  # type: ignore[attr-defined]
    links = {"documentation": DOCUMENTATION, "openapi": DOCUMENT, "readiness": "/readyz"}
    return jsonify(name=app.title, version=app.version, links=links)


def notes(app: APIFlask, endpoint: str, method: str) -> list[dict[str, Any]]:
    """Return what APIFlask's decorators noted on all that runs for a request: the hooks around a view, and at last the view."""
    names = endpoint.split(".")[:-1]
    around = [None, *(".".join(names[: depth + 1]) for depth in range(len(names)))]
    hooks = [hook for name in around for hook in app.before_request_funcs.get(name, [])]
    view = app.view_functions[endpoint]
    own = getattr(getattr(view, "view_class", None), method.lower(), view)
    return [getattr(function, "_spec", {}) for function in [*hooks, own]]


def schemes(note: dict[str, Any]) -> list[Any]:
    """Return the schemes of which a caller needs one: several where the auth object is a MultiAuth."""
    return list(getattr(note["auth"], "_auths", [note["auth"]]))


def document_locks(app: APIFlask, document: Any) -> None:
    """Give each route in the document the lock of all that asks for a token before it.

    APIFlask 3.1.2 leaves it out for the application, a blueprint's nested ones, and all blueprints but one that share an
    auth object, and stops at one with a MultiAuth: ``APIFlask._collect_security_info`` passes over what it has met.
    """
    for rule in app.url_map.iter_rules():
        operations = document["paths"].get(re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule), {})
        for method in operations.keys() & {name.lower() for name in rule.methods or ()}:
            noted = notes(app, rule.endpoint, method)
            asking = [note for note in noted if note.get("auth")]
            locks = [[{scheme.name: note["roles"]} for scheme in schemes(note)] for note in asking]
            # What a view says with @bp.doc(security=…) stands.
            if locks and not noted[-1].get("security"):
                operations[method]["security"] = [reduce(or_, way) for way in product(*locks)]


def document_problems(document: Any) -> None:
    """Give the problem details in the OpenAPI document their media type, and add those that any locked route may answer.

    A body that a route reads is required, which APIFlask 3.1.2 does not say.
    """
    problem = {"$ref": "#/components/schemas/HTTPError"}
    validation = {"$ref": "#/components/schemas/ValidationError"}
    document.setdefault("components", {}).setdefault("schemas", {})["HTTPError"] = Problem.model_json_schema()
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            problems = COMMON_PROBLEMS if "security" in operation else {}
            if body := operation.get("requestBody"):
                body.setdefault("required", "application/json" in body["content"])
                problems = problems | BODY_PROBLEMS
            if any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
                # By the server, which has no problem details.
                responses.setdefault("414", {"description": "The address is too long"})
            for status, description in problems.items():
                content = {"application/json": {"schema": problem}}
                responses.setdefault(status, {"description": description, "content": content})
            for response in responses.values():
                content = response.get("content", {})
                if content.get("application/json", {}).get("schema") in (problem, validation):
                    content["application/problem+json"] = content.pop("application/json")


def init_app(app: APIFlask) -> None:
    """Bind both to an application that has all its other routes."""
    swagger = get_swaggerui_blueprint(
        DOCUMENTATION, DOCUMENT, {"app_name": app.title, "layout": "BaseLayout"}
    )
    limiter.exempt(swagger)
    app.extensions["public"].add(swagger.name)
    app.register_blueprint(bp)
    app.register_blueprint(swagger)

    # So that it has met all of them.
    for rule in app.url_map.iter_rules():
        for note in [note for method in rule.methods or () for note in notes(app, rule.endpoint, method)]:
            app._auths.update([note["auth"], *schemes(note)] if note.get("auth") else [])
    teams = app.spec_callback

    @app.spec_processor
    def complete(document: Any) -> Any:
        document_locks(app, document)
        document_problems(document)
        return teams(document) if teams else document
