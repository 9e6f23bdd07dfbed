"""``starter adopt``: existing repositories come under the template, and lose nothing."""

import json
import os
import re
import shutil
import sys
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pexpect
import pytest
import yaml
from adoption import SERVICES, lineage, repository
from conftest import ROOT, git
from releases import NEXT, THIS
from tool import LEFT, NOTHING_DONE, commit, snapshot, starter

from starter import command_adopt

REPORT = "ADOPTION.md"


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    return lineage(tmp_path_factory.mktemp("lineage") / "template")


@pytest.fixture(scope="module")
def adopted(template, tmp_path_factory):
    """Each shape adopted unattended, once: the folder of its service, what stood there before, and what the tool said."""
    known = {}

    def adopted(shape: str):
        if shape not in known:
            folder = repository(shape, tmp_path_factory.mktemp("adopted") / shape)
            before = snapshot(folder)
            known[shape] = (
                folder,
                before,
                starter(folder, "adopt", str(template), "--release", THIS, status=LEFT),
            )
        return known[shape]

    return adopted


def adopt(folder: Path, *arguments: str, status: int = LEFT) -> dict:
    return starter(folder, "adopt", *arguments, status=status)


@pytest.fixture(params=SERVICES)
def shape(request, adopted):
    """Each of the four shapes."""
    return (request.param, *adopted(request.param))


def lines(tree: dict[str, bytes]) -> Counter:
    return Counter(line for content in tree.values() for line in content.splitlines())


# ------------------------------------------------------------------------------------------------- nothing is lost


def test_every_line_of_the_teams_is_there(shape):
    _, folder, before, told = shape
    after = snapshot(folder)
    assert lines(before) - lines(after) == Counter()
    # Nor is a file of theirs changed: each is where it was, or where the tool says.
    for path, content in before.items():
        target = told["moved"].get(path) or told["aside"].get(path) or path
        assert after[target] == content, path
    assert git(folder, "status", "--porcelain") == ""


def test_the_history_has_both_sides(shape):
    """A fresh generation is a root commit, and the team's files are followed to where they moved."""
    _, folder, _, told = shape
    roots = git(folder, "rev-list", "--max-parents=0", "HEAD").split()
    assert len(roots) == 2
    assert git(folder, "rev-parse", "--abbrev-ref", "HEAD").strip() == told["branch"] == "adopt-template"
    # git follows no empty file.
    for target in [each for each in told["moved"].values() if (folder / each).stat().st_size]:
        assert len(git(folder, "log", "--follow", "--format=%h", "--", target).split()) >= 2, target


def test_the_report_names_each_decision(shape):
    _, folder, _, told = shape
    report = (folder / REPORT).read_text()
    named = {*re.findall(r"`([^`\s]+)`", report)}
    files = [*told["moved"], *told["moved"].values(), *told["aside"], *told["aside"].values()]
    assert {*files, *told["kept"], *told["arrived"]} <= named
    assert [f"- [ ] {step}" in report for step in told["left"]] == [True] * len(told["left"])
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert told["answers"] == {name: value for name, value in answers.items() if not name.startswith("_")}
    assert [name for name in told["answers"] if f"| {name} | " not in report] == []
    assert f"`{told['application']}`" in report
    assert told["answers"]["deployment"] == "none"
    assert told["answers"]["example"] is False


def test_going_back_restores_everything(adopted, tmp_path):
    folder, before, _ = adopted("package")
    copied = shutil.copytree(folder, tmp_path / "package")
    (copied / "notes.txt").write_text("Untracked, and in nobody's way.\n")
    git(copied, "switch", "--quiet", "-")
    git(copied, "branch", "--quiet", "-D", "adopt-template")
    assert snapshot(copied) == before | {"notes.txt": b"Untracked, and in nobody's way.\n"}
    assert git(copied, "status", "--porcelain") == "?? notes.txt\n"


# One with migrations, one with what Poetry can say, one in a folder: an update takes as long as several adoptions.
@pytest.mark.parametrize("name", ["package", "poetry", "monorepo"])
def test_the_next_update_is_an_ordinary_one(name, adopted, tmp_path):
    folder, *_ = adopted(name)
    root = folder.parent.parent if SERVICES[name] else folder
    service = shutil.copytree(root, tmp_path / name) / SERVICES[name]
    told = starter(service, "update", "--no-run", "--to", NEXT, status=LEFT)
    assert told["conflicts"] == told["deleted"] == told["reports"] == []
    assert "make lock" in told["commands"]
    assert '"theirs-last>=1.0",' in (service / "pyproject.toml").read_text()
    theirs = [line for line in lines(snapshot(folder)) if b"adopted" in line]
    assert [line for line in theirs if line not in lines(snapshot(service))] == []


