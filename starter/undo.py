"""The way back from an update that is not committed."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import Refused
from .git import Git, GitError
from .service import Service

# Where what stood there before the way back is kept.
KEPT = "refs/starter/undone"


def _record(service: Service) -> Path:
    return Path(service.root, service.git("rev-parse", "--git-path", "starter-update.json"))


def remember(service: Service, tree: str, unmerged: Iterable[str]) -> None:
    """Keep what an update began with, and what it changed.

    Args:
        service: what was updated.
        tree: what it was updated to.
        unmerged: its files in conflict, by their paths in the service.
    """
    top = Git(service.top)
    changed = top.names("diff", "--name-only", "-z", "--no-renames", "HEAD", tree)
    paths = sorted({*changed, *(f"{service.prefix}{path}" for path in unmerged)})
    _record(service).write_text(json.dumps({"head": top("rev-parse", "HEAD"), "paths": paths}))


def remember_written(service: Service) -> None:
    """Keep, too, what commands have written since, and make it a part of what is to be committed."""
    top, record = Git(service.top), _record(service)
    known = json.loads(record.read_text())
    unmerged = top.names("diff", "--name-only", "-z", "--diff-filter=U")
    changed = top.names("diff", "--name-only", "-z", "--no-renames", "--diff-filter=M", "--", service.root)
    written = [path for path in changed if path not in unmerged]
    if written:
        top("--literal-pathspecs", "add", "--", *written)
    record.write_text(json.dumps(known | {"paths": sorted({*known["paths"], *written})}))


def back(service: Service) -> list[str]:
    """Put the files back that the last update changed, and keep what stood there; return their paths.

    Raises:
        Refused: if there is no such update, or it is committed.
    """
    record, top = _record(service), Git(service.top)
    if not record.is_file():
        raise Refused("There is no update to go back from: this checkout knows of none.")
    known: dict[str, Any] = json.loads(record.read_text())
    if known["head"] != top("rev-parse", "HEAD"):
        raise Refused(
            "There are commits since the update: go back with git revert, or git reset to the commit before."
        )
    before = {*top.names("ls-tree", "-r", "--name-only", "-z", "HEAD")}
    _keep(top, known)
    for path in known["paths"]:
        if path not in before:
            Path(service.top, path).unlink(missing_ok=True)
            with suppress(OSError):
                Path(service.top, path).parent.rmdir()
    added = [path for path in known["paths"] if path not in before]
    restored = [path for path in known["paths"] if path in before]
    for command, paths in (
        ("rm --cached --quiet --ignore-unmatch --", added),
        ("checkout HEAD --", restored),
    ):
        if paths:
            top("--literal-pathspecs", *command.split(), *paths)
    record.unlink()
    return list(known["paths"])


def _keep(top: Git, known: dict[str, Any]) -> None:
    """Keep what stands in the files that go back, as a commit that nothing else names."""
    index = Path(top("rev-parse", "--absolute-git-dir"), "starter-index")
    aside = {"GIT_INDEX_FILE": str(index)}
    try:
        top("read-tree", "HEAD", **aside)
        there = [path for path in known["paths"] if Path(top.folder, path).exists()]
        if there:
            top("--literal-pathspecs", "add", "--force", "--", *there, **aside)
        who = {
            f"GIT_{role}_{part}": "starter" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
        }
        with suppress(GitError):
            commit = top(
                "commit-tree", top("write-tree", **aside), "-p", "HEAD", "-m", "An update, undone", **who
            )
            top("update-ref", KEPT, commit)
    finally:
        index.unlink(missing_ok=True)
