# The template's: copier update merges it.
"""The front door: `/` for whoever comes without a path, and the API's documentation at `/docs`."""

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, make_response, redirect, request
from flask_swagger_ui import get_swaggerui_blueprint

from .extensions import limiter
from .security import public

DOCUMENTATION, DOCUMENT = "/docs", "/openapi.json"

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


def init_app(app: APIFlask) -> None:
    """Bind both to an application."""
    swagger = get_swaggerui_blueprint(
        DOCUMENTATION, DOCUMENT, {"app_name": app.title, "layout": "BaseLayout"}
    )
    limiter.exempt(swagger)
    app.extensions["public"].add(swagger.name)
    app.register_blueprint(bp)
    app.register_blueprint(swagger)
