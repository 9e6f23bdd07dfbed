"""What hooks share: the files of a release as a service has them, and the merge of an edit into them."""

import difflib
import io
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import copier
import yaml

Tree = dict[str, bytes]


def git(*arguments: object, given: bytes = b"") -> bytes:
    """Return what a git command prints.

    Raises:
        ValueError: with what it says, if it fails.
    """
    result = subprocess.run(["git", *map(str, arguments)], input=given, capture_output=True)
    if result.returncode:
        raise ValueError(result.stderr.decode().strip())
    return result.stdout


def read(path: str) -> bytes | None:
    """Return what is in a file of the service, None if there is none."""
    return Path(path).read_bytes() if Path(path).is_file() else None


def render(release: str, answers: bytes) -> Tree:
    """Return the files of a release, rendered with the answers of an answers file, but for that file."""
    data = {name: value for name, value in yaml.safe_load(answers).items() if not name.startswith("_")}
    with TemporaryDirectory() as template, TemporaryDirectory() as service:
        archive = git("-C", Path(__file__).resolve().parent.parent, "archive", "--format=tar", release)
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(template, filter="data")
        copier.run_copy(template, service, data=data, defaults=True, quiet=True, unsafe=False)
        Path(service, ".copier-answers.yml").unlink()
        rendered = [path for path in Path(service).rglob("*") if path.is_file()]
        return {path.relative_to(service).as_posix(): path.read_bytes() for path in rendered}


def difference(before: bytes, after: bytes) -> list[str]:
    """Return what changed, as lines of Markdown."""
    old, new = (content.decode(errors="replace").splitlines() for content in (before, after))
    return ["", "````diff", *[*difflib.unified_diff(old, new, lineterm="", n=1)][2:], "````", ""]


def merge(ours: bytes, before: bytes, after: bytes) -> tuple[bytes, bool]:
    """Return a file with the team's and the release's changes, and whether they are in conflict.

    Raises:
        ValueError: if it is no text.
    """
    sides = {"before updating": ours, "last update": before, "after updating": after}
    with TemporaryDirectory() as folder:
        for label, content in sides.items():
            Path(folder, label).write_bytes(content)
        command = ["git", "merge-file", "-p", *(f"-L{label}" for label in sides), *sides]
        result = subprocess.run(command, cwd=folder, capture_output=True)
    if not 0 <= result.returncode < 128:
        raise ValueError(result.stderr.decode().strip())
    return result.stdout, result.returncode > 0
