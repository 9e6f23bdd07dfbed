"""A service: the folder, its answers, and the repository that it stands in."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from .errors import Refused, listed
from .git import Git, GitError

ANSWERS = ".copier-answers.yml"
# What git leaves in its folder while something is under way there, and what it is called.
_UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


@dataclass(frozen=True)
class Service:
    """A folder that was made from a template.

    Attributes:
        root: the folder.
        answers_file: where the answers stand in it.
        answers: what is recorded there, Copier's own entries included.
    """

    root: Path
    answers_file: str
    answers: dict[str, Any]

    @classmethod
    def find(cls, folder: Path, answers_file: str = ANSWERS) -> "Service":
        """Read the service in a folder.

        Raises:
            Refused: if there is none, or its answers cannot be read.
        """
        path = folder / answers_file
        try:
            answers = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Refused(
                f"There is no {answers_file} in {folder}: go to the folder of a service that was made from a template, "
                "name its answers with --answers-file, or bring it under one with starter adopt."
            ) from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark else ""
            raise Refused(
                f"{path}{where}: this is no YAML that Copier wrote; take it from git again."
            ) from None
        if not isinstance(answers, dict) or not answers.get("_src_path") or not answers.get("_commit"):
            raise Refused(
                f"{path} does not say _src_path and _commit, the template and its release: add them."
            )
        return cls(folder.resolve(), answers_file, answers)

    @property
    def release(self) -> str:
        """The release that it was made from or updated to last."""
        return str(self.answers["_commit"])

    @property
    def recorded_source(self) -> str:
        """The template's address, as the answers have it."""
        return str(self.answers["_src_path"])

    @property
    def data(self) -> dict[str, Any]:
        """The answers, without Copier's own entries."""
        return {name: value for name, value in self.answers.items() if not name.startswith("_")}

    @cached_property
    def git(self) -> Git:
        """git in the service's folder."""
        return Git(self.root)

    @cached_property
    def top(self) -> Path:
        """The top of the repository that the service stands in.

        Raises:
            Refused: if it stands in none, or in one without a commit.
        """
        try:
            top = Path(self.git("rev-parse", "--show-toplevel"))
            self.git("rev-parse", "--verify", "HEAD")
        except FileNotFoundError:
            raise Refused("git is not installed, or not in PATH.") from None
        except GitError as error:
            raise Refused(
                f"{self.root} is not in a git repository with a commit ({error}): commit it first."
            ) from None
        return top

    @property
    def prefix(self) -> str:
        """Where the service stands in its repository: empty, or a folder that ends in ``/``."""
        inside = self.root.relative_to(self.top.resolve()).as_posix()
        return "" if inside == "." else f"{inside}/"

    def require_clean(self) -> None:
        """Refuse what an update could not tell from its own changes.

        Raises:
            Refused: if something is under way in the repository, or a file that git knows was changed.
        """
        top = Git(self.top)
        for name, what in _UNDER_WAY.items():
            if Path(self.top, top("rev-parse", "--git-path", name)).exists():
                raise Refused(f"A {what} is under way in {self.top}: finish it, or git {what} --abort.")
        status = top.names("status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty")
        if changed := [entry[3:] for entry in status if entry[2:3] == " "]:
            raise Refused(f"There are uncommitted changes in {listed(changed)}: commit them, or git stash.")
        if self.git("ls-files", "--", self.answers_file) == "":
            raise Refused(f"{self.answers_file} is not committed: git add {self.answers_file} and commit it.")
