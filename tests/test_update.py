"""`copier update` from one release of the template to the next, without trust."""

import shutil
import subprocess
import sys

import copier
import pytest
import yaml
from answers import EXTREME
from conftest import ROOT, copy_template, git, render

GIVEN = {"project_name": "{{ Desk }}", "license": "MIT"}


@pytest.fixture
def release(tmp_path):
    """The template as a repository with one release, v0.1.0; makes further ones."""
    template = tmp_path / "template"
    template.mkdir()
    copy_template(template)
    git(template, "init", "--quiet", "--initial-branch=main")

    def tag(version: str) -> None:
        git(template, "add", "--all")
        git(template, "commit", "--quiet", "--message", version)
        git(template, "tag", version)

    tag("v0.1.0")
    return template, tag


@pytest.fixture
def project(release, tmp_path):
    """A service from v0.1.0, committed, with a package added to its lock."""
    template, _ = release
    project = render(template, tmp_path / "project", GIVEN)
    git(project.path, "init", "--quiet", "--initial-branch=main")
    for lock in project.files("requirements*.txt"):
        with lock.open("a") as file:
            file.write("own-package==1.0\n")
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--message", "Generate the service")
    return project


def contents(project) -> dict[str, bytes]:
    """Every file but git's own and the locks, which belong to the service."""
    paths = {str(file.relative_to(project.path)): file for file in project.files()}
    return {
        path: file.read_bytes()
        for path, file in paths.items()
        if not path.startswith((".git/", "requirements"))
    }


def update(project, **options) -> None:
    copier.run_update(project.path, defaults=True, overwrite=True, quiet=True, unsafe=False, **options)


def test_a_pristine_service_takes_a_release_without_a_conflict(release, project):
    template, tag = release
    for path in [
        "Makefile.jinja",
        "src/{{package_name}}/errors.py",
        *(lock.name for lock in (template / "template").glob("requirements*")),
    ]:
        with (template / "template" / path).open("a") as file:
            file.write("# v0.2.0\n")
    tag("v0.2.0")

    command = [sys.executable, "-m", "copier", "update", "--defaults"]
    result = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    said = result.stderr
    assert result.returncode == 0, said

    changed = [line.split() for line in git(project.path, "status", "--porcelain").splitlines()]
    assert changed == [["M", ".copier-answers.yml"], ["M", "Makefile"], ["M", "src/desk/errors.py"]]
    assert git(project.path, "ls-files", "--unmerged") == ""
    assert git(project.path, "diff", "--check") == ""
    assert yaml.safe_load((project.path / ".copier-answers.yml").read_text())["_commit"] == "v0.2.0"
    assert "the lock stays as it is" in said
    assert [line.split("#")[0].strip() for line in said.splitlines() if line.startswith("  ")][-3:] == [
        "git diff --check",
        "make lock",
        "make lint test",
    ]
    assert "is ready. Next:" not in said


def test_an_edit_of_the_service_survives_a_release(release, project):
    template, tag = release
    makefile = project.path / "Makefile"
    makefile.write_text("# ours\n" + makefile.read_text())
    git(project.path, "rm", "--quiet", ".pre-commit-config.yaml")
    git(project.path, "commit", "--quiet", "--all", "--message", "Make it ours")
    with (template / "template" / "Makefile.jinja").open("a") as file:
        file.write("# v0.2.0\n")
    tag("v0.2.0")

    update(project)

    lines = makefile.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("# ours", "# v0.2.0")
    assert not (project.path / ".pre-commit-config.yaml").exists()
    assert git(project.path, "diff", "--check") == ""


def test_other_answers_give_the_files_that_a_new_service_has(release, project, tmp_path):
    template, _ = release
    others = {"jobs": False, "license": "Apache-2.0", "cache_server": "valkey", "postgres_version": "17"}
    update(project, vcs_ref="v0.1.0", data=others)
    fresh = render(template, tmp_path / "fresh", GIVEN | others, vcs_ref="v0.1.0")
    assert contents(project) == contents(fresh)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """The template's own repository, with its releases tagged and what stands in the working tree as the newest."""
    clone = tmp_path_factory.mktemp("history") / "clone"
    git(ROOT, "clone", "--quiet", "--no-tags", str(ROOT), str(clone))
    titles = [line.split(" ", 1) for line in git(clone, "log", "--format=%H %s").splitlines()]
    releases = {
        title.removeprefix("Release "): commit for commit, title in titles if title.startswith("Release v")
    }
    assert releases, "no release in the history: clone the whole of it"
    for version, commit in releases.items():
        git(clone, "tag", version, commit)
    for name in ("template", "includes"):
        shutil.rmtree(clone / name)
    copy_template(clone)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "What stands in the working tree")
    git(clone, "tag", "v999.0.0")
    return clone, list(releases)


@pytest.mark.parametrize("given", [{}, EXTREME], ids=["defaults", "extreme"])
def test_a_service_of_each_release_takes_this_one(history, tmp_path, given):
    template, releases = history
    for version in releases:
        old = render(template, tmp_path / version, given, vcs_ref=version)
        git(old.path, "init", "--quiet", "--initial-branch=main")
        git(old.path, "add", "--all")
        git(old.path, "commit", "--quiet", "--message", "Generate the service")
        update(old, data=given)
        assert git(old.path, "diff", "--check") == ""
        assert contents(old) == contents(render(template, tmp_path / f"fresh-{version}", given))
