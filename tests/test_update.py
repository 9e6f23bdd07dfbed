"""`copier update`: across the release that needs trust, once, and from then on without."""

import os
import shutil
import subprocess
import sys

import copier
import pytest
import releases
import yaml
from answers import EXTREME
from conftest import Project, git
from releases import NEXT, THIS

# The releases before v0.3.0: only from there an update asks for trust.
BEFORE = {"v0.1.0", "v0.2.0"}

# An edit of each file that is given once, and of the others that a team edits in the ordinary course.
EDITS = {
    "README.md": "\nOurs.\n",
    "project.mk": "\nours:\n\t@echo ours\n",
    "apt.txt": "libmagic1\n",
    "parity.toml": "# ours\n",
    ".gitignore": "ours\n",
    ".editorconfig": "\n[*.ours]\nindent_size = 3\n",
    ".grype.yaml": "# ours\n",
    ".pre-commit-config.yaml": "# ours\n",
    ".github/dependabot.yml": "# ours\n",
    "compose.project.yaml": "# ours\n",
    "src/orders/project.py": "OURS = 1\n",
    "src/orders/settings.py": "\n    ours: int = 1\n",
    "src/orders/users/models.py": "OURS = 1\n",
    "tests/test_users.py": "OURS = 1\n",
    "migrations/versions/0001_create_users.py": "OURS = 1\n",
    "deploy/production.env": "OURS=1\n",
    "deploy/known_hosts": "# ours\n",
    "deploy/cloud-init.yaml": "# ours\n",
}
WRITTEN = [
    "requirements.txt",
    "requirements-dev.txt",
    ".env.example",
    "compose.settings.yaml",
    "deploy/compose.settings.yaml",
]
# What the next release changes besides, a line after another.
CHANGES = {
    "Makefile.jinja": (".DEFAULT_GOAL := help", "next: docker  ## Do what is next"),
    "compose.yaml.jinja": ("services:", "  next:\n    image: next"),
    "src/{{package_name}}/__init__.py.jinja": ("    cli.init_app(app)", "    following.init_app(app)"),
    "src/{{package_name}}/config.py.jinja": ("class Settings(ProjectSettings):", "    following: int = 1"),
    "pyproject.toml.jinja": ("[tool.mypy]", "warn_no_return = true"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The template's own repository: its releases, what stands in the working tree as the newest, and a next one."""
    clone = tmp_path_factory.mktemp("template") / "clone"
    releases.history(clone)
    folder = clone / "template"
    for path, (line, addition) in CHANGES.items():
        text = (folder / path).read_text()
        assert text.count(f"{line}\n") == 1, path
        (folder / path).write_text(text.replace(f"{line}\n", f"{line}\n{addition}\n"))
    for path in [*EDITS, *WRITTEN]:
        source = folder / path.replace("orders", "{{package_name}}")
        source = source if source.exists() else source.with_name(f"{source.name}.jinja")
        source.write_text("# theirs\n" + source.read_text() + "# theirs\n")
    (folder / "migrations" / "versions" / "0002_theirs.py").write_text('"""Theirs."""\n')
    releases.release(clone, NEXT)
    return clone


@pytest.fixture
def service(renderings, tmp_path):
    """Copies a rendered service, and commits it with the edits of a team."""

    def service(version: str, edit=lambda path: None, **given) -> Project:
        source = renderings(version, **given)
        project = Project(shutil.copytree(source.path, tmp_path / version), source.answers)
        git(project.path, "init", "--quiet", "--initial-branch=main")
        commit(project)
        edit(project.path)
        commit(project)
        return project

    return service


def commit(project: Project) -> None:
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--allow-empty", "--message", "Ours")


def update(project: Project, **options) -> None:
    copier.run_update(
        project.path,
        defaults=True,
        overwrite=True,
        quiet=True,
        **{"unsafe": False, "vcs_ref": NEXT} | options,
    )


def contents(project: Project) -> dict[str, bytes]:
    """Every file but git's own and the locks, which belong to the service."""
    paths = {file.relative_to(project.path).as_posix(): file for file in project.files()}
    return {
        path: file.read_bytes()
        for path, file in paths.items()
        if not path.startswith((".git/", "requirements"))
    }


def assert_no_conflict(project: Project) -> None:
    assert git(project.path, "ls-files", "--unmerged") == ""
    assert git(project.path, "diff", "--check") == ""


def append(folder, edits: dict[str, str]) -> None:
    for path, text in edits.items():
        with (folder / path).open("a") as file:
            file.write(text)


def delete(folder, *paths: str) -> None:
    git(folder, "rm", "-r", "--quiet", *paths)


# ------------------------------------------------------------------ from one release to the next, without trust


def test_a_pristine_service_takes_a_release_without_trust(service):
    project = service(THIS)
    command = [sys.executable, "-m", "copier", "update", "--defaults", "--vcs-ref", NEXT]
    result = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    said = result.stderr
    assert result.returncode == 0, said

    changed = {tuple(line.split()) for line in git(project.path, "status", "--porcelain").splitlines()}
    expected = [
        path.removesuffix(".jinja").replace("{{package_name}}", "orders")
        for path in [".copier-answers.yml", *CHANGES]
    ]
    assert changed == {("M", path) for path in expected}
    assert_no_conflict(project)
    assert yaml.safe_load((project.path / ".copier-answers.yml").read_text())["_commit"] == NEXT
    assert [line.split("#")[0].strip() for line in said.splitlines() if line.startswith("  ")][-3:] == [
        "git diff --check",
        "make lock settings",
        "make lint test",
    ]
    assert "is ready. Next:" not in said


def test_a_service_in_a_folder_of_a_repository_takes_a_release(renderings, tmp_path):
    source = renderings(THIS)
    project = Project(shutil.copytree(source.path, tmp_path / "services" / "orders"), source.answers)
    git(tmp_path, "init", "--quiet")
    (tmp_path / "README.md").write_text("All of ours.\n")
    commit(Project(tmp_path, {}))
    append(project.path, {"project.mk": "\nours:\n\t@echo ours\n"})
    commit(project)
    update(project)
    changed = git(tmp_path, "diff", "--name-only", "HEAD").split()
    expected = [
        path.removesuffix(".jinja").replace("{{package_name}}", "orders")
        for path in [".copier-answers.yml", *CHANGES]
    ]
    assert sorted(changed) == sorted(f"services/orders/{path}" for path in expected)
    assert_no_conflict(project)


def test_ordinary_edits_meet_a_release_without_conflict(service):
    def edit(folder):
        append(folder, EDITS | {"requirements.txt": "own-package==1.0\n", ".env.example": "#OURS=1\n"})
        (folder / "migrations" / "versions" / "0002_ours.py").write_text('"""Ours."""\n')
        pyproject = folder / "pyproject.toml"
        dependencies, rest = pyproject.read_text().split("\n]\n", 1)
        pyproject.write_text(f'{dependencies}\n    "zstandard>=0.25",\n]\n{rest}')

    project = service(THIS, edit)
    before = contents(project)
    update(project)

    assert_no_conflict(project)
    after = contents(project)
    theirs = {
        path.removesuffix(".jinja").replace("{{package_name}}", "orders"): addition
        for path, (_, addition) in CHANGES.items()
    }
    assert {path for path in before if before[path] != after[path]} == {".copier-answers.yml", *theirs}
    assert after.keys() == before.keys()
    for path, addition in theirs.items():
        assert addition in after[path].decode()
    assert '"zstandard>=0.25"' in after["pyproject.toml"].decode()


def test_what_the_team_deleted_stays_deleted(service):
    gone = [*EDITS, *WRITTEN, "src/orders/users", "tests", "LICENSE"]
    project = service(THIS, lambda folder: delete(folder, *gone), license="MIT")
    update(project)
    assert_no_conflict(project)
    assert not [path for path in gone if (project.path / path).exists()]


def test_other_answers_give_the_files_that_a_new_service_has(service, renderings):
    others = {"jobs": False, "license": "Apache-2.0", "cache_server": "valkey", "postgres_version": "17"}
    project, fresh = service(THIS, license="MIT"), renderings(THIS, **others)
    update(project, vcs_ref=THIS, data=others)
    found, expected = contents(project), contents(fresh)
    differ = {path for path in found | expected if found.get(path) != expected.get(path)}
    # Given once, or written by a command: as they were.
    domain = [
        path for path in found if path.startswith(("src/orders/users/", "tests/", "deploy/", "migrations/"))
    ]
    assert differ <= {*EDITS, *WRITTEN, *domain}
    before = contents(renderings(THIS, license="MIT"))
    assert all(found[path] == before[path] for path in differ)


# --------------------------------------------------------------------------- across v0.3.0, with trust


def test_only_the_crossing_asks_for_trust(service):
    project = service("v0.2.0")
    command = [sys.executable, "-m", "copier", "update", "--defaults", "--vcs-ref", THIS]
    result = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    assert (result.returncode, "--trust" in result.stderr) == (4, True)
    assert git(project.path, "status", "--porcelain") == ""


@pytest.mark.parametrize("given", [{}, EXTREME], ids=["defaults", "extreme"])
def test_a_service_of_each_release_takes_this_one(service, renderings, template, given):
    fresh = renderings(THIS, **given)
    for version in {*git(template, "tag").split()} - {THIS, NEXT}:
        project = service(version, **given)
        # Of itself, an update brings no deployment and no workflow.
        data = {name: fresh.answers[name] for name in ("deployment", "template_updates")} | given
        update(project, vcs_ref=THIS, unsafe=version in BEFORE, data=data)
        assert_no_conflict(project)
        found, expected = contents(project), contents(fresh)
        if given is not EXTREME:
            # What was applied stays, and the release's table comes behind it.
            migrations = [
                found.pop(f"migrations/versions/{name}.py") for name in ("0001_create_users", "create_jobs")
            ]
            assert [b"down_revision = None" in migrations[0], b'down_revision = "0001"' in migrations[1]] == [
                True
            ] * 2
            made = expected.pop("migrations/versions/0000_create_jobs.py").partition(b"def upgrade")[2]
            assert migrations[1].partition(b"def upgrade")[2] == made
            expected.pop("migrations/versions/0001_create_users.py")
        assert found == expected, version
        # The scripts can still be run.
        modes = [[file.stat().st_mode for file in each.files("ops/*")] for each in (project, fresh)]
        assert modes[0] == modes[1]


# What a team may have had before v0.3.0.
DOMAIN = """\
from flask import abort

from .. import parity
from ..errors import problem
from ..extensions import cache, forget


def stop(reason):
    # Let nobody forget this.
    forget(count)
    parity.compare(reason)
    return problem(409, "Do not forget problem")
"""
RENAMED = """\
from flask import abort

from .. import parity
from ..errors import problem_response
from ..extensions import cache, invalidate


def stop(reason):
    # Let nobody forget this.
    invalidate(count)
    parity.compare(reason)
    return problem_response(409, "Do not forget problem")
"""


def replace(file, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def run_hook(project: Project, template, version: str) -> subprocess.CompletedProcess:
    """Run the hook as Copier does."""
    command = [sys.executable, template / "hooks" / "v0.3.0.py", ".copier-answers.yml", "orders"]
    versions = {"VERSION_FROM": "v0.2.0", "VERSION_TO": version}
    return subprocess.run(
        command, cwd=project.path, env=os.environ | versions, capture_output=True, text=True
    )


def test_a_crossing_carries_the_edits_of_a_team_over(service, template):
    def edit(folder):
        (folder / "src" / "orders" / "billing").mkdir()
        (folder / "src" / "orders" / "billing" / "routes.py").write_text(DOMAIN)
        replace(folder / "src/orders/users/routes.py", "def index(", "def listing(")
        users = "    app.register_blueprint(users)\n"
        replace(folder / "src/orders/__init__.py", users, f"{users}    app.register_blueprint(billing)\n")
        replace(folder / "src/orders/parity.py", "COLORS = ", "OURS = 1\nCOLORS = ")
        replace(folder / "bin/swarm", "set -eu", "set -eu\nours=1")
        replace(folder / "tests/conftest.py", 'TOKEN = "test"', 'TOKEN = "ours"')
        replace(folder / "tests/test_operations.py", "def test_", "def test_ours_")
        replace(folder / "deploy/production.env", "DOCKER_HOST=", "DOCKER_HOST=ssh://ours")
        append(
            folder, {"README.md": "Ours.\n", ".env.example": "#OURS=1\n", "requirements.txt": "ours==1.0\n"}
        )
        delete(folder, "tests/test_jobs.py", ".grype.yaml")

    project = service("v0.2.0", edit)
    before = contents(project)
    update(project, vcs_ref=THIS, unsafe=True)

    after = contents(project)
    report = after["UPDATE-v0.3.0.md"].decode()
    assert git(project.path, "diff", "--name-only", "--diff-filter=U") == "src/orders/__init__.py\n"
    assert after["ops/swarm"].count(b"ours=1") == after["conftest.py"].count(b'TOKEN = "ours"') == 1
    assert os.access(project.path / "ops" / "swarm", os.X_OK)
    assert after["src/orders/billing/routes.py"].decode() == RENAMED
    assert b"def listing(" in after["src/orders/users/routes.py"]
    assert b"invalidate(count_users)" in after["src/orders/users/routes.py"]
    for path in ("README.md", ".env.example", "deploy/production.env", "src/orders/users/schemas.py"):
        assert after[path] == before[path]
    assert not after.keys() & {"tests/test_jobs.py", ".grype.yaml", "bin/swarm", "tests/conftest.py"}
    assert b"\nours==1.0\n" in (project.path / "requirements.txt").read_bytes()
    for told in [
        "`bin/swarm` is `ops/swarm` now, your edit in it.",
        "\n+OURS = 1\n",
        "\n+def test_ours_",
        "`README.md` stays as you have it",
        "\n+#OURS=1\n",
        "`src/orders/project.py`",
        "`src/orders/billing/routes.py`, line 3: `orders.parity` is gone.",
    ]:
        assert told in report

    assert run_hook(project, template, THIS).stderr == ""
    assert contents(project) == after
    commit(project)
    update(project, vcs_ref=THIS)
    assert contents(project) == after


def test_a_crossing_loses_no_edit(service):
    """Of any file, with a line of the team's at its end; the example is deleted."""

    def edit(folder):
        delete(folder, "src/orders/users", "tests/test_users.py", "tests/test_jobs.py")
        files = [path for path in git(folder, "ls-files").splitlines() if path != ".copier-answers.yml"]
        append(folder, {path: f"# ours, in {path}\n" for path in files})

    project = service("v0.2.0", edit, deployment="kubernetes")
    edited = git(project.path, "grep", "--only-matching", "-h", "# ours, in .*").splitlines()
    update(project, vcs_ref=THIS, unsafe=True)
    everything = b"".join(contents(project).values()).decode()
    locks = "".join(file.read_text() for file in project.files("requirements*.txt"))
    assert [line for line in edited if f"{line}\n" not in everything + locks] == []

    conflicts = {line.split("\t")[1] for line in git(project.path, "ls-files", "--unmerged").splitlines()}
    marked = git(
        project.path, "grep", "--no-index", "--files-with-matches", "^<<<<<<< before updating"
    ).split()
    assert conflicts == set(marked)
    assert "users" not in (project.path / "src" / "orders" / "project.py").read_text()
    assert not (project.path / "src" / "orders" / "users").exists()


def test_a_crossing_that_fails_says_why_and_writes_nothing(service, template):
    project = service("v0.2.0")
    result = run_hook(project, template, "v7")
    assert result.returncode == 1
    assert result.stderr == (
        "The service was merged, and then not brought across v0.3.0: fatal: not a valid object name: v7\n"
    )
    assert git(project.path, "status", "--porcelain") == ""
