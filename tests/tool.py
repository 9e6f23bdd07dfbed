"""The tool, as the tests run it, and the repositories that it is run in."""

import json
import os
from pathlib import Path

from click.testing import CliRunner
from conftest import git

from starter.cli import main

DONE, LEFT, NOTHING_DONE = 0, 1, 2


def commit(folder: Path) -> None:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Ours")


def starter(folder: Path, *arguments: str, status: int = DONE) -> dict:
    """Run the tool in a service; return what it says as JSON."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(main, [*arguments, "--json"])
    finally:
        os.chdir(before)
    # An error in the tool ends with 1, as what is left to a person does.
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def snapshot(folder: Path) -> dict[str, bytes]:
    """What stands in a folder, git's own aside."""
    paths = [
        path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts
    ]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
