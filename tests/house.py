"""Whose each file of a generated service is, and which lines of it are machinery."""

import fnmatch
import re
from pathlib import Path

# The bounds: what share of the lines elsewhere may be machinery, and how many lines it may have altogether.
SHARE, ALTOGETHER = 0.15, 3370

# The first line of the template's own files, and of the team's.
TEMPLATES, YOURS = "The template's: copier update merges it.", "Yours: "
# Formats that have no comments, a file whose first line is Copier's, and one whose every change, of a comment too, restarts
# what answers a service's callers.
UNMARKED = ("*.json", "LICENSE", ".copier-answers.yml", "deploy/Caddyfile")
# The worked example and what grows from it: given once, and read rather than filled in.
EXAMPLE = ("README.md", "src/*/users/*", "tests/*", "migrations/versions/*")

# Machinery is what no team reads to do its own work. Two folders hold nothing else; these are the files outside of them,
# and what is left out of the count: documents, and locks.
MACHINERY = ("src/parity/*", "ops/*")
MACHINERY_ELSEWHERE = (
    "migrations/env.py",
    "migrations/alembic.ini",
    "migrations/script.py.mako",
    "src/*/wsgi.py",
    "src/*/worker.py",
    "compose.settings.yaml",
    "deploy/compose.settings.yaml",
)
UNCOUNTED = ("docs/*", "requirements*.txt")
# The deployment's scripts, which a later release rewrites.
SCRIPTS = ("ops/swarm", "ops/kubernetes", "ops/image", "ops/upgrade-postgres")


def fits(path: str, *patterns: str) -> bool:
    """Whether a path is one of some files, or below one of some folders; ``*`` stands for anything."""
    return any(fnmatch.fnmatch(path, form) for pattern in patterns for form in (pattern, f"{pattern}/*"))


def owners(readme: str) -> dict[str, list[str]]:
    """Return the table of a service's README: the files of each owner, the last row's being all others."""
    table = readme.partition("| whose | files | an update |")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return {
        whose: [span for span in re.findall(r"`([^`]+)`", files) if not span.startswith("make ")]
        for whose, files, _ in rows
    }


def owner(path: str, table: dict[str, list[str]]) -> str:
    """Return whose a file is.

    Raises:
        ValueError: if two rows have it.
    """
    *rows, others = table
    found = [whose for whose in rows if fits(path, *table[whose])]
    if len(found) > 1:
        raise ValueError(f"{path} is in the rows {' and '.join(found)}")
    return found[0] if found else others


def lines(folder: Path) -> dict[str, int]:
    """Return how many lines of a service are machinery, and where.

    ``elsewhere`` are those outside src/parity and ops, ``there`` all lines outside of them, documents and locks left out;
    ``altogether`` is all machinery but the deployment's scripts, and ``scripts`` these.
    """
    counted = {"elsewhere": 0, "there": 0, "altogether": 0, "scripts": 0}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        path = str(file.relative_to(folder))
        if fits(path, ".git", *UNCOUNTED):
            continue
        number = len(file.read_text(encoding="utf-8").splitlines())
        if fits(path, *SCRIPTS):
            counted["scripts"] += number
        elif fits(path, *MACHINERY):
            counted["altogether"] += number
        else:
            counted["there"] += number
            if fits(path, *MACHINERY_ELSEWHERE):
                counted["elsewhere"] += number
                counted["altogether"] += number
    return counted
