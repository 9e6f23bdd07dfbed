"""The end of an adoption: its commits, and the branch in the working tree."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import adoption_report
from .errors import Refused, listed
from .git import Git, GitError
from .modules import joined
from .rendering import files
from .scratch import Scratch
from .service import Service

if TYPE_CHECKING:
    from .adoption import Adoption

# A file's mode and git's name of what stands in it, by its path.
Entries = dict[str, tuple[str, str]]


def land(repository: Service, scratch: Scratch, adoption: "Adoption", fresh: Path) -> None:
    """Commit what came of an adoption on a branch, and switch to that.

    It is committed, and not left as a merge under way: nothing in it is in conflict, and `git switch -` leads back at once,
    which git refuses while a merge is under way.

    Args:
        repository: where it is committed.
        scratch: of that repository.
        adoption: what came of it; it learns which commit has the template's files alone.
        fresh: the folder with these files.

    Raises:
        Refused: if something is in the way, whereupon nothing has changed.
    """
    top, plan, prefix = Git(repository.top), adoption.plan, repository.prefix
    head = top("rev-parse", "HEAD")
    whole = _entries(scratch, "ls-tree", "-r", "-z", head)
    here = {path.removeprefix(prefix): entry for path, entry in whole.items() if path.startswith(prefix)}
    elsewhere = {path: entry for path, entry in whole.items() if not path.startswith(prefix)}
    moved = {plan.moved.get(path, plan.aside.get(path, path)): entry for path, entry in here.items()}
    theirs = _stored(scratch, fresh)
    generated = _commit(top, scratch, theirs, prefix, {}, [], f"Generate the service from {adoption.release}")
    adoption.generated = generated
    texts = adoption.files.texts | {adoption_report.REPORT: adoption_report.text(adoption)}
    new = {path: ("100644", scratch.store(text.encode(errors="replace"))) for path, text in texts.items()}
    result = theirs | moved | new
    for path in adoption.files.gone:
        del result[path]
    _refuse_what_is_in_the_way(repository, result, here)
    if taken := sorted(texts.keys() & moved.keys()):
        raise Refused(
            f"{listed(taken)} is here already, and would be written: rename it first. Nothing has changed."
        )
    if len(moved) < len(here):
        raise Refused(
            "Two files of yours would have one place in src/ or adopted/: move what is there first."
        )
    first = head
    if moved != here:
        says = "Move the code to src/, and keep aside what the template replaces"
        first = _commit(top, scratch, moved, prefix, elsewhere, [head], says)
    says = f"Adopt the template's {adoption.release}\n\n{adoption_report.REPORT} says what was decided, and what is left."
    merged = _commit(top, scratch, result, prefix, elsewhere, [first, generated], says)
    try:
        top("branch", "--no-track", adoption.branch, merged)
        try:
            # A hook that fails afterwards would pass for a switch that has failed.
            alone = ("-c", f"core.hooksPath={os.devnull}")
            top(*alone, "switch", "--quiet", "--no-overwrite-ignore", adoption.branch)
        except GitError:
            top("branch", "--quiet", "-D", adoption.branch)
            raise
    except GitError as error:
        raise Refused(f"git refuses, and nothing has changed: {' '.join(str(error).split())}") from None


def _entries(scratch: Scratch, *command: str) -> Entries:
    """Return the mode and git's name of each file that a command lists, by its path."""
    found = {}
    for line in scratch.git.names(*command):
        facts, path = line.split("\t", 1)
        mode, _, name = facts.split()
        found[path] = (mode, name)
    return found


def _stored(scratch: Scratch, folder: Path) -> Entries:
    """Have git keep the files of a folder."""
    paths = sorted(files(folder))
    asked = "".join(f"{folder / path}\n" for path in paths).encode()
    names = scratch.git("hash-object", "-w", "--no-filters", "--stdin-paths", given=asked).split()
    return {path: (_mode(folder / path), name) for path, name in zip(paths, names, strict=True)}


def _mode(path: Path) -> str:
    return "100755" if path.stat().st_mode & 0o100 else "100644"


def _commit(
    top: Git,
    scratch: Scratch,
    entries: Entries,
    prefix: str,
    elsewhere: Entries,
    parents: list[str],
    says: str,
) -> str:
    """Commit files in the service's own repository, on no branch; return git's name of it."""
    lines = [f"{mode} {name}\t{prefix}{path}\0" for path, (mode, name) in entries.items()]
    lines += [f"{mode} {name}\t{path}\0" for path, (mode, name) in elsewhere.items()]
    index = {"GIT_INDEX_FILE": str(Path(scratch.folder, ".git", "starter-index"))}
    Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    scratch.git(
        "update-index", "-z", "--index-info", given="".join(lines).encode(errors="surrogateescape"), **index
    )
    tree = scratch.git("write-tree", "--missing-ok", **index)
    return top("commit-tree", tree, *(word for parent in parents for word in ("-p", parent)), "-m", says)


def _refuse_what_is_in_the_way(repository: Service, result: Entries, here: Entries) -> None:
    """Refuse to write where the repository has a file that git does not know.

    Raises:
        Refused: if there are such.
    """
    there = [path for path in result if path not in here and os.path.lexists(repository.root / path)]
    if there:
        raise Refused(
            f"{listed(joined(repository.prefix.rstrip('/'), path) for path in there)} would be overwritten, which git does "
            "not know: nothing has changed. Commit or move it."
        )
