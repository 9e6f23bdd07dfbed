# The template's: copier update merges it.
"""What a comparison finds: a row for each fact, and what to do about one that differs."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import click

# The worst first: an error is drift, a warning to be looked at; parity.toml accepts a difference, an overlay declares one.
Level = Literal["error", "unknown", "warning", "accepted", "declared", "ok"]

CREATED = ("database.encoding", "database.locale_provider", "database.collation")
# What to do, by the beginning of the key.
REMEDIES: dict[str | tuple[str, ...], str] = {
    "database.server": "Use PostgreSQL: another server only looks like it.",
    "database.version": "Run the version that compose.yaml names; docs/postgres.md tells how to move the data.",
    "database.collation_version": "Indexes are sorted the old way: REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION.",
    CREATED: "Set when a database is created: make one that has it, and move the data.",
    "database.extensions": "CREATE EXTENSION in a migration; one that is there anyway: x-extensions in compose.project.yaml.",
    "database.connections": "For each replica, and twice while a release is rolled out: raise max_connections, lower WEB_THREADS, or pool.",
    "database.superuser": "Connect as a role that owns its database and no more: docs/postgres.md.",
    "database.migration": "Run the migrations of this release: flask db upgrade. Of two that are the last, make merge makes one.",
    "database.": "Set it for the service's role: ALTER ROLE … SET.",
    "cache.server": "Run the server that compose.yaml names.",
    "cache.version": "Run the version that compose.yaml names.",
    "cache.": "Set it in the server's configuration, as compose.yaml does.",
    "python.": "Run the image that was built from this repository.",
    "package.": "Run the image that was built from this lock; nothing is installed into a container.",
    "config.": "Set the variable to a value of this environment's own.",
    "clock.": "Synchronise the clocks of both machines (NTP).",
}


class CannotLook(click.ClickException):
    """A sentence on what could not be looked at."""

    exit_code = 2


@dataclass(frozen=True)
class Row:
    """A fact, such as ``database.timezone``, as it should be and as it is, and what to do if the two differ."""

    key: str
    expected: str
    found: str
    level: Level = "ok"
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All comparisons of one look."""

    rows: list[Row]

    @property
    def verdict(self) -> Literal["kept", "drift", "unknown"]:
        """Say whether parity is kept. Drift that was seen outweighs what could not be."""
        levels = {row.level for row in self.rows}
        return "drift" if "error" in levels else "unknown" if "unknown" in levels else "kept"

    def as_dict(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {"verdict": self.verdict, "rows": [asdict(row) for row in self.rows]}

    def brief(self) -> list[Row]:
        """Return the rows for a person: the worst first, and the packages that are as they should be in one."""
        kept = [row for row in self.rows if row.level == "ok" and row.key.startswith("package.")]
        rows = [row for row in self.rows if row not in kept]
        rows += [Row("package", f"{len(kept)} packages", "the same")] if kept else []
        return sorted(rows, key=lambda row: (get_args(Level).index(row.level), row.key))


def remedy(key: str) -> str:
    """Return what to do about a key that differs."""
    return next((text for start, text in REMEDIES.items() if key.startswith(start)), "")