def test_what_is_left_as_the_template_has_it_is_pristine(adopted):
    folder, *_ = adopted("flat")
    told = starter(folder, "status", status=LEFT)
    assert {state for state in told["files"].values()} == {"pristine", "customised"}
    assert told["reasons"] == {"LICENSE": "It was here before the template."}


# --------------------------------------------------------------------------------------------------- what is found


def test_a_module_on_sqlite(adopted):
    folder, _, told = adopted("flat")
    assert told["application"] == "app:app"
    assert told["answers"]["license"] == "MIT"
    assert told["answers"]["repository_owner"] == "acme-inc"
    assert told["answers"]["project_name"] == "Flat Repository"
    assert told["answers"]["jobs"] is False
    assert (folder / "src/templates/index.html").is_file()
    project = (folder / "src/flat_repository/project.py").read_text()
    assert "from app import app as adopted" in project
    assert 'BEFORE = {"root.root", "static"}' in project
    assert "SQLite" in " ".join(told["left"])
    assert "`.gitignore` what hides these" in " ".join(told["left"])
    assert "  - `docs/parity.md`\n" in (folder / REPORT).read_text()
    overlay = yaml.safe_load((folder / "compose.project.override.yaml").read_text())
    assert overlay["services"]["web"]["tmpfs"] == ["/app/src/instance:uid=10001,mode=1777"]
    assert '"python-slugify>=8.0.4",' in (folder / "pyproject.toml").read_text()
    assert "`pkg-resources==0.0.0`: left out" in (folder / REPORT).read_text()


def test_a_package_with_migrations_and_a_pipeline(adopted):
    folder, _, told = adopted("package")
    assert told["application"] == "wsgi:app"
    assert told["answers"]["python_version"] == "3.13"
    assert told["answers"]["postgres_version"] == "17"
    report = (folder / REPORT).read_text()
    assert "postgres_version: 15 is found in the image of the Compose service db" in report
    assert (folder / ".github/workflows/nightly.yml").is_file()
    workflow = yaml.safe_load((folder / ".github/workflows/ci-cd-adopted.yml").read_text())
    assert workflow["name"] == "Shop CI"
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["tool"]["migrations"]["applied"] == "9a8b7c6d5e4f"
    assert {"psycopg2-binary>=2.9.10", "Babel>=2.16.0"} <= {*project["project"]["dependencies"]}
    assert "responses>=0.25.3" in project["dependency-groups"]["dev"]
    assert "tini" in (folder / "apt.txt").read_text()
    settings = (folder / "src/package_repository/settings.py").read_text()
    assert (
        'shop_page_size: str = Field(description="Read in src/shop/config.py:8.", examples=["20"])'
        in settings
    )
    assert "`mail`: `axllent/mailpit:v1.20`" in report


def test_one_of_poetry_with_celery(adopted):
    folder, _, told = adopted("poetry")
    assert told["application"] == "mailer.web:make_app()"
    assert told["answers"]["package_name"] == "mailer_service"
    assert told["answers"]["description"] == "Sends what others write."
    assert told["answers"]["cache_server"] == "valkey"
    assert told["answers"]["jobs"] is True
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert {"humanize>=4.9,<4.10", 'tomli>=2.0,<3; python_version < "3.11"'} <= {
        *project["project"]["dependencies"]
    }
    assert project["tool"]["black"] == {"line-length": 100}
    services = yaml.safe_load((folder / "compose.project.yaml").read_text())["services"]
    assert services["adopted-jobs"]["command"] == [
        "celery",
        "-A",
        "mailer.tasks",
        "worker",
        "--loglevel=info",
    ]
    assert "adopted(" not in (folder / "src/mailer/web.py").read_text()
    assert "Fallback(app, adopted())" in (folder / "src/mailer_service/project.py").read_text()
    assert "redis://valkey:6379/0" in (folder / "src/mailer_service/settings.py").read_text()


def test_one_in_a_folder_of_a_monorepo(adopted):
    folder, _, told = adopted("monorepo")
    root = folder.parent.parent
    assert told["application"] == "main:application"
    assert told["answers"]["project_slug"] == "billing"
    assert (folder / "src/data/countries.json").is_file()
    # It has no front page.
    assert 'BEFORE = {"static"}' in (folder / "src/billing/project.py").read_text()
    assert {path.name for path in root.iterdir()} == {".git", ".github", "README.md", "services", "web"}
    assert git(root, "diff", "--name-only", "main", "--", "web", ".github", "README.md") == ""
    report = (folder / REPORT).read_text()
    assert "`/metrics` is a route of the template's" in report
    assert "make workflows" in report
    assert "`RATE_LIMIT`, read in src/settings.py:5, is a setting of the template's too" in report


