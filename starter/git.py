"""git, as a service's own repository has it configured, or as nobody has configured it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

# What a shell or a git hook around this command may have set, and would make git work elsewhere.
_LOCATIONS = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
_SETTINGS = {
    "core.autocrlf": "false",
    "core.fileMode": "true",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "gc.auto": "0",
    "merge.conflictStyle": "merge",
    "safe.directory": "*",
}


class GitError(Exception):
    """git failed; the text is what it said."""


def environment() -> dict[str, str]:
    """Return the environment for the service's own repository, in its own configuration."""
    kept = {name: value for name, value in os.environ.items() if name not in _LOCATIONS}
    return kept | {"LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0"}


def neutral(redirect: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which git has no configuration but this module's.

    A merge does not depend on what somebody set for themselves: line endings, a pager, an editor, signatures, hooks, ignored
    files, prefixes of a diff.

    Args:
        redirect: addresses that git is to take from elsewhere, each with the address that it takes instead.
    """
    settings = [*_SETTINGS.items()]
    settings += [(f"url.{there}.insteadOf", address) for address, there in (redirect or {}).items()]
    given = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings):
        given |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | given | {
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_AUTHOR_EMAIL": "starter@localhost",
        "GIT_AUTHOR_NAME": "starter",
        "GIT_COMMITTER_EMAIL": "starter@localhost",
        "GIT_COMMITTER_NAME": "starter",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }  # fmt: skip


class Git:
    """The git command in one folder and one environment."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None):
        self.folder = folder
        self.variables = environment() if variables is None else dict(variables)

    def __call__(self, *arguments: object, given: bytes = b"", **more: str) -> str:
        """Return what a command prints, without the last line's end.

        Args:
            arguments: of the command.
            given: its standard input.
            more: further variables of its environment.

        Raises:
            GitError: if it fails.
        """
        return self.raw(*arguments, given=given, **more).decode(errors="replace").removesuffix("\n")

    def raw(self, *arguments: object, given: bytes = b"", fails_from: int = 1, **more: str) -> bytes:
        """Return what a command prints, as it is.

        Raises:
            GitError: if it fails, with a status of at least ``fails_from``.
        """
        result = subprocess.run(
            ["git", *map(str, arguments)],
            cwd=self.folder,
            env=self.variables | more,
            input=given,
            capture_output=True,
        )
        if not 0 <= result.returncode < fails_from:
            said = result.stderr.decode(errors="replace").strip() or f"git {arguments[0]} failed"
            raise GitError(said.removeprefix("fatal: "))
        return result.stdout

    def names(self, *arguments: object, fails_from: int = 1) -> list[str]:
        """Return the paths that a command prints with ``-z``.

        Raises:
            GitError: if it fails, with a status of at least ``fails_from``.
        """
        printed = self.raw(*arguments, fails_from=fails_from).decode(errors="surrogateescape")
        return [name for name in printed.split("\0") if name]
