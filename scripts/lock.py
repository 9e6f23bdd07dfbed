"""Write the template's lock: ``template/requirements*.txt.jinja``, right for every combination of answers.

A service's lock is compiled once for each combination that changes the packages. What every combination has
is written as it is; what only some have is guarded by the predicate that they share. Pins are kept:
``make lock UPGRADE=name`` moves one, ``make lock UPGRADE=all`` moves all of them.
The maintainer's own ``requirements-dev.txt`` is compiled along with it.
"""

import argparse
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import copier

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template"
LOCKS = ("requirements.txt", "requirements-dev.txt")
SERVICE_LOCKS = (
    ["pyproject.toml", "--output-file", LOCKS[0]],
    ["--group", "dev", "--constraints", LOCKS[0], "--output-file", LOCKS[1]],
)
PYTHONS = ("3.13", "3.14")

Answers = dict[str, object]


def combinations() -> list[Answers]:
    """Return the answers that change the packages, in every combination."""
    return [
        {"python_version": python, "jobs": jobs} for python, jobs in itertools.product(PYTHONS, (True, False))
    ]


def compile_command() -> list[str]:
    """Return the command that compiles a service's lock, as its Dockerfile has it.

    Raises:
        SystemExit: if the Dockerfile has no such command.
    """
    found = re.search(
        r'compile="(uv pip compile [^"]*)\$LOCK_OPTIONS"', (TEMPLATE / "Dockerfile.jinja").read_text()
    )
    if not found:
        raise SystemExit(
            'template/Dockerfile.jinja: there is no compile="uv pip compile … $LOCK_OPTIONS" to follow.'
        )
    return shlex.split(found[1])


def compile_lock(
    folder: Path, python: str, options: list[str], locks: Iterable[list[str]] = SERVICE_LOCKS
) -> None:
    """Compile the locks in a folder in place, keeping the pins that stand there.

    Args:
        folder: where ``pyproject.toml`` stands.
        python: the oldest version to lock for, such as ``3.14``.
        options: further options for uv, such as ``--upgrade-package flask``.
        locks: what makes each lock, as options for uv; those of a service by default.

    Raises:
        SystemExit: if uv finds no solution; it has said why.
    """
    command = [*compile_command(), *options, "--python-version", python]
    environment = {**os.environ, "UV_CUSTOM_COMPILE_COMMAND": "make lock", "UV_PYTHON_DOWNLOADS": "never"}
    for arguments in locks:
        result = subprocess.run(
            [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )
        if result.returncode:
            raise SystemExit(f"The lock cannot be compiled:\n{result.stderr}")


def blocks(lock: str) -> list[str]:
    """Split a lock into its header and one block for each package."""
    return re.split(r"(?m)^(?=[a-z0-9])", lock)


def merge(locks: dict[bool, str]) -> str:
    """Merge the locks with jobs and without into one template.

    Raises:
        SystemExit: if a package is pinned in two ways, which a guard around its block cannot express.
    """
    with_jobs, without = blocks(locks[True]), blocks(locks[False])
    if surplus := [block.split()[0] for block in without if block not in with_jobs]:
        raise SystemExit(
            f"The lock without jobs differs in {', '.join(surplus)}: a guarded block cannot say that."
        )
    merged = ""
    for guarded, group in itertools.groupby(with_jobs, key=lambda block: block not in without):
        text = "".join(group)
        merged += f"{{% if has_jobs %}}\n{text}{{% endif %}}\n" if guarded else text
    return merged


def main() -> None:
    """Compile every combination and write the templates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="append", default=[], metavar="NAME")
    names = parser.parse_args().upgrade
    options = (
        ["--upgrade"] if "all" in names else [word for name in names for word in ("--upgrade-package", name)]
    )

    compiled: dict[str, dict[tuple[object, bool], str]] = {lock: {} for lock in LOCKS}
    for answers in combinations():
        print(
            f"compiling for Python {answers['python_version']}, {'with' if answers['jobs'] else 'without'} jobs",
            flush=True,
        )
        with tempfile.TemporaryDirectory() as folder:
            copier.run_copy(str(ROOT), folder, data=answers, defaults=True, quiet=True, vcs_ref="HEAD")
            compile_lock(Path(folder), str(answers["python_version"]), options)
            for lock in LOCKS:
                compiled[lock][answers["python_version"], bool(answers["jobs"])] = (
                    Path(folder) / lock
                ).read_text()

    compile_lock(
        ROOT, "3.11", options, [["pyproject.toml", "--group", "dev", "--output-file", "requirements-dev.txt"]]
    )

    for lock, texts in compiled.items():
        merged = {merge({jobs: texts[python, jobs] for jobs in (True, False)}) for python in PYTHONS}
        if len(merged) > 1:
            raise SystemExit(f"{lock} differs between Python {' and '.join(PYTHONS)}: pin what both can use.")
        (TEMPLATE / f"{lock}.jinja").write_text(merged.pop())
        (TEMPLATE / lock).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
