# The template's: copier update merges it.
"""The page /parity: this environment against the contract, and another environment's snapshot beside it."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, make_response, render_template, request

from .comparison import evaluate
from .environment import collect_facts
from .snapshot import SCHEMA, diff_snapshots, read_snapshot


def blueprint(authorize: Any) -> Blueprint:
    """Return the page for whom a Flask-HTTPAuth object lets in, and its style sheet for anybody."""
    bp = Blueprint(
        "parity", __name__, url_prefix="/parity", template_folder="templates", static_folder="static"
    )
    bp.add_url_rule("", view_func=authorize.login_required(page))
    return bp


def page() -> Response:
    """Show this environment against the contract, and the configured snapshot of another beside it."""
    settings = current_app.extensions["parity"]
    found, failed = collect_facts(settings)
    reports = {"The contract, and this environment": evaluate(settings, found, failed)}
    if settings.parity_snapshot:
        with settings.parity_snapshot.open() as file:
            reports[f"{settings.parity_snapshot.stem}, and this environment"] = diff_snapshots(
                read_snapshot(file), {"schema": SCHEMA, "facts": found}
            )
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        tables = {title: (report.verdict, report.brief()) for title, report in reports.items()}
        return make_response(render_template("parity.html", tables=tables))
    return jsonify({title: report.as_dict() for title, report in reports.items()})
