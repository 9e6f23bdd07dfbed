"""What a merge leaves out: edits of files that are elsewhere or gone, and files that a changed answer gives or takes."""

import shutil
from pathlib import Path

from . import joins
from .errors import Refused, listed
from .git import Git, neutral
from .rendering import Tree
from .work import Work


def carry_edits(work: Work) -> None:
    """Bring edits to where the release has moved their file, and keep edited files that it has no more.

    Raises:
        Refused: if a changed answer has no place for an edited file, and nobody said that it may go.
    """
    here = work.here()
    gone = [path for path, was in work.old.items() if path not in here and work.head.get(path, was) != was]
    moved = _renames(work) if gone else {}
    for path in gone:
        target = moved.get(path)
        if target and target not in work.head and here.get(target) == work.new[target]:
            _carry(work, path, target)
    left = [path for path in gone if path not in work.outcome.carried]
    before = work.render(work.wanted.release, work.service.data, "before") if work.wanted.answers else {}
    dropped = [path for path in left if path in before]
    if dropped and not work.wanted.delete:
        raise Refused(
            f"With these answers there is no {listed(dropped)}, which has edits of yours: nothing has changed. "
            "Say --yes-delete, if they may go."
        )
    work.outcome.dropped = dropped
    for path in left:
        if path not in dropped:
            _keep(work, path)
    if work.wanted.answers:
        _follow_answers(work, before)
    _name_what_stays_deleted(work)


def _renames(work: Work) -> dict[str, str]:
    """Return where the release has moved files to, by where they were."""
    words = ("diff", "--no-index", "--find-renames", "--diff-filter=R", "--name-status", "-z", "old", "new")
    entries = iter(Git(work.folder, neutral()).names(*words, fails_from=2))
    return {next(entries).removeprefix("old/"): next(entries).removeprefix("new/") for _ in entries}


def _carry(work: Work, path: str, target: str) -> None:
    """Merge the edits of a file into the one that it is now."""
    merged = joins.merge(work.head[path], work.old[path], work.new[target])
    if merged is None:
        return
    work.path(target).write_bytes(merged.text())
    work.outcome.carried[path] = target
    if merged.conflicts:
        mode = "100755" if Path(work.folder, "new", target).stat().st_mode & 0o100 else "100644"
        sides = (work.old[path], work.head[path], work.new[target])
        work.unmerged[target] = {
            number: (mode, work.scratch.store(side)) for number, side in enumerate(sides, 1)
        }


def _keep(work: Work, path: str) -> None:
    """Keep an edited file that the release has no more, as a conflict: deleted there, changed here."""
    mode, _, name, _ = work.scratch.git("ls-tree", "HEAD", "--", path).split(maxsplit=3)
    work.scratch.git("checkout", "HEAD", "--", path)
    work.unmerged[path] = {1: (mode, work.scratch.store(work.old[path])), 2: (mode, name)}
    work.outcome.deleted.append(path)


def _follow_answers(work: Work, before: Tree) -> None:
    """Give, change and take files that are given once and not edited, as a service that was made with these answers has them.

    A migration is neither given nor taken: it may have been applied, and where a new one belongs only its author knows.

    Args:
        work: the update.
        before: the release's files with the answers of before.
    """
    here = work.here()
    for path in before.keys() | work.new.keys():
        was = work.old.get(path) if path in work.head else None
        if before.get(path) == work.new.get(path) or here.get(path) != was or "/versions/" in f"/{path}":
            continue
        if path in work.new:
            work.path(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(work.folder, "new", path), work.path(path))
        else:
            work.path(path).unlink(missing_ok=True)


def _name_what_stays_deleted(work: Work) -> None:
    """Name the template's files that the service has deleted, and the release changes."""
    here = work.here()
    changed = [path for path, was in work.old.items() if path in work.new and work.new[path] != was]
    deleted = [path for path in changed if path not in work.head and path not in here]
    if deleted:
        managed = work.render(work.wanted.release, work.answers(), "managed", operation="update")
        work.outcome.stays_deleted = sorted(path for path in deleted if path in managed)
