"""A copy of a service's last commit, in which an update is made before anything of the service's own is touched."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .git import Git, GitError, neutral
from .service import Service

# What git keeps of a file in conflict: as the release before had it, as the service has it, as the release has it.
Stages = dict[int, tuple[str, str]]


@dataclass
class Result:
    """What an update makes of a service.

    Attributes:
        tree: git's name of its files, in the service's own repository.
        unmerged: the files in conflict among them, each with the mode and name of its sides.
    """

    tree: str
    unmerged: dict[str, Stages]


class Scratch:
    """A repository with one commit, that of the service's folder, and with no configuration.

    Nothing here depends on what somebody set for themselves, on what git ignores, or on how deep a clone is. It writes its
    objects where the service's repository has its own: what comes of it needs no copy.
    """

    def __init__(self, service: Service, folder: Path):
        self.service, self.folder = service, folder
        self.git = Git(folder, neutral())
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        objects = Path(service.root, service.git("rev-parse", "--git-path", "objects")).resolve()
        for path in sorted(Path(folder, ".git", "objects").rglob("*"), reverse=True):
            path.rmdir()
        Path(folder, ".git", "objects").rmdir()
        Path(folder, ".git", "objects").symlink_to(objects)
        self.git("read-tree", service.git("rev-parse", f"HEAD:{service.prefix.rstrip('/')}"))
        self.git("checkout-index", "--all", "--force")

    def commit(self) -> None:
        """Make what stands here the state that an update begins with."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message=Before the update")

    def unmerged(self) -> dict[str, Stages]:
        """Return the files in conflict."""
        found: dict[str, Stages] = {}
        for entry in self.git.names("ls-files", "--unmerged", "-z"):
            facts, path = entry.split("\t", 1)
            mode, name, stage = facts.split()
            found.setdefault(path, {})[int(stage)] = (mode, name)
        return found

    def blob(self, name: str) -> bytes:
        """Return what git keeps under a name."""
        return self.git.raw("cat-file", "blob", name)

    def store(self, content: bytes) -> str:
        """Have git keep something; return its name."""
        return self.git("hash-object", "-w", "--stdin", given=content)

    def result(self, unmerged: dict[str, Stages]) -> Result:
        """Return what stands here now, the conflicts aside that are given."""
        self.git("add", "--all", "--force")
        return Result(self.git("write-tree"), unmerged)


def apply(service: Service, result: Result) -> str:
    """Bring a result into a service's folder and index, as a merge does; return the whole repository's tree.

    Raises:
        GitError: if git refuses, whereupon nothing has changed.
    """
    top = Git(service.top)
    index = Path(top("rev-parse", "--absolute-git-dir"), "starter-index")
    tree = result.tree
    if service.prefix:
        aside = {"GIT_INDEX_FILE": str(index)}
        try:
            top("read-tree", "HEAD", **aside)
            top("rm", "-r", "--cached", "--quiet", "--", service.prefix, **aside)
            top("read-tree", f"--prefix={service.prefix}", result.tree, **aside)
            tree = top("write-tree", **aside)
        finally:
            index.unlink(missing_ok=True)
    # Files that were touched, and not changed, are none in the way.
    with suppress(GitError):
        top("update-index", "-q", "--refresh")
    top("read-tree", "-m", "-u", "HEAD", tree)
    lines = []
    for path, stages in result.unmerged.items():
        lines.append(f"0 {'0' * 40}\t{service.prefix}{path}\n")
        lines += [
            f"{mode} {name} {stage}\t{service.prefix}{path}\n" for stage, (mode, name) in stages.items()
        ]
    top("update-index", "--index-info", given="".join(lines).encode(errors="surrogateescape"))
    return tree
