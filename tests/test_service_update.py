"""A service that takes a release is whole afterwards: its lock is compiled, and its checks pass, on real parts."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import releases
from conftest import ROOT, render
from releases import THIS
from service import STACK, Service, first_commit

pytestmark = pytest.mark.service

PACKAGE = ("pyproject.toml", releases.after('    "flask>=3.1",', '    "humanize>=4.0",'))
DOMAIN = ("src/orders/billing/__init__.py", releases.at_the_end('"""Invoices."""'))
MODEL = ("src/orders/users/models.py", releases.at_the_end("\n\nNAME_LENGTH = 100"))
# From which release, with which answers and edits, and what else is wanted.
CASES = {
    "untouched": ("v0.1.0", {}, [], []),
    "other answers": ("v0.2.0", {"jobs": False, "python_version": "3.13"}, [], []),
    "edited": ("v0.2.0", {}, [PACKAGE, DOMAIN, MODEL], []),
    "changed answer": (THIS, {}, [DOMAIN, MODEL], ["-d", "cache_server=valkey", "-d", "deployment=none"]),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    clone = tmp_path_factory.mktemp("lineage") / "template"
    releases.lineage(clone)
    return clone


@pytest.mark.parametrize("case", CASES)
def test_it_is_whole_afterwards(template, alone, tmp_path, case):
    version, given, edits, wanted = CASES[case]
    project = render(template, tmp_path / "service", given, vcs_ref=version)
    for path, change in edits:
        (project.path / path).parent.mkdir(exist_ok=True)
        change(project.path / path)
    first_commit(project.path)
    shutil.rmtree(project.path / ".mypy_cache", ignore_errors=True)
    service = Service(project.path, project.answers, f"{STACK}-update", environment={"PYTHONPATH": str(ROOT)})
    command = (sys.executable, "-m", "starter", "update", "--json", "--trust", "--to", THIS, *wanted)
    try:
        done = service.run(*command, check=False, timeout=900)
        told = json.loads(done.stdout)
        assert (done.returncode, told["conflicts"]) == (0, []), done.stdout[-4000:] + done.stderr[-2000:]
        expected = {"make lock"} if PACKAGE in edits else set()
        assert {check["command"] for check in told["checks"]} == expected | {"make lint", "make test"}
        assert {check["verdict"] for check in told["checks"]} == {"passed"}
        assert ("humanize==" in (project.path / "requirements.txt").read_text()) is (PACKAGE in edits)
        # All of it is staged, for one commit.
        assert service.git("diff", "--name-only") == ""
    finally:
        service.remove()
        service.run("docker", "image", "rm", "--force", service.shipped, service.tested, check=False)
