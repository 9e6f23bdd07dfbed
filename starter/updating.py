"""An update, from what a service has committed to what it would be with another release or other answers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import yaml
from copier.errors import CopierAnswersInterrupt

from . import joins
from .errors import Refused, listed
from .git import Git, GitError, neutral
from .rendering import Tree, as_nobody, content, files, render, said_on_stderr
from .scratch import Scratch, Stages, apply
from .service import Service
from .template import Template
from .undo import remember

Step = Callable[[str], None]


@dataclass
class Wanted:
    """What somebody wants of an update.

    Attributes:
        release: the template's release.
        answers: answers that are to change.
        trust: whether the template may run code of its own.
        delete: whether edited files may go that other answers have no place for.
        ask: whether a person is there to answer what is new.
        source: where the template is now, if that is to be recorded.
    """

    release: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False
    delete: bool = False
    ask: bool = False
    source: str | None = None


@dataclass
class Outcome:
    """What came of an update, each file by its path in the service.

    Attributes:
        before: the release that it was.
        after: the release that it is.
        changed: files that it changed.
        joined: what both sides had added to lists or moved, and both have now, by file.
        carried: files that the release moved, and the service's edits with them: where they were, and where they are.
        conflicts: files in which a person has to decide.
        deleted: edited files that the release has no more; they stay, for a person to decide.
        dropped: edited files that went with other answers.
        stays_deleted: files that the service has deleted, and the release changes.
        commands: what has to write again what it writes.
        reports: files in which the template's own scripts say what is left.
    """

    before: str
    after: str
    changed: list[str] = field(default_factory=list)
    joined: dict[str, list[str]] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    stays_deleted: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON can say."""
        return asdict(self)

    @property
    def left(self) -> list[str]:
        """The files that are left to a person."""
        return sorted({*self.conflicts, *self.deleted, *self.reports})


def update(service: Service, template: Template, wanted: Wanted, step: Step) -> Outcome:
    """Update a service: its files change at the end, all at once, or not at all.

    Args:
        service: whose changes are committed.
        template: where the releases stand.
        wanted: what is wanted.
        step: is told what is done next.

    Raises:
        Refused: if nothing was done.
    """
    service.require_clean()
    with TemporaryDirectory(prefix="starter-") as folder:
        step("Copying what is committed")
        work = _Update(service, template, wanted, Scratch(service, Path(folder, "service")), Path(folder))
        step(f"Merging {wanted.release}")
        work.merge()
        step("Looking for edits that a merge leaves out")
        work.carry_edits()
        work.join_lists()
        work.bring_written()
        work.refuse_what_is_in_the_way()
        result = work.scratch.result(work.unmerged)
        step("Bringing the result into the working tree")
        try:
            tree = apply(service, result)
        except GitError as error:
            raise Refused(f"git refuses, and nothing has changed: {' '.join(str(error).split())}") from None
        names = ("diff", "--name-only", "-z", "--no-renames", "--diff-filter=d")
        work.outcome.changed = service.git.names(*names, "--relative", "HEAD", tree)
        remember(service, tree, result.unmerged)
    return work.outcome


