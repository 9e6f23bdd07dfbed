# The template's: copier update merges it.
"""The differences that are meant: parity.toml names them, each with a reason, a name and a last day."""

import json
import tomllib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches

from .compose import ROOT
from .report import CannotLook, Report, Row

ACCEPTED = ROOT / "parity.toml"
ACCEPT_DAYS = 90


@dataclass(frozen=True)
class Acceptance:
    """A difference that is meant: the key, why, who answers for it, and the last day it holds."""

    key: str
    because: str
    by: str
    until: date


def accepted() -> dict[str, Acceptance]:
    """Return what parity.toml accepts, by key.

    Raises:
        CannotLook: if it cannot be read.
    """
    try:
        entries = [Acceptance(**entry) for entry in tomllib.loads(ACCEPTED.read_text()).get("accepted", [])]
    except (OSError, TypeError, tomllib.TOMLDecodeError) as error:
        raise CannotLook(f"parity.toml: {error}.") from None
    return {entry.key: entry for entry in entries}


def apply_acceptances(rows: list[Row]) -> Report:
    """Return the rows as parity.toml has them: accepted with a reason, or drift again after the day it names."""
    entries, today = accepted(), datetime.now(UTC).date()
    report = []
    for row in rows:
        entry = entries.get(row.key) if row.level in ("warning", "error") else None
        reason = f"{entry.because} ({entry.by}, until {entry.until})" if entry else ""
        if entry and entry.until >= today:
            row = replace(row, level="accepted", remedy=reason)
        elif entry:
            row = replace(row, remedy=f"{row.remedy} It was accepted, and that has run out: {reason}")
        report.append(row)
    return Report(report)


def record_acceptance(key: str, because: str, by: str, until: date | None, known: set[str]) -> Acceptance:
    """Add a difference to parity.toml, for 90 days unless a last one is named.

    Raises:
        CannotLook: if it is no known key, accepted already or over, or not text of one line.
    """
    today = datetime.now(UTC).date()
    entry = Acceptance(key, because, by, until or today + timedelta(days=ACCEPT_DAYS))
    if key not in known:
        near = get_close_matches(key, known, n=1)
        raise CannotLook(f"{key}: no such key; {f'is it {near[0]}?' if near else 'make parity lists them.'}")
    if entry.until < today:
        raise CannotLook(f"--until {entry.until}: that day has passed; name a later one.")
    if not (because.isprintable() and by.isprintable()):
        raise CannotLook("--because and --by: one line of printable text, please.")
    if key in accepted():
        raise CannotLook(f"{key}: parity.toml accepts it already; change that entry.")
    # A JSON string is a TOML string.
    words = {"key": key, "because": because, "by": by}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in words.items()]
    with ACCEPTED.open("a") as file:
        file.write("\n".join(["", "[[accepted]]", *lines, f"until = {entry.until}", ""]))
    return entry