def test_on_a_terminal_it_asks_with_what_it_found(template, tmp_path):
    folder = repository("poetry", tmp_path / "poetry")
    command = [sys.executable, "-m", "starter", "adopt", str(template), "--release", THIS]
    terminal = pexpect.spawn(
        command[0],
        command[1:],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        encoding="utf-8",
        timeout=20,
    )
    terminal.expect("What is the service called")
    terminal.expect("Mailer")
    terminal.sendline("")
    terminal.expect("name in addresses")
    terminal.send("\x15letters\r")
    terminal.expect("Python package")
    terminal.expect("mailer_service")
    terminal.sendcontrol("c")
    terminal.expect("nothing has changed")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == NOTHING_DONE
    assert git(folder, "branch", "--list") == "* main\n"


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ({"url": "https://git.example/fork", "vcs_info": {"vcs": "git"}}, "https://git.example/fork"),
        ({"url": "file://{clone}", "dir_info": {}}, "https://git.example/fork.git"),
    ],
)
def test_the_template_is_that_which_the_tool_is_of(told, address, tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", "https://git.example/fork.git")
    (tmp_path / "copier.yml").touch()
    told = told | {"url": told["url"].format(clone=tmp_path)}
    installed = SimpleNamespace(read_text=lambda _: json.dumps(told))
    monkeypatch.setattr(command_adopt, "distribution", lambda _: installed)
    monkeypatch.setattr(
        command_adopt, "__file__", str(tmp_path / "site-packages" / "starter" / "command_adopt.py")
    )
    assert command_adopt.own_address() == address


# -------------------------------------------------------------------------------------------- nothing, and one sentence


def write(folder: Path, path: str, text: str, commits: bool = True) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
    if commits:
        commit(folder)


@pytest.mark.parametrize(
    ("break_it", "arguments", "says"),
    [
        (lambda folder: shutil.rmtree(folder / ".git"), [], "is not in a git repository"),
        (lambda folder: write(folder, "app.py", "x", commits=False), [], "uncommitted changes in app.py"),
        (lambda folder: write(folder, ".copier-answers.yml", "a: 1"), [], "there is starter update"),
        (lambda folder: write(folder, "app.py", "x = 1"), [], "as --app shop.web:create_app"),
        (lambda folder: git(folder, "branch", "adopt-template"), [], "git branch -D adopt-template"),
        (lambda folder: write(folder, "src/app.py", "x = 1"), [], "src/app.py is there already"),
        (lambda folder: write(folder, REPORT, "Ours"), [], "ADOPTION.md is here already"),
        (
            lambda folder: write(folder, "parity.py", "import app"),
            [],
            "parity is the name of a module of yours",
        ),
        (
            lambda _: None,
            ["-d", "jobs"],
            "-d jobs: write it as",
        ),
        (lambda _: None, ["--app", "shop:app"], "--app shop:app: no module here has that"),
        (lambda _: None, ["--release", "v2000"], "has no release v2000"),
        (lambda _: None, ["--branch", "a..b"], "--branch a..b"),
        (lambda _: None, ["-d", "package_name=app"], "say another with -d package_name=app_service"),
        (lambda _: None, ["-d", "deployment=heroku"], "Copier refuses: "),
        (lambda _: None, ["-d", "colour=red"], "asks no such question"),
    ],
)
def test_one_sentence_says_why_nothing_was_done(template, tmp_path, break_it, arguments, says):
    folder = repository("flat", tmp_path / "flat")
    break_it(folder)
    before = snapshot(folder)
    error = adopt(folder, str(template), *arguments, status=NOTHING_DONE)["error"]
    assert says in error
    assert "\n" not in error
    assert snapshot(folder) == before
    if (folder / ".git").exists():
        assert git(folder, "rev-parse", "--abbrev-ref", "HEAD") == "main\n"
        assert git(folder, "log", "--format=%s", "-1") == "Ours\n"


def test_what_git_does_not_know_is_not_overwritten(template, tmp_path):
    folder = repository("flat", tmp_path / "flat")
    write(folder, ".gitignore", "/apt.txt\n")
    write(folder, "apt.txt", "Ours, ignored.\n", commits=False)
    write(folder, "Makefile", "Ours, untracked.\n", commits=False)
    before = snapshot(folder)
    error = adopt(folder, str(template), "--release", THIS, status=NOTHING_DONE)["error"]
    assert "Makefile, apt.txt would be overwritten, which git does not know" in error
    assert snapshot(folder) == before


def test_git_that_knows_nobody(template, tmp_path, monkeypatch):
    folder = repository("flat", tmp_path / "flat")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{name}_NAME")
        monkeypatch.delenv(f"GIT_{name}_EMAIL")
    git(folder, "config", "user.useConfigOnly", "true")
    before = snapshot(folder)
    assert "who you are" in adopt(folder, str(template), status=NOTHING_DONE)["error"]
    assert snapshot(folder) == before
