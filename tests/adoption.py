"""Repositories as teams have them, to be adopted: those of tests/shapes, each committed."""

import shutil
from pathlib import Path

import releases
from conftest import ROOT, copy_template, git
from tool import commit

SHAPES = Path(__file__).parent / "shapes"
# Where the application is in each, and where its repository is at home.
SERVICES = {"flat": "", "package": "", "poetry": "", "monorepo": "services/billing"}


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
