"""The service's own commands after an update: what writes again, and what says whether it is still whole."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .git import environment

# A place in a file, as linters, compilers and pytest print it.
_PLACE = re.compile(r"(?m)^(?:FAILED |ERROR |  *--> )?(?P<path>[\w./-]+\.\w+)(?::\d+|::)")
# As much of a failed command's output as helps.
LINES = 30


@dataclass
class Check:
    """A command of the service's, after an update.

    Attributes:
        command: as somebody would type it.
        passed: whether it ended well.
        verdict: what it means: ``passed``; ``failed``; ``new rule``, where it names only files that the update left alone.
        output: the last lines of one that failed.
    """

    command: str
    passed: bool
    verdict: str
    output: str


def run(root: Path, command: str) -> tuple[bool, str]:
    """Run a command in a service; return whether it ended well, and what it said."""
    result = subprocess.run(  # noqa: S602
        command,
        cwd=root,
        shell=True,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return result.returncode == 0, result.stdout


def check(root: Path, command: str, changed: Iterable[str]) -> Check:
    """Run a check after an update, and tell a new rule from what is broken.

    A release may bring a rule that the service's own code does not keep: then the check, which the update changed, names files that
    it did not. What names a file that the update changed, or no file, is broken.

    Args:
        root: the service's folder.
        command: what is run there.
        changed: the files that the update changed.
    """
    passed, output = run(root, command)
    if passed:
        return Check(command, True, "passed", "")
    named = {match["path"].removeprefix("./") for match in _PLACE.finditer(output)}
    named = {path for path in named if (root / path).is_file()}
    verdict = "new rule" if named and not named & {*changed} else "failed"
    return Check(command, False, verdict, "\n".join(output.splitlines()[-LINES:]))
