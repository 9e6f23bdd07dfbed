"""What an update has in hand: what is wanted, what it knows, and what comes of it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .rendering import Tree, files, render
from .scratch import Scratch, Stages
from .service import Service
from .template import Template

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


class Work:
    """An update under way.

    Attributes:
        scratch: where it is made.
        folder: where renderings stand beside it.
        head: the files that the service has committed.
        old: the files of its release, with its answers.
        new: the files of the release that is wanted, with the answers that it will have.
        unmerged: the files in conflict.
        outcome: what came of it so far.
    """

    def __init__(self, service: Service, template: Template, wanted: Wanted, scratch: Scratch, folder: Path):
        self.service, self.template, self.wanted, self.scratch, self.folder = (
            service,
            template,
            wanted,
            scratch,
            folder,
        )
        self.outcome = Outcome(service.release, wanted.release)
        self.head = self.here()
        self.old: Tree = {}
        self.new: Tree = {}
        self.unmerged: dict[str, Stages] = {}

    def render(self, release: str, data: Mapping[str, Any], name: str, **options: Any) -> Tree:
        """Return the files of a release with answers, that of the answers left out; they stand in a folder of a name."""
        tree = render(self.template, release, data, self.folder / name, trust=self.wanted.trust, **options)
        tree.pop(self.service.answers_file, None)
        return tree

    def here(self) -> Tree:
        """Return the files as they are now."""
        return files(self.scratch.folder)

    def path(self, name: str) -> Path:
        """Return where a file stands now."""
        return self.scratch.folder / name

    def answers(self) -> dict[str, Any]:
        """Return the answers as they are now."""
        found = yaml.safe_load(self.path(self.service.answers_file).read_text())
        return {name: value for name, value in found.items() if not name.startswith("_")}
