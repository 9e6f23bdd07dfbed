# The template's: copier update merges it.
"""An environment's fingerprint, to hold another environment against."""

import json
from datetime import UTC, datetime
from typing import IO, Any

from pydantic_settings import BaseSettings

from .acceptance import apply_acceptances
from .comparison import compare
from .environment import collect_facts
from .report import CannotLook, Report

# The form of a snapshot. A newer one may have further facts; one that two snapshots do not share is not compared.
SCHEMA = 1


def take_snapshot(settings: BaseSettings) -> dict[str, Any]:
    """Return an environment's fingerprint.

    Raises:
        CannotLook: if a part of it cannot be asked.
    """
    found, failed = collect_facts(settings)
    if failed:
        raise CannotLook("; ".join(f"{row.key}: {row.found}" for row in failed))
    found.pop("clock.skew")
    return {"schema": SCHEMA, "taken": datetime.now(UTC).isoformat(timespec="seconds"), "facts": found}


def diff_snapshots(first: dict[str, Any], second: dict[str, Any]) -> Report:
    """Compare two snapshots. What an older form of them did not record is left out."""
    sides = [taken["facts"] for taken in (first, second)]
    parts = [{key.partition(".")[0] for key in side} for side in sides]
    shared = tuple(f"{part}." for part in parts[0] & parts[1])
    return apply_acceptances(
        compare(*({key: side[key] for key in side if key.startswith(shared)} for side in sides))
    )


def read_snapshot(source: IO[str]) -> dict[str, Any]:
    """Read a snapshot.

    Raises:
        CannotLook: if it is none, or of a newer form.
    """
    try:
        taken = json.load(source)
        schema, facts = int(taken["schema"]), dict(taken["facts"])
    except (ValueError, KeyError, TypeError) as error:
        advice = f"{source.name}: not a snapshot ({error}): make one with flask parity snapshot."
        raise CannotLook(advice) from None
    if schema > SCHEMA:
        raise CannotLook(f"{source.name}: of a newer form ({schema}) than this release knows ({SCHEMA}).")
    return {"schema": schema, "facts": {key: str(value) for key, value in facts.items()}}
