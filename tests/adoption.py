"""Repositories as teams have them, to be adopted: those of tests/shapes, each committed."""

import json
import os
import shutil
from pathlib import Path

import releases
from click.testing import CliRunner
from conftest import ROOT, copy_template, git

from starter.cli import main

SHAPES = Path(__file__).parent / "shapes"
# Where the application is in each, and where its repository is at home.
SERVICES = {"flat": "", "package": "", "poetry": "", "monorepo": "services/billing"}
DONE, LEFT, NOTHING_DONE = 0, 1, 2


def lineage(clone: Path) -> Path:
    """Make a repository of the template as it stands, and of the next release, without what came before."""
    clone.mkdir()
    copy_template(clone)
    shutil.copy(ROOT / "starter.yml", clone)
    (clone / "CHANGELOG.md").write_text(releases.CHANGELOG)
    git(clone, "init", "--quiet", "--initial-branch=main")
    releases.release(clone, releases.THIS)
    releases.invent(clone)
    releases.release(clone, releases.NEXT)
    return clone


def repository(shape: str, root: Path) -> Path:
    """Commit a shape in a repository of its own; return the folder of its application."""
    shutil.copytree(SHAPES / shape, root)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "remote", "add", "origin", f"git@github.com:acme-inc/{shape}-repository.git")
    commit(root)
    return root / SERVICES[shape]


def commit(folder: Path) -> None:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Ours")


def starter(folder: Path, *arguments: str, status: int = DONE) -> dict:
    """Run the tool in a folder; return what it says as JSON."""
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
