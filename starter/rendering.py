"""What a release of a template makes of a service's answers."""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import copier
from copier import _main as copier_main
from copier.errors import CopierAnswersInterrupt, CopierError, UnsafeTemplateError
from plumbum import local

from .errors import Refused
from .template import Template

Tree = dict[str, bytes]


@contextmanager
def as_nobody(template: Template) -> Iterator[None]:
    """Have Copier use git in nobody's configuration, and take the template from the clone that is there.

    Raises:
        Refused: with what Copier says, if it does not do what it is asked for.
    """
    with local.env(**template.variables), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except CopierAnswersInterrupt:
            # One of Copier's errors, and yet no refusal.
            raise KeyboardInterrupt from None
        except UnsafeTemplateError as error:
            said = " ".join(str(error).split()).split(". ")[0]
            raise Refused(f"{template.source}: {said}. Read what it does, and say --trust.") from None
        except (CopierError, ValueError) as error:
            raise Refused(f"Copier refuses: {' '.join(str(error).split())}") from None


@contextmanager
def said_on_stderr() -> Iterator[None]:
    """Have what the template's scripts print go to standard error: standard output is for the result."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def render(
    template: Template,
    release: str,
    data: Mapping[str, Any],
    folder: Path,
    operation: Literal["copy", "update"] = "copy",
    trust: bool = False,
) -> Tree:
    """Return the files that a release makes of answers, by their paths.

    Args:
        template: where the release stands.
        release: its tag or commit.
        data: the answers; what is not among them has its default.
        folder: where it may write them; it is there afterwards.
        operation: with ``update``, what an update leaves to a service is left out.
        trust: whether the template may use what Copier does not trust.

    Raises:
        Refused: if Copier does.
    """
    # What `_exclude` may ask for, and run_copy() alone says "copy" to: it keeps what is set around it.
    token = copier_main._operation.set(operation)
    try:
        with as_nobody(template):
            copier.run_copy(
                template.source,
                folder,
                data=dict(data),
                vcs_ref=release,
                defaults=True,
                quiet=True,
                skip_tasks=True,
                unsafe=trust,
            )
    finally:
        copier_main._operation.reset(token)
    return files(folder)


def files(folder: Path) -> Tree:
    """Return the files in a folder by their paths, those of git left out, and links as what they name."""
    found = {}
    for root, folders, names in os.walk(folder):
        if ".git" in folders:
            folders.remove(".git")
        for path in (Path(root, name) for name in names):
            found[path.relative_to(folder).as_posix()] = content(path)
    return found


def content(path: Path) -> bytes:
    """Return what stands in a file, with the line ends that git keeps, or what a link names."""
    if path.is_symlink():
        return os.fsencode(path.readlink())
    return path.read_bytes().replace(b"\r\n", b"\n")
