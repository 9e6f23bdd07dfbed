"""The template's repository, cloned for as long as a command runs."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

from .errors import Refused, listed
from .git import Git, GitError, neutral
from .service import Service

# As Copier writes addresses out (https://copier.readthedocs.io/en/stable/generating/#templates-versions).
_SHORT = {"gh": "https://github.com/", "gl": "https://gitlab.com/"}
_HEADING = re.compile(r"^## +\[?v?(?P<version>\d[^\s\]]*)")
# What a template tells this tool, in its root.
SETTINGS = "starter.yml"


def written_out(source: str) -> str:
    """Return the address that git understands of one that Copier does."""
    kind, _, rest = source.partition(":")
    if kind in _SHORT:
        return _SHORT[kind] + rest.lstrip("/").removesuffix(".git") + ".git"
    return source.removeprefix("git+")


def version(name: str) -> Version | None:
    """Return a tag as a version (PEP 440), None if it is none."""
    try:
        return Version(name)
    except InvalidVersion:
        return None


class Template:
    """A template's releases, and what stands in them.

    Attributes:
        source: its address, as Copier is to be told.
        git: git in a bare clone of it.
        variables: an environment in which git takes that clone for the address.
    """

    def __init__(self, source: str, clone: Path):
        self.source = source
        self.git = Git(clone, neutral())
        address = written_out(source)
        addresses = {source, address, address.removesuffix(".git"), address.removesuffix("/")}
        self.variables = neutral({each: str(clone) for each in addresses})

    @cached_property
    def releases(self) -> list[str]:
        """The tags that are versions, the oldest first."""
        tags = self.git("tag", "--list").split()
        return sorted((tag for tag in tags if version(tag)), key=Version)

    @property
    def newest(self) -> str:
        """The newest release that is no pre-release.

        Raises:
            Refused: if there is none.
        """
        finals = [tag for tag in self.releases if not Version(tag).is_prerelease]
        if not finals:
            raise Refused(f"{self.source} has no release, a tag such as v1.0.0: make one.")
        return finals[-1]

    def between(self, older: str, newer: str) -> list[str]:
        """Return the releases after one, up to another, the oldest first; pre-releases only if the other is one."""
        first, last = version(older), Version(newer)
        found = [tag for tag in self.releases if (not first or Version(tag) > first) and Version(tag) <= last]
        return [tag for tag in found if last.is_prerelease or not Version(tag).is_prerelease]

    def target(self, name: str | None) -> str:
        """Return the release that somebody names, with or without its ``v``; the newest, if nobody does.

        Raises:
            Refused: if it is none.
        """
        found = name or self.newest
        if found not in self.releases and f"v{found}" in self.releases:
            found = f"v{found}"
        self.require(found)
        if found not in self.releases:
            raise Refused(f"{found} is no release: take one of {listed(reversed(self.releases))}.")
        return found

    def require(self, release: str) -> None:
        """Refuse a release that is none.

        Raises:
            Refused: if the template does not have it.
        """
        try:
            self.git("rev-parse", "--verify", f"{release}^{{commit}}")
        except GitError:
            raise Refused(
                f"{self.source} has no release {release}: it has {', '.join(self.releases[-5:]) or 'none'}."
            ) from None

    def read(self, release: str, path: str) -> str:
        """Return a file of a release, empty if it has none."""
        try:
            return self.git("show", f"{release}:{path}")
        except GitError:
            return ""

    def changes(self, older: str, newer: str) -> list[tuple[str, str]]:
        """Return what CHANGELOG.md says of the releases after one, up to another: each with its text, the newest first."""
        wanted = {Version(tag): tag for tag in self.between(older, newer)}
        said: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in self.read(newer, "CHANGELOG.md").splitlines():
            if line.startswith("## "):
                heading = _HEADING.match(line)
                found = heading and version(heading["version"])
                lines = said.setdefault(wanted[found], []) if found in wanted else []
            else:
                lines.append(line)
        return [(tag, "\n".join(text).strip()) for tag, text in said.items()]

    def configuration(self, release: str) -> dict[str, Any]:
        """Return what a release's copier.yml says, as it stands there."""
        text = self.read(release, "copier.yml") or self.read(release, "copier.yaml")
        # Other documents of the file, and Copier's !include, are of no interest here.
        documents = [*yaml.load_all(text, _Loader)]
        return {name: value for each in documents for name, value in (each or {}).items()}

    def settings(self, release: str) -> dict[str, Any]:
        """Return what a release's starter.yml tells this tool of its services, empty if there is none."""
        return yaml.safe_load(self.read(release, SETTINGS)) or {}

    def runs(self, older: str, newer: str) -> list[tuple[str, str]]:
        """Return what an update between two releases runs of the template's: each command, and the script in it, if there is one.

        Copier asks for trust before it runs any of them (https://copier.readthedocs.io/en/stable/configuring/#unsafe).
        """
        settings, first, last = self.configuration(newer), version(older), Version(newer)
        commands = [
            task.get("command") if isinstance(task, dict) else task for task in settings.get("_tasks") or []
        ]
        for migration in settings.get("_migrations") or []:
            if not isinstance(migration, dict) or "command" not in migration:
                commands.append(migration)
            elif "version" not in migration or (first and first < Version(str(migration["version"])) <= last):
                commands.append(migration["command"])
        shown = [" ".join(map(str, each)) if isinstance(each, list) else str(each) for each in commands]
        return [(each, self._script(newer, each)) for each in shown]

    def _script(self, release: str, command: str) -> str:
        """Return the file of a release that a command names, empty if there is none."""
        for word in command.replace("}}", " ").split():
            if text := self.read(release, word.strip("\"'/")) if "/" in word else "":
                return text
        return ""


class _Loader(yaml.SafeLoader):
    """Reads copier.yml, whose includes are of no interest."""


_Loader.add_constructor("!include", lambda *_: {})


@contextmanager
def opened(source: str) -> Iterator[Template]:
    """Clone a template for as long as it is needed.

    Args:
        source: its address, as Copier understands it.

    Raises:
        Refused: if it cannot be had.
    """
    with TemporaryDirectory(prefix="starter-") as folder:
        clone = Path(folder, "template.git")
        try:
            Git(Path.cwd())(
                "clone", "--bare", "--quiet", "--", written_out(source), clone, GIT_TERMINAL_PROMPT="0"
            )
        except GitError as error:
            raise Refused(
                f"The template {source} cannot be had ({str(error).splitlines()[-1]}): if it has moved, "
                "say where it is, with --template."
            ) from None
        yield Template(source, clone)


def source_of(service: Service, given: str | None = None) -> str:
    """Return the address of a service's template: the given one, or the recorded one, from wherever this runs.

    Raises:
        Refused: if it is a relative path to nothing.
    """
    if given:
        return str(Path(given).resolve()) if os.path.isdir(given) else given  # noqa: PTH112
    recorded = service.recorded_source
    if re.match(r"[\w+-]+:|/|git@", recorded):
        return recorded
    for base in (service.root, Path.cwd()):
        if (base / recorded).is_dir():
            return str((base / recorded).resolve())
    raise Refused(
        f"{service.answers_file} names the template by a relative path, {recorded}, which leads nowhere from here: "
        "say where it is, with --template."
    )