class _Update:
    """The steps of an update, and what they have to know of each other."""

    def __init__(self, service: Service, template: Template, wanted: Wanted, scratch: Scratch, folder: Path):
        self.service, self.template, self.wanted, self.scratch, self.folder = (
            service,
            template,
            wanted,
            scratch,
            folder,
        )
        self.outcome = Outcome(service.release, wanted.release)
        self.settings = template.settings(wanted.release)
        self.head = files(scratch.folder)
        self.old: Tree = {}
        self.new: Tree = {}
        self.unmerged: dict[str, Stages] = {}

    def _render(self, release: str, data: Mapping[str, Any], name: str, **options: Any) -> Tree:
        tree = render(self.template, release, data, self.folder / name, trust=self.wanted.trust, **options)
        tree.pop(self.service.answers_file, None)
        return tree

    def merge(self) -> None:
        """Have Copier merge, and learn what it began with and what it aimed at."""
        answers, recorded = Path(self.scratch.folder, self.service.answers_file), self.service.recorded_source
        self._point_to(answers, recorded, self.template.source)
        self.scratch.commit()
        self.old = self._render(self.service.release, self.service.data, "old")
        try:
            with as_nobody(self.template), said_on_stderr():
                copier.run_update(
                    self.scratch.folder,
                    data=dict(self.wanted.answers),
                    answers_file=self.service.answers_file,
                    vcs_ref=self.wanted.release,
                    defaults=not self.wanted.ask,
                    skip_answered=True,
                    overwrite=True,
                    quiet=True,
                    unsafe=self.wanted.trust,
                )
        except (KeyboardInterrupt, CopierAnswersInterrupt):
            raise Refused("Interrupted: nothing has changed.") from None
        self._point_to(
            answers, self.template.source, self.template.source if self.wanted.source else recorded
        )
        data = {
            name: value
            for name, value in yaml.safe_load(answers.read_text()).items()
            if not name.startswith("_")
        }
        self.new = self._render(self.wanted.release, data, "new")
        self.unmerged = self.scratch.unmerged()
        self.outcome.reports = sorted(
            path
            for path in files(self.scratch.folder)
            if path.endswith(".md") and path not in self.head and path not in self.new
        )

    @staticmethod
    def _point_to(answers: Path, old: str, new: str) -> None:
        """Change the address of the template in the answers."""
        if old != new:
            text = re.sub(
                r"(?m)^_src_path: .*(\n .*)*$", lambda _: f"_src_path: {new}", answers.read_text(), count=1
            )
            answers.write_text(text)

    # ------------------------------------------------------------------------------- what a merge leaves out

    def carry_edits(self) -> None:
        """Bring edits to where the release has moved their file, and keep edited files that it has no more."""
        here = files(self.scratch.folder)
        gone = [
            path
            for path in self.old
            if path not in here and self.head.get(path, self.old[path]) != self.old[path]
        ]
        moved = self._renames() if gone else {}
        for path in gone:
            target = moved.get(path)
            if target and target not in self.head and here.get(target) == self.new[target]:
                self._carry(path, target)
        left = [path for path in gone if path not in self.outcome.carried]
        by_answers = self._gone_by_answers(left) if left and self.wanted.answers else []
        if by_answers and not self.wanted.delete:
            raise Refused(
                f"With these answers there is no {listed(by_answers)}, which has edits of yours: nothing has changed. "
                "Say --yes-delete, if they may go."
            )
        self.outcome.dropped = by_answers
        for path in left:
            if path not in by_answers:
                self._keep(path)
        deleted = [
            path
            for path, was in self.old.items()
            if path not in self.head and path in self.new and self.new[path] != was
        ]
        if deleted := [path for path in deleted if path not in here]:
            managed = self._render(self.wanted.release, self._answers(), "managed", operation="update")
            self.outcome.stays_deleted = sorted(path for path in deleted if path in managed)

    def _answers(self) -> dict[str, Any]:
        answers = yaml.safe_load(Path(self.scratch.folder, self.service.answers_file).read_text())
        return {name: value for name, value in answers.items() if not name.startswith("_")}

    def _renames(self) -> dict[str, str]:
        """Return where the release has moved files to, by where they were."""
        words = (
            "diff",
            "--no-index",
            "--find-renames",
            "--diff-filter=R",
            "--name-status",
            "-z",
            "old",
            "new",
        )
        found = Git(self.folder, neutral()).names(*words, fails_from=2)
        entries = iter(found)
        return {
            next(entries).removeprefix("old/"): next(entries).removeprefix("new/")
            for kind in entries
            if kind.startswith("R")
        }

    def _carry(self, path: str, target: str) -> None:
        merged = joins.merge(self.head[path], self.old[path], self.new[target])
        if merged is None:
            return
        Path(self.scratch.folder, target).write_bytes(merged.text())
        self.outcome.carried[path] = target
        if merged.conflicts:
            mode = self._mode(Path(self.folder, "new", target))
            sides = (self.old[path], self.head[path], self.new[target])
            self.unmerged[target] = {
                number: (mode, self.scratch.store(side)) for number, side in enumerate(sides, 1)
            }

    def _gone_by_answers(self, paths: list[str]) -> list[str]:
        """Return the paths that the release would have with the answers of before."""
        before = self._render(self.wanted.release, self.service.data, "before")
        return [path for path in paths if path in before]

    def _keep(self, path: str) -> None:
        """Keep an edited file that the release has no more, as a conflict: deleted there, changed here."""
        file = Path(self.scratch.folder, path)
        facts = self.scratch.git("ls-tree", "HEAD", "--", path).split()
        file.parent.mkdir(parents=True, exist_ok=True)
        self.scratch.git("checkout", "HEAD", "--", path)
        self.unmerged[path] = {1: (facts[0], self.scratch.store(self.old[path])), 2: (facts[0], facts[2])}
        self.outcome.deleted.append(path)

    @staticmethod
    def _mode(path: Path) -> str:
        return "100755" if path.stat().st_mode & 0o100 else "100644"

    # --------------------------------------------------------------------------------------- what is no conflict

    def join_lists(self) -> None:
        """Join the lists in conflict to which both sides added, and have one pin of an action in a workflow: the newest."""
        for path, stages in [*self.unmerged.items()]:
            if len(stages) < 3:
                continue
            merged = joins.merge(*(self.scratch.blob(stages[number][1]) for number in (2, 1, 3)))
            if merged and merged.joined:
                Path(self.scratch.folder, path).write_bytes(merged.text())
                self.outcome.joined[path] = merged.joined
                if not merged.conflicts:
                    del self.unmerged[path]
        for path in self.new:
            file = Path(self.scratch.folder, path)
            if fnmatchcase(path, ".github/workflows/*") and path not in self.unmerged and file.is_file():
                text, moved = joins.one_pin_each(file.read_text(), self.new[path].decode())
                if moved:
                    file.write_text(text)
                    self.outcome.joined.setdefault(path, []).extend(moved)
        self.outcome.conflicts = sorted({*self.unmerged} - {*self.outcome.deleted})

    # --------------------------------------------------------------------------- what commands write, and the end

    def bring_written(self) -> None:
        """Bring what a command writes, where the release has the same of the same; else name the command.

        Where a service's lock is the one of its release, and what it is made from is that of the next, so is the lock.
        """
        here = files(self.scratch.folder)
        for path, facts in (self.settings.get("written") or {}).items():
            sources = [each for each in here if any(fnmatchcase(each, pattern) for pattern in facts["from"])]
            if (
                path not in self.head
                or path not in self.new
                or (
                    self.old.get(path) == self.new[path]
                    and all(here[each] == self.head.get(each) for each in sources)
                )
            ):
                continue
            if self.head[path] == self.old.get(path) and all(
                here[each] == self.new.get(each) for each in sources
            ):
                Path(self.scratch.folder, path).write_bytes(self.new[path])
            elif facts["by"] not in self.outcome.commands:
                self.outcome.commands.append(facts["by"])

    def refuse_what_is_in_the_way(self) -> None:
        """Refuse to write where the service has a file that git does not know.

        Raises:
            Refused: if there are such.
        """
        known = {*self.service.git.names("ls-files", "-z")}
        arrives = [path for path in files(self.scratch.folder) if path not in self.head]
        there = [
            path
            for path in arrives
            if path not in known and content_or_none(self.service.root / path) is not None
        ]
        if there:
            raise Refused(
                f"{listed(there)} would be overwritten, which git does not know: nothing has changed. Commit or move it."
            )


def content_or_none(path: Path) -> bytes | None:
    """Return what stands at a path, whatever it is; None if there is nothing."""
    if path.is_dir() and not path.is_symlink():
        return b""
    return content(path) if path.is_symlink() or path.exists() else None
