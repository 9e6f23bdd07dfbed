import json
from pathlib import Path

from flask import Blueprint

COUNTRIES = Path(__file__).parent.parent / "data" / "countries.json"
bp = Blueprint("billing", __name__)


@bp.get("/countries")
def countries():
    return json.loads(COUNTRIES.read_text())


@bp.get("/metrics")
def metrics():
    return {"bills": 0}
