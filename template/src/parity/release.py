# The template's: copier update merges it.
"""What each migration does to the schema: ``python -m parity.release`` tells it, without settings or a database."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from warnings import catch_warnings

from alembic.script import Script, ScriptDirectory

from .compose import ROOT
from .contract import migrations

# How a module declares a model, a table or a task.
DECLARES = re.compile(
    r"^(?:class \w+\([^)]*\b(?:Base|Model)\b|\s+__(?:table|tablename|mapper_args)__\b|[^#\"'\n]*\bTable\((?=\s*[\"'])|\s*@(?:\w+\.)*(?:shared_)?task\b)",
    re.MULTILINE,
)


def contracts(migration: Script) -> str:
    """Return why a migration may take away or change what an earlier release used; nothing, if it does not."""
    return str(getattr(migration.module, "contracts", "")).strip()


def history() -> list[Script]:
    """Return the migrations of this release, oldest first."""
    return [*migrations().walk_revisions()][::-1]


def headless(script: ScriptDirectory) -> str:
    """Return which migration follows one that has no file, and what to do, if one does."""
    try:
        with catch_warnings(action="ignore"):
            script.get_heads()
    except KeyError as error:
        lost = str(error.args[0])
        follows = re.compile(rf"^down_revision\b.*[\"']{re.escape(lost)}[\"']", re.MULTILINE)
        files = [file.name for file in Path(script.versions).glob("*.py") if follows.search(file.read_text())]
        return (
            f"migrations/versions/{' and '.join(sorted(files))} follows the migration {lost}, which has no file there: bring it "
            "back, or say in down_revision which one it follows now."
        )
    return ""


def standstill(script: ScriptDirectory, stands: Iterable[str]) -> str:
    """Return why a database that stands at some migrations cannot be brought to the last, and what to do, if it cannot."""
    known = {migration.revision for migration in script.walk_revisions()}
    if lost := [revision for revision in stands if revision not in known]:
        return (
            f"The database stands at the migration {', '.join(lost)}, which has no file in migrations/versions: switch to the "
            "branch or the release that has it, or start the development database anew, empty: make reset."
        )
    files = [Path(migration.path).name for migration in script.get_revisions("heads")]
    told = f"migrations/versions has two heads, {' and '.join(sorted(files))}: run make merge, and commit what it writes."
    return told if files[1:] else ""


def unimported(package: str) -> list[str]:
    """Return which modules of an application declare a model or a task, but were not imported when it was created."""
    found = []
    for folder in map(Path, sys.modules[package].__path__):
        for path in sorted(folder.rglob("*.py")):
            name = ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(
                ".__init__"
            )
            if name not in sys.modules and (declared := DECLARES.search(path.read_text())):
                line = declared.string.count("\n", 0, declared.end()) + 1
                at = f"{path.relative_to(ROOT)}:{line}"
                found.append(
                    f"{at} declares {declared[0].strip()!r}, and nothing imports it: import it where the routes are, or in project.py."
                )
    return found


def main() -> None:
    """Print them, each as ``expand`` if the release before it still runs on the schema, or else as ``contract``."""
    for migration in history():
        print(migration.revision, "contract" if contracts(migration) else "expand")


if __name__ == "__main__":
    main()
