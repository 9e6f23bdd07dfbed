"""The lock: right for every combination of answers, from the first commit."""

import re
import tomllib

import lock
import pytest
from conftest import render

COMBINATIONS = lock.combinations()


def name(requirement: str) -> str:
    """Return the name of a requirement, without extras and version."""
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower()


@pytest.mark.parametrize("answers", COMBINATIONS, ids=str)
def test_a_fresh_compilation_changes_nothing(template, tmp_path, answers):
    """The pins are those of the combination with everything in it, so that uv decides which ones are needed."""
    everything = render(template, tmp_path / "everything", {**answers, "jobs": True}).path
    service = render(template, tmp_path / "service", answers).path
    locked = {file: (service / file).read_text() for file in lock.LOCKS}
    for file in lock.LOCKS:
        (service / file).write_text((everything / file).read_text())
    lock.compile_lock(service, answers["python_version"], [])
    assert {file: (service / file).read_text() for file in lock.LOCKS} == locked


def test_the_lock_meets_pyproject(projects):
    """Every dependency is locked, with hashes, by exact version, and no address is recorded."""
    for project in projects.values():
        pyproject = tomllib.loads((project.path / "pyproject.toml").read_text())
        for file, wanted in zip(
            lock.LOCKS,
            (pyproject["project"]["dependencies"], pyproject["dependency-groups"]["dev"]),
            strict=True,
        ):
            _header, *blocks = lock.blocks((project.path / file).read_text())
            assert "://" not in "".join(blocks)
            assert all(re.match(r"[a-z0-9-]+==[^ ]+ .*\\\n    --hash=sha256:", block) for block in blocks)
            assert {name(requirement) for requirement in wanted} <= {name(block) for block in blocks}


def test_the_maintainers_lock_meets_pyproject():
    pyproject = tomllib.loads((lock.ROOT / "pyproject.toml").read_text())
    locked = {name(block) for block in lock.blocks((lock.ROOT / "requirements-dev.txt").read_text())[1:]}
    assert {name(requirement) for requirement in pyproject["dependency-groups"]["dev"]} <= locked


def test_merge_guards_what_only_some_have():
    with_jobs = "# make lock\na==1 \\\n    --hash=x\nb==1 \\\n    --hash=y\nc==1 \\\n    --hash=z\n"
    without = "# make lock\na==1 \\\n    --hash=x\nc==1 \\\n    --hash=z\n"
    assert lock.merge({True: with_jobs, False: without}) == (
        "# make lock\na==1 \\\n    --hash=x\n{% if has_jobs %}\nb==1 \\\n    --hash=y\n{% endif %}\nc==1 \\\n    --hash=z\n"
    )


def test_merge_refuses_a_package_pinned_in_two_ways():
    with pytest.raises(SystemExit, match=r"differs in a==2"):
        lock.merge({True: "# make lock\na==1\n", False: "# make lock\na==2\n"})
